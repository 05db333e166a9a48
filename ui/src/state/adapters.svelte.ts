import { type AdapterReport, type AdapterSummary, type Backend, BackendError } from '../backend'
import type { Messages } from './messages.svelte'
import type { Packs } from './packs.svelte'

/** What a refusal concerns. */
export interface Refusal {
  adapter: string
  message: string
}

/** A path inside a folder, with the folder's own kind of slash. */
export function inside(folder: string, name: string): string {
  const slash = folder.includes('\\') && !folder.includes('/') ? '\\' : '/'
  return folder.endsWith(slash) ? folder + name : folder + slash + name
}

/** What runs left: versions of the model, which one is in use, how good each is. */
export class Adapters {
  list = $state.raw<AdapterSummary[]>([])
  report = $state.raw<AdapterReport | null>(null)
  /** Why the last wish was refused. */
  refusal = $state.raw<Refusal | null>(null)
  /** A wish is being carried out. */
  working = $state(false)
  readonly #backend: Backend
  readonly #messages: Messages
  readonly #packs: Packs
  readonly #changed: () => void

  /** - `changed`: called when other weights give the results from now on */
  constructor(backend: Backend, messages: Messages, packs: Packs, changed: () => void) {
    this.#backend = backend
    this.#messages = messages
    this.#packs = packs
    this.#changed = changed
  }

  /** The adapter that works on the pack in use. */
  get active(): AdapterSummary | null {
    const hash = this.#packs.current?.hash
    return this.list.find((adapter) => adapter.active && adapter.pack_hash === hash) ?? null
  }

  /** Learns what there is. */
  async refresh(): Promise<void> {
    try {
      this.list = await this.#backend.adapters()
    } catch (reason) {
      this.#messages.fail(reason)
    }
  }

  /** Fetches a report. Returns whether it is there. */
  async open(name: string): Promise<boolean> {
    this.refusal = null
    try {
      this.report = await this.#backend.adapterReport(name)
      return true
    } catch (reason) {
      this.#messages.fail(reason)
      return false
    }
  }

  /** Takes a new verdict: what was refused without it is past. */
  async judged(report: AdapterReport): Promise<void> {
    this.refusal = null
    this.report = report
    await this.refresh()
  }

  /** Puts an adapter into use, unless the gate refused it. */
  async activate(name: string): Promise<void> {
    await this.#switch(name, () => this.#backend.adapterActivate(name))
  }

  /** Goes back to the adapter before, or to the pack alone. */
  async rollback(): Promise<void> {
    const { active } = this
    if (!active) return
    await this.#switch(active.name, () => this.#backend.adapterRollback(active.pack))
  }

  /** Deletes an adapter. */
  async remove(name: string): Promise<void> {
    await this.#carryOut(name, () => this.#backend.adapterRemove(name))
    if (this.report?.adapter.name === name) this.report = null
  }

  /** Writes an adapter as a folder of its name inside a chosen one. */
  async export(name: string): Promise<void> {
    await this.#carryOut(name, async () => {
      const [folder] = await this.#backend.choosePaths('folder')
      if (folder === undefined) return
      const path = inside(folder, name)
      await this.#backend.adapterExport(name, path)
      this.#messages.add('info', 'exported', `“${name}” was exported to ${path}, with its report as report.json.`)
    })
  }

  /** Takes an exported adapter in. */
  async import(): Promise<void> {
    await this.#carryOut(null, async () => {
      const [folder] = await this.#backend.choosePaths('folder')
      if (folder === undefined) return
      const { name, judged } = await this.#backend.adapterImport(folder)
      const next = judged
        ? 'Its report shows whether it may go live.'
        : 'Nobody has judged it here: evaluate it on this site’s cases before it goes live.'
      this.#messages.add('info', 'adapter_imported', `“${name}” was imported. ${next}`)
    })
  }

  async #switch(name: string, work: () => Promise<unknown>): Promise<void> {
    await this.#carryOut(name, async () => {
      await work()
      this.#changed()
    })
    const { report } = this
    const now = this.list.find((adapter) => adapter.name === report?.adapter.name)
    if (report && now) this.report = { ...report, adapter: now }
  }

  /** What concerns one adapter is told there; the rest as a message. */
  async #carryOut(name: string | null, work: () => Promise<unknown>): Promise<void> {
    if (this.working) return
    this.working = true
    this.refusal = null
    try {
      await work()
    } catch (reason) {
      const { message } = BackendError.from(reason)
      if (name === null) this.#messages.fail(reason)
      else this.refusal = { adapter: name, message }
    }
    await this.refresh()
    this.working = false
  }
}
