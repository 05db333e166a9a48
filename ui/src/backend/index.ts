import type { Backend } from './backend'

export * from './backend'
export type * from './types'

/** The shell's backend, or with `?mock=1` during development one that needs no shell. */
export async function connect(search: string): Promise<Backend> {
  if (import.meta.env.DEV && new URLSearchParams(search).has('mock')) {
    const { MockBackend } = await import('./mock')
    return new MockBackend()
  }
  const { tauriBackend } = await import('./tauri')
  return tauriBackend
}
