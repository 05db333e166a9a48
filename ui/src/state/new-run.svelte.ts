import {
  type Backend,
  BackendError,
  type CalibrationMethod,
  type TrainingColumns,
  type TrainingData,
  type TrainingEstimate,
  type TrainingOptions,
  type TrainingPreset,
  type TrainingPreview,
  type TrainingProblem,
  type TrainingRequest,
  type TrainingTable,
} from '../backend'
import type { Job, Jobs, Work } from './jobs.svelte'
import type { Messages } from './messages.svelte'
import type { Packs } from './packs.svelte'
import type { Training } from './training.svelte'

/** Where the choice of a run stands: its cases, what they hold, how it is trained. */
export type RunStep = 'cases' | 'check' | 'method'

/** Where cases come from. */
export type CaseSource = 'folder' | 'library'

/** What cases of the library have to be, by the library's own words; an empty one takes all. */
export type LibraryConditions = Partial<Record<'source' | 'modality' | 'split' | 'reader', string>>

/** What a column may say. Labels may be several columns. */
export type ColumnRoleName = 'image' | 'patient' | 'report' | 'label' | 'split'

/** Names that a run may have. */
const NAME = /^(?!\.)[A-Za-z0-9._-]{1,64}$/

const NO_COLUMNS: TrainingColumns = { image: '', patient: null, report: null, labels: [], split: null }

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
export class NewRun {
  step = $state<RunStep>('cases')
  source = $state<CaseSource>('folder')
  folder = $state('')
  path = $state('')
  /** Which cases of the library; what is not set takes all. */
  conditions = $state<LibraryConditions>({})
  /** A set of classes that readers gave the library's cases; empty for a case's one label, whatever it is. */
  labelSet = $state('')
  columns = $state<TrainingColumns>({ ...NO_COLUMNS })
  renamed = $state.raw<[string, string][]>([])
  table = $state.raw<TrainingTable | null>(null)
  preview = $state.raw<TrainingPreview | null>(null)
  presets = $state.raw<TrainingPreset[]>([])
  preset = $state('')
  options = $state<TrainingOptions>(asPreset())
  cores = $state<number | null>(null)
  name = $state('')
  notes = $state('')
  estimate = $state.raw<TrainingEstimate | null>(null)
  /** Why the last step failed. */
  error = $state<string | null>(null)
  /** The table is being read, or the run is being made. */
  busy = $state(false)

  /** The folder and the table that were read. */
  #read = { folder: '', table: '', left_out: 0 }
  #job = $state<string | null>(null)
  /** Counts looks at the cases: only the latest counts. */
  #wish = 0
  readonly #backend: Backend
  readonly #jobs: Jobs
  readonly #messages: Messages
  readonly #packs: Packs
  readonly #training: Training

  constructor(backend: Backend, jobs: Jobs, messages: Messages, packs: Packs, training: Training) {
    this.#backend = backend
    this.#jobs = jobs
    this.#messages = messages
    this.#packs = packs
    this.#training = training
  }

  /** The look at the cases, or the trial, while it runs. */
  get job(): Job | null {
    return this.#jobs.get(this.#job)
  }

