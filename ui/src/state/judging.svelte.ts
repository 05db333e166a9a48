import type { AdapterSummary, Backend, TrainingProblem } from '../backend'
import type { Adapters } from './adapters.svelte'
import type { Dialog } from './app.svelte'
import { ChosenCases } from './chosen-cases.svelte'
import type { Jobs } from './jobs.svelte'
import type { Messages } from './messages.svelte'
import type { Packs } from './packs.svelte'

/** Said of cases with a class of fewer than five patients. */
const TOO_FEW = 'It takes at least five patients of each class: some calibrate, the others judge.'

/** Whether an adapter can be judged here: it has no report with figures, stands on a pack that is there, and learned from labels. */
export function judgeable(adapter: AdapterSummary): boolean {
  return !adapter.judged && adapter.fits && adapter.method !== 'contrastive'
}

/** An adapter without a report is judged on cases of this site, so that the gate can let it live. */
export class Judging extends ChosenCases {
  adapter = $state.raw<AdapterSummary | null>(null)
  /** The adapter is being judged; this goes on when the dialog is closed. */
  working = $state(false)
  readonly #adapters: Adapters
  readonly #messages: Messages
  readonly #window: { dialog: Dialog | null }

  constructor(
    backend: Backend,
    jobs: Jobs,
    messages: Messages,
    packs: Packs,
    adapters: Adapters,
    window: { dialog: Dialog | null },
  ) {
    super(backend, jobs, messages, packs)
    this.#adapters = adapters
    this.#messages = messages
    this.#window = window
  }

  override get lacking(): string | null {
    return this.columns.labels.length > 0 ? null : 'Say which column has the labels.'
  }

  /** A table's own division says who judges; without one, few patients of a class are too few. */
  override get problems(): TrainingProblem[] {
    if (this.columns.split !== null) return super.problems
    return super.problems.map((problem) =>
      problem.code === 'few_patients' ? { ...problem, message: TOO_FEW, blocking: true } : problem,
    )
  }

  /** The cases are seen with the eyes of the adapter's own pack. */
  protected override get pack(): string | null {
    return this.adapter?.pack ?? null
  }

  /** Opens the dialog for an adapter; while one is judged, for that one. */
  begin(adapter: AdapterSummary): void {
    if (!this.working) {
      if (this.adapter?.pack_hash !== adapter.pack_hash) this.forget()
      this.adapter = adapter
      this.error = null
      this.step = 'cases'
    }
    this.#window.dialog = 'judge'
  }

  /** Judges the adapter on the cases, and shows its report unless the dialog was closed meanwhile. */
  async start(): Promise<void> {
    const { adapter, data } = this
    if (!adapter || this.working || !this.preview || this.blocking.length > 0 || this.lacking !== null) return
    this.working = true
    const report = await this.long(
      `Evaluating ${adapter.name}`,
      (jobId, onProgress) => this.backend.adapterJudge(jobId, adapter.name, data, onProgress),
      'background',
    )
    this.working = false
    if (!report) return
    await this.#adapters.judged(report)
    if (this.#window.dialog === 'judge') this.#window.dialog = 'report'
    else {
      const verdict = report.adapter.passes ? 'It may go live' : 'It may not go live'
      this.#messages.add('info', 'judged', `“${adapter.name}” was evaluated. ${verdict}: see its report.`)
    }
  }
}
