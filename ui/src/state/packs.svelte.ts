import type { AppInfo, Backend, PackSummary } from '../backend'
import type { Jobs } from './jobs.svelte'
import type { Messages } from './messages.svelte'

/** How often a pack that is still loading is asked about. */
const POLL_MS = 250
const POLLS = 240

/** The application's state and its model packs. */
export class Packs {
  info = $state.raw<AppInfo | null>(null)
  list = $state.raw<PackSummary[]>([])
  readonly #backend: Backend
  readonly #jobs: Jobs
  readonly #messages: Messages

  constructor(backend: Backend, jobs: Jobs, messages: Messages) {
    this.#backend = backend
    this.#jobs = jobs
    this.#messages = messages
  }

  /** The pack in use. */
  get current(): PackSummary | null {
    return this.info?.pack ?? null
  }

  /** Learns what there is; a pack that is still loading is waited for in the background. */
  async start(): Promise<AppInfo> {
    const info = await this.#backend.appInfo()
    this.info = info
    if (info.pack_error) this.#messages.fail(info.pack_error)
    else if (!info.pack) void this.#awaitPack()
    return info
  }

  async #awaitPack(): Promise<void> {
    for (let poll = 0; poll < POLLS; poll++) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
      const info = await this.#backend.appInfo().catch(() => null)
      if (!info || (!info.pack && !info.pack_error)) continue
      this.info = info
      if (info.pack_error) this.#messages.fail(info.pack_error)
      return
    }
  }

  /** Lists the installed packs. */
  async refresh(): Promise<void> {
    try {
      this.list = await this.#backend.packs()
    } catch (reason) {
      this.#messages.fail(reason)
    }
  }

  /** Takes another pack. Returns whether it is in use now. */
  async select(name: string): Promise<boolean> {
    const outcome = await this.#jobs.run('Loading the model pack', () => this.#backend.selectPack(name))
    if (outcome.kind !== 'done') return false
    if (this.info) this.info = { ...this.info, pack: outcome.value, pack_error: null }
    return true
  }
}
