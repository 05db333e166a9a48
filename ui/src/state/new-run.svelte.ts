import type {
  Backend,
  CalibrationMethod,
  TrainingEstimate,
  TrainingOptions,
  TrainingPreset,
  TrainingRequest,
} from '../backend'
import { ChosenCases } from './chosen-cases.svelte'
import type { Jobs } from './jobs.svelte'
import type { Messages } from './messages.svelte'
import type { Packs } from './packs.svelte'
import type { Training } from './training.svelte'

/** Names that a run may have. */
const NAME = /^(?!\.)[A-Za-z0-9._-]{1,64}$/

/** Options of which none differs from the preset's. */
export const asPreset = (): TrainingOptions => ({
  epochs: null,
  batch: null,
  rate: null,
  rank: null,
  alpha: null,
  tokens: null,
  frozen_blocks: null,
  locked_images: null,
  seed: null,
  checkpointing: null,
  calibration: null,
  precision: null,
})

/** Options that are numbers. */
export type NumberOption = Exclude<
  keyof TrainingOptions,
  'checkpointing' | 'locked_images' | 'calibration' | 'precision'
>

/** A run that is being put together. Outlives its dialog. */
export class NewRun extends ChosenCases {
  presets = $state.raw<TrainingPreset[]>([])
  preset = $state('')
  options = $state<TrainingOptions>(asPreset())
  cores = $state<number | null>(null)
  name = $state('')
  notes = $state('')
  estimate = $state.raw<TrainingEstimate | null>(null)

  readonly #training: Training

  constructor(backend: Backend, jobs: Jobs, messages: Messages, packs: Packs, training: Training) {
    super(backend, jobs, messages, packs)
    this.#training = training
  }

  override get lacking(): string | null {
    const { labels, report } = this.columns
    return labels.length > 0 || report !== null ? null : 'Say which column has the labels or the reports.'
  }

  /** The chosen preset. */
  get chosen(): TrainingPreset | null {
    return this.presets.find(({ id }) => id === this.preset) ?? null
  }

  /** Why a preset cannot learn from these cases; none if it can. */
  missing(preset: TrainingPreset): string | null {
    if (preset.needs === 'labels' && this.columns.labels.length === 0) return 'needs a column of labels'
    if (preset.needs === 'reports' && this.columns.report === null) return 'needs a column of reports'
    return null
  }

  /** Why the run cannot start; none if it can. */
  get obstacle(): string | null {
    const { chosen } = this
    if (!chosen) return 'Choose a method.'
    const missing = this.missing(chosen)
    if (missing) return `This method ${missing}.`
    if (this.blocking.length > 0) return 'The cases have a problem that must be solved first.'
    if (!this.preview) return 'The cases have not been looked at.'
    if (!NAME.test(this.name)) return 'Give it a name of letters, digits, “-”, “_” and “.”, 64 at most.'
    return null
  }

  /** What is asked for. */
  get request(): TrainingRequest {
    const { data, pack, name, preset, options, cores, notes } = this
    return $state.snapshot({ name, preset, data, pack, options, cores, notes })
  }

  /** Learns the choices of method. */
  async loadPresets(): Promise<void> {
    if (this.presets.length > 0) return
    await this.guard(async () => {
      this.presets = await this.backend.trainingPresets()
      this.preset ||= this.presets[0]?.id ?? ''
    })
  }

  /** Measures some steps and says what the run would take. */
  async measure(): Promise<void> {
    const { request } = this
    // A trial leaves nothing, so it needs no name yet.
    if (request.name === '') request.name = 'trial'
    this.estimate = null
    const { wish } = this
    const found = await this.long('Measuring some steps', (jobId, onProgress) =>
      this.backend.trainingEstimate(jobId, request, onProgress),
    )
    if (this.unchanged(wish)) this.estimate = found
  }

  /** Takes a preset with its own numbers. */
  take(preset: string): void {
    this.preset = preset
    this.options = asPreset()
    this.estimate = null
  }

  /** Changes a number; none is the preset's. */
  setOption(name: NumberOption, value: number | null): void {
    this.options[name] = value
    this.estimate = null
  }

  /** Whether contrastive training leaves the image tower as it is. */
  lockImages(on: boolean): void {
    this.options.locked_images = on
    this.estimate = null
  }

  /** Whether blocks are computed again in the backward pass. */
  checkpoint(on: boolean): void {
    this.options.checkpointing = on
    this.estimate = null
  }

  /** How scores become probabilities; an empty word is the standard way. */
  calibrate(method: CalibrationMethod | ''): void {
    this.options.calibration = method === '' ? null : method
  }

  /** Starts the run. Returns whether it goes on now. */
  async start(): Promise<boolean> {
    if (this.obstacle !== null || this.busy) return false
    return this.guard(async () => {
      const run = await this.backend.trainingStart(this.request)
      this.name = ''
      this.notes = ''
      this.estimate = null
      await this.#training.began(run)
    })
  }

  protected override forget(): void {
    super.forget()
    this.estimate = null
  }
}
