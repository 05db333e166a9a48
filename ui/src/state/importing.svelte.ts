import type {
  Backend,
  ColumnRole,
  EmbedOutcome,
  ImportFormat,
  ImportOutcome,
  ImportPreview,
  ImportRequest,
} from '../backend'
import { BackendError } from '../backend'
import { counted } from '../panels/cases'
import type { Job, Jobs } from './jobs.svelte'
import type { Library } from './library.svelte'
import type { Messages } from './messages.svelte'

/** Where the import stands: what is imported, how it would be, the import itself, what came of it. */
export type Step = 'choose' | 'preview' | 'running' | 'result'

/** A request with nothing chosen. */
const freshRequest = (format: string): ImportRequest => ({
  format,
  data: '',
  table: null,
  columns: [],
  policy: null,
  modality: null,
  body_part: null,
  split: null,
  source: null,
  encoding: null,
  identifying: null,
})

/** The import of cases into the library, from the choice of a folder to what came of it. Outlives its dialog. */
export class Importing {
  step = $state<Step>('choose')
  formats = $state.raw<ImportFormat[]>([])
  request = $state<ImportRequest>(freshRequest(''))
  preview = $state.raw<ImportPreview | null>(null)
  /** Why there is no preview, or why the import ended early. */
  error = $state<string | null>(null)
  /** A preview is on its way. */
  looking = $state(false)
  outcome = $state.raw<ImportOutcome | null>(null)
  embedded = $state.raw<EmbedOutcome | null>(null)
  /** True while the dialog is open: what happens then needs no message. */
  watched = false

  #importJob = $state<string | null>(null)
  #embedJob = $state<string | null>(null)
  /** The user wants no more of the import that is being stopped. */
  #discarding = false
  /** Counts previews: only the latest is shown. */
  #wish = 0
  readonly #backend: Backend
  readonly #jobs: Jobs
  readonly #messages: Messages
  readonly #library: Library

  constructor(backend: Backend, jobs: Jobs, messages: Messages, library: Library) {
    this.#backend = backend
    this.#jobs = jobs
    this.#messages = messages
    this.#library = library
  }

  /** The layout that is chosen. */
  get format(): ImportFormat | null {
    return this.formats.find(({ word }) => word === this.request.format) ?? null
  }

  /** True when there is enough to look at. */
  get ready(): boolean {
    const { data, table } = this.request
    return this.format !== null && data.trim() !== '' && (!this.format.needs_table || (table ?? '').trim() !== '')
  }

  /** The import while it runs. */
  get job(): Job | null {
    return this.#jobs.get(this.#importJob)
  }

  /** The embedding while it runs. */
  get embedding(): Job | null {
    return this.#jobs.get(this.#embedJob)
  }

  /** Learns the layouts. */
  async loadFormats(): Promise<void> {
    if (this.formats.length > 0) return
    try {
      this.formats = await this.#backend.libraryFormats()
      if (this.request.format === '') this.request.format = this.formats[0]?.word ?? ''
    } catch (reason) {
      this.error = BackendError.from(reason).message
    }
  }

  /** Asks for the folder, or for the table. */
  async choose(what: 'data' | 'table'): Promise<void> {
    try {
      const [path] = await this.#backend.choosePaths(what === 'data' ? 'folder' : 'file')
      if (path !== undefined) this.request[what] = path
    } catch (reason) {
      this.#messages.fail(reason)
    }
  }

  /** Looks at the data with the roles that its columns probably have. */
  async look(): Promise<void> {
    if (!this.ready) return
    this.request.columns = []
    const first = await this.#look()
    if (!first) return
    this.step = 'preview'
    if (first.columns.length === 0) return
    this.request.columns = first.columns.flatMap(({ name, suggested }): ColumnRole[] =>
      suggested === null ? [] : [{ column: name, role: suggested }],
    )
    await this.#look()
  }

  /** Changes the request and looks again. */
  async set(changes: Partial<ImportRequest>): Promise<void> {
    Object.assign(this.request, changes)
    await this.#look()
  }

  /** What a column says; none if it is left out. */
  roleOf(column: string): string | null {
    return this.request.columns.find((other) => other.column === column)?.role ?? null
  }

