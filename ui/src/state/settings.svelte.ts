import type { LabelStrategy } from '../backend'
import type { RendererChoice } from '../viewer/stage'

/** Size of everything: a factor, or one that follows the size of the window. */
export type TextScale = 'auto' | 1 | 1.25 | 1.5 | 2

/** What the user has chosen and keeps from start to start. */
export interface Choices {
  textScale: TextScale
  renderer: RendererChoice
  interpolation: 'linear' | 'nearest'
  overlay: boolean
  heatOpacity: number
  cacheMiB: number
  similarCount: number
  /** Who labels; empty until a name is given. */
  reader: string
  /** Name of the set of labels that is given. */
  labelSet: string
  /** How the next case to label is chosen. */
  labelStrategy: LabelStrategy
  /** Nothing is shown of what others say of a case. */
  labelBlind: boolean
  /** A label brings the next case. */
  labelAdvance: boolean
}

const KEY = 'lucency.settings'

/** Choices before any were made. */
export const DEFAULTS: Choices = {
  textScale: 'auto',
  renderer: 'auto',
  interpolation: 'linear',
  overlay: true,
  heatOpacity: 0.6,
  cacheMiB: 512,
  similarCount: 5,
  reader: '',
  labelSet: '',
  labelStrategy: 'entropy',
  labelBlind: false,
  labelAdvance: false,
}

/** What each choice may be. */
const ALLOWED: { [Name in keyof Choices]: (value: unknown) => boolean } = {
  textScale: (value) => ['auto', 1, 1.25, 1.5, 2].includes(value as TextScale),
  renderer: (value) => ['auto', 'cpu', 'webgl2'].includes(value as string),
  interpolation: (value) => ['linear', 'nearest'].includes(value as string),
  overlay: (value) => typeof value === 'boolean',
  heatOpacity: (value) => typeof value === 'number' && value >= 0 && value <= 1,
  cacheMiB: (value) => typeof value === 'number' && value >= 64 && value <= 8192,
  similarCount: (value) => typeof value === 'number' && value >= 1 && value <= 20,
  reader: (value) => typeof value === 'string' && value.length <= 60,
  labelSet: (value) => typeof value === 'string' && value.length <= 60,
  labelStrategy: (value) => ['random', 'entropy', 'margin', 'core_set'].includes(value as LabelStrategy),
  labelBlind: (value) => typeof value === 'boolean',
  labelAdvance: (value) => typeof value === 'boolean',
}

/** The choices stored in a text; what is missing or unknown is as before any choice. */
export function parseChoices(text: string | null): Choices {
  const choices = { ...DEFAULTS }
  try {
    const stored: unknown = JSON.parse(text ?? '{}')
    if (typeof stored !== 'object' || stored === null) return choices
    for (const name of Object.keys(DEFAULTS) as (keyof Choices)[]) {
      const value = (stored as Record<string, unknown>)[name]
      if (ALLOWED[name](value)) Object.assign(choices, { [name]: value })
    }
  } catch {
    // A damaged text counts as none.
  }
  return choices
}

/** The factor that suits a window: 1 up to full HD, 2 at 4K. */
export function automaticScale(width: number, height: number): number {
  const fitting = Math.min(width / 1700, height / 950)
  return Math.min(Math.max(Math.floor(fitting * 4) / 4, 1), 2)
}

/** The user's choices, kept in the web view's storage. */
export class Settings {
  choices = $state<Choices>({ ...DEFAULTS })
  readonly #storage: Pick<Storage, 'getItem' | 'setItem'> | undefined

  constructor(storage?: Pick<Storage, 'getItem' | 'setItem'>) {
    this.#storage = storage
    try {
      this.choices = parseChoices(storage?.getItem(KEY) ?? null)
    } catch {
      // Storage may be forbidden; the choices then last as long as the window.
    }
  }

  /** Changes choices and keeps them. */
  set(changes: Partial<Choices>): void {
    Object.assign(this.choices, changes)
    try {
      this.#storage?.setItem(KEY, JSON.stringify(this.choices))
    } catch {
      // As above.
    }
  }
}
