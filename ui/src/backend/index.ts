import type { Backend } from './backend'

export * from './backend'
export type * from './types'

/** The shell's backend, or with `?mock=1` (`?mock=library`: with cases, `?mock=training`: with adapters) during development one that needs no shell. */
export async function connect(search: string): Promise<Backend> {
  const mock = import.meta.env.DEV ? new URLSearchParams(search).get('mock') : null
  if (import.meta.env.DEV && mock !== null) {
    const { MockBackend } = await import('./mock')
    return new MockBackend({ libraryCases: mock === 'library' ? 48 : 0, trained: mock === 'training' })
  }
  const { tauriBackend } = await import('./tauri')
  return tauriBackend
}