  /** Says what a column says, or leaves it out. */
  async setRole(column: string, role: string | null): Promise<void> {
    const others = this.request.columns.filter((other) => other.column !== column)
    await this.set({ columns: role === null ? others : [...others, { column, role }] })
  }

  /** Back to the choice of folder; keeps what was typed. */
  back(): void {
    this.#wish++
    this.looking = false
    this.error = null
    this.step = 'choose'
  }

  /** Begins with another data set. */
  restart(): void {
    this.request = freshRequest(this.formats[0]?.word ?? '')
    this.preview = null
    this.outcome = null
    this.embedded = null
    this.back()
  }

  /** Imports, or goes on with a paused import. */
  async start(): Promise<void> {
    if (this.job) return
    this.step = 'running'
    this.error = null
    this.embedded = null
    this.#discarding = false
    const request = $state.snapshot(this.request)
    const outcome = await this.#jobs.run(
      'Importing cases',
      (jobId, onProgress) => {
        this.#importJob = jobId
        return this.#backend.libraryImport(jobId, request, onProgress)
      },
      'resumable',
    )
    this.#importJob = null
    await this.#library.changed()
    if (outcome.kind === 'done') {
      this.outcome = outcome.value
      this.step = 'result'
      this.#tell(outcome.value)
    } else {
      // Stopped before anything was taken, or failed: what is known now decides how it goes on.
      this.error = outcome.kind === 'failed' ? outcome.error.message : null
      const { error } = this
      this.step = 'preview'
      await this.#look()
      this.error ??= error
    }
    if (this.#discarding) this.restart()
  }

  /** Stops the import where it is; the same request goes on from there. */
  async pause(): Promise<void> {
    if (this.#importJob !== null) await this.#jobs.cancel(this.#importJob)
  }

  /** Stops the import and leaves it. What was taken stays in the library. */
  async cancel(): Promise<void> {
    this.#discarding = true
    await this.pause()
  }

  /** Embeds what the current pack has not embedded yet. */
  async embed(): Promise<void> {
    if (this.embedding) return
    const outcome = await this.#jobs.run(
      'Embedding the library',
      (jobId, onProgress) => {
        this.#embedJob = jobId
        return this.#backend.libraryEmbed(jobId, onProgress)
      },
      'resumable',
    )
    this.#embedJob = null
    if (outcome.kind === 'done') {
      this.embedded = outcome.value
      if (!this.watched) this.#messages.add('info', 'embedded', embeddedText(outcome.value))
    }
    await this.#library.refresh()
  }

  /** Stops the embedding; what was embedded stays. */
  async pauseEmbedding(): Promise<void> {
    if (this.#embedJob !== null) await this.#jobs.cancel(this.#embedJob)
  }

  async #look(): Promise<ImportPreview | null> {
    const wish = ++this.#wish
    this.looking = true
    try {
      const preview = await this.#backend.libraryPreview($state.snapshot(this.request))
      if (wish !== this.#wish) return null
      this.preview = preview
      this.error = null
      return preview
    } catch (reason) {
      if (wish === this.#wish) this.error = BackendError.from(reason).message
      return null
    } finally {
      if (wish === this.#wish) this.looking = false
    }
  }

  #tell(outcome: ImportOutcome): void {
    if (this.watched || this.#discarding) return
    const refused = outcome.rejected > 0 ? `, ${counted(outcome.rejected, 'row was', 'rows were')} refused` : ''
    const verb = outcome.paused ? 'is paused' : 'is finished'
    this.#messages.add(
      outcome.rejected > 0 || outcome.leaks.length > 0 ? 'warning' : 'info',
      outcome.paused ? 'import_paused' : 'imported',
      `The import of “${outcome.source}” ${verb}: ${counted(outcome.taken, 'new case', 'new cases')}${refused}.`,
    )
  }
}

/** What an embedding job did, in words. */
export function embeddedText({ images, reports, unreadable }: EmbedOutcome): string {
  const done = `${counted(images, 'image', 'images')} and ${counted(reports, 'report', 'reports')} were embedded`
  return unreadable > 0 ? `${done}; ${counted(unreadable, 'image', 'images')} could not be read.` : `${done}.`
}
