import type { Backend, TrainingRun, TrainingRunDetail } from '../backend'
import type { Adapters } from './adapters.svelte'
import type { Messages } from './messages.svelte'

/** How often runs are looked at while the panel is open, and while it is not. */
const WATCHED_MS = 1000
const UNWATCHED_MS = 4000
/** Training rests for a second after each word from the viewer. */
const BUSY_EVERY_MS = 500

/** Runs of fine-tuning. They work behind the window; this looks how they are. */
export class Training {
  runs = $state.raw<TrainingRun[]>([])
  /** The run whose curve is shown. */
  shown = $state<string | null>(null)
  detail = $state.raw<TrainingRunDetail | null>(null)
  #watched = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #told = -Infinity
  readonly #backend: Backend
  readonly #messages: Messages
  readonly #adapters: Adapters

  constructor(backend: Backend, messages: Messages, adapters: Adapters) {
    this.#backend = backend
    this.#messages = messages
    this.#adapters = adapters
  }

  /** The run that works, if one does. */
  get working(): TrainingRun | null {
    return this.runs.find((run) => run.state === 'running') ?? null
  }

  /** The panel is open: runs are looked at more often. Returns what to call when it closes. */
  watch(): () => void {
    this.#watched = true
    void this.refresh()
    void this.#adapters.refresh()
    return () => (this.#watched = false)
  }

  /** Looks how all runs are, and tells of those that ended meanwhile. */
  async refresh(): Promise<void> {
    clearTimeout(this.#timer)
    try {
      const runs = await this.#backend.trainingRuns()
      const before = this.runs
      this.runs = runs
      for (const run of this.runs) {
        const old = before.find(({ name }) => name === run.name)
        if (old?.state === 'running' && run.state !== 'running') await this.#ended(run)
      }
      await this.#look()
    } catch (reason) {
      this.#messages.fail(reason)
    }
    clearTimeout(this.#timer)
    if (this.working) this.#timer = setTimeout(() => void this.refresh(), this.#watched ? WATCHED_MS : UNWATCHED_MS)
  }

  /** Shows a run's curve, or hides it. */
  async show(name: string | null): Promise<void> {
    this.shown = name
    this.detail = null
    await this.#guard(() => this.#look())
  }

  /** Stops at the next step; what was learned stays. */
  async pause(name: string): Promise<void> {
    await this.#act(() => this.#backend.trainingPause(name))
  }

  /** Goes on from the last checkpoint. */
  async resume(name: string): Promise<void> {
    await this.#act(() => this.#backend.trainingResume(name))
  }

  /** Ends a run for good. */
  async cancel(name: string): Promise<void> {
    await this.#act(() => this.#backend.trainingCancel(name))
  }

  /** Deletes a run; its adapter stays. */
  async remove(name: string): Promise<void> {
    if (this.shown === name) this.shown = this.detail = null
    await this.#act(() => this.#backend.trainingRemove(name))
  }

  /** A run was started: it is shown. */
  async began(run: TrainingRun): Promise<void> {
    this.runs = [run, ...this.runs.filter(({ name }) => name !== run.name)]
    await this.show(run.name)
    await this.refresh()
  }

  /** The reader scrolls, drags or plays: training rests, so that no image waits for it. */
  readerWorks(): void {
    const now = performance.now()
    if (!this.working || now - this.#told < BUSY_EVERY_MS) return
    this.#told = now
    this.#backend.trainingBusy().catch(() => undefined) // a rest that was missed is no failure
  }

  /** Looks no more: the window is closed. */
  stop(): void {
    clearTimeout(this.#timer)
  }

  async #look(): Promise<void> {
    const name = this.shown
    if (name === null) return
    const detail = await this.#backend.trainingRun(name)
    if (this.shown === name) this.detail = detail
  }

  async #ended(run: TrainingRun): Promise<void> {
    await this.#adapters.refresh()
    if (run.state === 'finished') {
      const adapter = this.#adapters.list.find(({ name }) => name === run.adapter)
      const verdict = adapter?.passes ? 'It may go live' : 'It may not go live'
      this.#messages.add('info', 'trained', `The run “${run.name}” is finished. ${verdict}: see its report.`)
    } else if (run.state === 'failed')
      this.#messages.add(
        'error',
        run.error?.code ?? 'failed',
        `The run “${run.name}” stopped: ${run.error?.message ?? ''}`,
      )
  }

  async #act(work: () => Promise<unknown>): Promise<void> {
    await this.#guard(work)
    await this.refresh()
  }

  async #guard(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (reason) {
      this.#messages.fail(reason)
    }
  }
}
