import {
  type Backend,
  BackendError,
  type TrainingColumns,
  type TrainingData,
  type TrainingPreview,
  type TrainingProblem,
  type TrainingTable,
} from '../backend'
import type { Job, Jobs, Work } from './jobs.svelte'
import type { Messages } from './messages.svelte'
import type { Packs } from './packs.svelte'

/** Where the choice stands: which cases, what they hold, how a run is trained on them. */
export type ChoiceStep = 'cases' | 'check' | 'method'

/** Where cases come from. */
export type CaseSource = 'folder' | 'library'

/** What cases of the library have to be, by the library's own words; an empty one takes all. */
export type LibraryConditions = Partial<Record<'source' | 'modality' | 'split' | 'reader', string>>

/** What a column may say. Labels may be several columns. */
export type ColumnRoleName = 'image' | 'patient' | 'report' | 'label' | 'split'

const NO_COLUMNS: TrainingColumns = { image: '', patient: null, report: null, labels: [], split: null }

/** Cases that are being chosen, of a folder with a table or of the library, and looked at. Outlives its dialog. */
export abstract class ChosenCases {
  step = $state<ChoiceStep>('cases')
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
  /** Why the last step failed. */
  error = $state<string | null>(null)
  /** The table is being read, or what was asked for is being made. */
  busy = $state(false)

  /** The folder and the table that were read. */
  #read = { folder: '', table: '', left_out: 0 }
  #job = $state<string | null>(null)
  /** Counts looks at the cases: only the latest counts. */
  #wish = 0
  protected readonly backend: Backend
  protected readonly packs: Packs
  readonly #jobs: Jobs
  readonly #messages: Messages

  constructor(backend: Backend, jobs: Jobs, messages: Messages, packs: Packs) {
    this.backend = backend
    this.packs = packs
    this.#jobs = jobs
    this.#messages = messages
  }

  /** What the columns must say for these cases to be of use; none if they do. */
  abstract get lacking(): string | null

  /** The pack whose eyes look at the cases; none for the default one. */
  protected get pack(): string | null {
    return this.packs.current?.name ?? null
  }

  /** The look at the cases, or what follows it, while it runs. */
  get job(): Job | null {
    return this.#jobs.get(this.#job)
  }

  /** What speaks against the cases. */
  get problems(): TrainingProblem[] {
    return this.preview?.problems ?? []
  }

  /** What keeps the cases from being used. */
  get blocking(): TrainingProblem[] {
    return this.problems.filter((problem) => problem.blocking)
  }

  /** The cases as commands take them. */
  get data(): TrainingData {
    const { columns, renamed } = this
    return $state.snapshot({ ...this.#read, columns, renamed })
  }

  /** Asks for the folder of images, or for the table. */
  async choose(what: 'folder' | 'table'): Promise<void> {
    try {
      const [path] = await this.backend.choosePaths(what === 'folder' ? 'folder' : 'file')
      if (path === undefined) return
      if (what === 'folder') this.folder = path
      else this.path = path
    } catch (reason) {
      this.#messages.fail(reason)
    }
  }

  /** Reads the table's columns and looks at the cases. */
  async read(): Promise<void> {
    await this.guard(async () => {
      const library = this.source === 'library' ? await this.#libraryCases() : null
      this.#read = library
        ? { folder: library.folder, table: library.table, left_out: library.left_out }
        : { folder: this.folder, table: this.path, left_out: 0 }
      this.table = await this.backend.trainingTable(this.#read.table)
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

  /** Counts classes and patients and finds what speaks against them; reads every image. */
  async look(): Promise<void> {
    const wish = ++this.#wish
    await this.cancel()
    const { data, pack } = this
    const found = await this.long('Looking at the cases', (jobId, onProgress) =>
      this.backend.trainingPreview(jobId, data, pack, onProgress),
    )
    if (wish === this.#wish && found) this.preview = found
  }

  /** Stops the look, or what follows it. */
  async cancel(): Promise<void> {
    if (this.#job !== null) await this.#jobs.cancel(this.#job)
  }

  /** Whether the cases are still those of an earlier [`wish`]. */
  protected unchanged(wish: number): boolean {
    return wish === this.#wish
  }

  /** Counts changes of the cases. */
  protected get wish(): number {
    return this.#wish
  }

  /** The cases have changed: what was measured of them is void. */
  protected forget(): void {
    this.preview = null
  }

  /** Runs a job whose failure is told in the dialog too. */
  protected async long<T>(title: string, work: Work<T>, kind?: 'background'): Promise<T | null> {
    this.error = null
    let own: string | null = null
    const outcome = await this.#jobs.run(
      title,
      (jobId, onProgress) => {
        this.#job = own = jobId
        return work(jobId, onProgress)
      },
      kind,
    )
    if (this.#job === own) this.#job = null
    if (outcome.kind === 'failed') this.error = outcome.error.message
    return outcome.kind === 'done' ? outcome.value : null
  }

  /** Does what takes no time worth a job. Returns whether it was done. */
  protected async guard(work: () => Promise<void>): Promise<boolean> {
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

  async #libraryCases(): Promise<TrainingData> {
    const conditions = Object.entries(this.conditions)
      .filter(([, value]) => value !== '')
      .map(([key, value]) => `${key}=${value}`)
    const columns = this.labelSet === '' ? '' : `label=${this.labelSet}`
    return this.backend.trainingLibrary(conditions.length > 0 ? conditions : ['all'], columns)
  }

  #changed(): void {
    this.#wish++
    void this.cancel()
    this.forget()
  }
}