  /** What keeps the cases from being trained on. */
  get blocking(): TrainingProblem[] {
    return this.preview?.problems.filter((problem) => problem.blocking) ?? []
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
    const { columns, renamed, name, preset, options, cores, notes } = this
    return $state.snapshot({
      name,
      preset,
      data: { ...this.#read, columns, renamed },
      pack: this.#packs.current?.name ?? null,
      options,
      cores,
      notes,
    })
  }

  /** Learns the choices of method. */
  async loadPresets(): Promise<void> {
    if (this.presets.length > 0) return
    await this.#guard(async () => {
      this.presets = await this.#backend.trainingPresets()
      this.preset ||= this.presets[0]?.id ?? ''
    })
  }

  /** Asks for the folder of images, or for the table. */
  async choose(what: 'folder' | 'table'): Promise<void> {
    try {
      const [path] = await this.#backend.choosePaths(what === 'folder' ? 'folder' : 'file')
      if (path === undefined) return
      if (what === 'folder') this.folder = path
      else this.path = path
    } catch (reason) {
      this.#messages.fail(reason)
    }
  }

  /** Reads the table's columns and looks at the cases. */
  async read(): Promise<void> {
    await this.#guard(async () => {
      const library = this.source === 'library' ? await this.#libraryCases() : null
      this.#read = library
        ? { folder: library.folder, table: library.table, left_out: library.left_out }
        : { folder: this.folder, table: this.path, left_out: 0 }
      this.table = await this.#backend.trainingTable(this.#read.table)
      this.columns = { ...(library?.columns ?? this.table.guess) }
      this.renamed = []
      this.preview = null
      this.step = 'check'
    })
    if (this.step === 'check' && this.columns.image !== '' && this.error === null) await this.look()
  }

  /** What a column says; none if it is not used. */
  roleOf(column: string): ColumnRoleName | null {
    const { image, patient, report, labels, split } = this.columns
    if (labels.includes(column)) return 'label'
    return (
      ({ [image]: 'image', [patient ?? '']: 'patient', [report ?? '']: 'report', [split ?? '']: 'split' } as const)[
        column
      ] ?? null
    )
  }

  /** Says what a column says, or leaves it out. The cases must be looked at again. */
  setRole(column: string, role: ColumnRoleName | null): void {
    const other = (name: string | null): string | null => (name === column ? null : name)
    const { image, patient, report, labels, split } = this.columns
    const columns: TrainingColumns = {
      image: other(image) ?? '',
      patient: other(patient),
      report: other(report),
      labels: labels.filter((name) => name !== column),
      split: other(split),
    }
    if (role === 'label')
      columns.labels = (this.table?.columns ?? [column]).filter(
        (name) => name === column || columns.labels.includes(name),
      )
    else if (role) columns[role] = column
    this.columns = columns
    this.#changed()
  }

  /** Reads a label as another one; the same name reads it as it is. */
  rename(from: string, to: string): void {
    const others = this.renamed.filter(([name]) => name !== from)
    this.renamed = to.trim() === '' || to.trim() === from ? others : [...others, [from, to.trim()]]
    this.#changed()
  }

  /** Counts classes and patients and finds what speaks against training; reads every image. */
  async look(): Promise<void> {
    const wish = ++this.#wish
    if (this.#job !== null) await this.#jobs.cancel(this.#job)
    const { data, pack } = this.request
    const found = await this.#long('Looking at the cases', (jobId, onProgress) =>
      this.#backend.trainingPreview(jobId, data, pack, onProgress),
    )
    if (wish === this.#wish && found) this.preview = found
  }

  /** Measures some steps and says what the run would take. */
  async measure(): Promise<void> {
    const { request } = this
    // A trial leaves nothing, so it needs no name yet.
    if (request.name === '') request.name = 'trial'
    this.estimate = null
    const wish = this.#wish
    const found = await this.#long('Measuring some steps', (jobId, onProgress) =>
      this.#backend.trainingEstimate(jobId, request, onProgress),
    )
    if (wish === this.#wish) this.estimate = found
  }

  /** Stops the look or the trial. */
  async cancel(): Promise<void> {
    if (this.#job !== null) await this.#jobs.cancel(this.#job)
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
    return this.#guard(async () => {
      const run = await this.#backend.trainingStart(this.request)
      this.name = ''
      this.notes = ''
      this.estimate = null
      await this.#training.began(run)
    })
  }

  async #libraryCases(): Promise<TrainingData> {
    const conditions = Object.entries(this.conditions)
      .filter(([, value]) => value !== '')
      .map(([key, value]) => `${key}=${value}`)
    const columns = this.labelSet === '' ? '' : `label=${this.labelSet}`
    return this.#backend.trainingLibrary(conditions.length > 0 ? conditions : ['all'], columns)
  }

  #changed(): void {
    this.#wish++
    void this.cancel()
    this.preview = null
    this.estimate = null
  }

  async #long<T>(title: string, work: Work<T>): Promise<T | null> {
    this.error = null
    let own: string | null = null
    const outcome = await this.#jobs.run(title, (jobId, onProgress) => {
      this.#job = own = jobId
      return work(jobId, onProgress)
    })
    if (this.#job === own) this.#job = null
    if (outcome.kind === 'failed') this.error = outcome.error.message
    return outcome.kind === 'done' ? outcome.value : null
  }

  async #guard(work: () => Promise<void>): Promise<boolean> {
    this.error = null
    this.busy = true
    try {
      await work()
      return true
    } catch (reason) {
      this.error = BackendError.from(reason).message
      return false
    } finally {
      this.busy = false
    }
  }
}
