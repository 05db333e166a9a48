import { getContext, setContext } from 'svelte'
import type { Backend, DialogChoice, OnProgress, OpenReportDto } from '../backend'
import type { RendererKind } from '../viewer/renderer'
import { Stats } from '../viewer/stats'
import { Adapters } from './adapters.svelte'
import { Comparison } from './comparison.svelte'
import { Computing } from './computing.svelte'
import { Evidence } from './evidence.svelte'
import { Importing } from './importing.svelte'
import { Jobs } from './jobs.svelte'
import { Judging } from './judging.svelte'
import { Labelling } from './labelling.svelte'
import { Library } from './library.svelte'
import { Messages } from './messages.svelte'
import { NewRun } from './new-run.svelte'
import { Packs } from './packs.svelte'
import { Pane } from './pane.svelte'
import { Settings } from './settings.svelte'
import { Studies } from './studies.svelte'
import { Training } from './training.svelte'

/** What the left mouse button does over the image. */
export type LeftTool = 'window' | 'pan' | 'zoom' | 'scroll'
/** The panels on the right. */
export type Tab = 'ask' | 'findings' | 'similar' | 'tags' | 'label' | 'training'
/** What lies over the window. */
export type Dialog = 'help' | 'settings' | 'models' | 'import' | 'new-run' | 'judge' | 'report'

/** Bytes of the check at the start; long enough that the web view cannot take a short way. */
const RAW_PATH_BYTES = 65536

/** Everything that the window knows. */
export class App {
  readonly backend: Backend
  readonly stats = new Stats()
  readonly messages = new Messages()
  readonly settings: Settings
  readonly jobs: Jobs
  readonly studies: Studies
  /** The viewport of the current study: what the assistant speaks of. */
  readonly pane: Pane
  readonly comparison: Comparison
  readonly evidence: Evidence
  readonly library: Library
  readonly labelling: Labelling
  readonly importing: Importing
  readonly packs: Packs
  readonly computing: Computing
  readonly adapters: Adapters
  readonly training: Training
  readonly newRun: NewRun
  readonly judging: Judging

  leftTool = $state<LeftTool>('window')
  tab = $state<Tab>('ask')
  dialog = $state<Dialog | null>(null)
  renderer = $state<RendererKind>('cpu')
  /** Files are being dragged over the window. */
  dropping = $state(false)
  constructor(backend: Backend, storage?: Pick<Storage, 'getItem' | 'setItem'>) {
    this.backend = backend
    this.settings = new Settings(storage)
    this.jobs = new Jobs(backend, this.messages)
    this.studies = new Studies(this.messages)
    const pane = (): Pane => new Pane(backend, this.studies, this.messages, this.settings.choices.cacheMiB)
    this.pane = pane()
    this.comparison = new Comparison(backend, this.jobs, this.messages, this.studies, this.pane, pane())
    this.evidence = new Evidence(backend, this.jobs, this.pane)
    this.library = new Library(backend, this.jobs, this.messages, this.pane)
    this.labelling = new Labelling(backend, this.jobs, this.messages, this.library, this.pane, this.settings, this)
    this.importing = new Importing(backend, this.jobs, this.messages, this.library)
    this.packs = new Packs(backend, this.jobs, this.messages)
    this.computing = new Computing(backend, this.jobs, this.messages)
    this.adapters = new Adapters(backend, this.messages, this.packs, () => this.forgetResults())
    this.training = new Training(backend, this.messages, this.adapters)
    this.newRun = new NewRun(backend, this.jobs, this.messages, this.packs, this.training)
    this.judging = new Judging(backend, this.jobs, this.messages, this.packs, this.adapters, this)
  }

  /** The viewport that keys and the toolbar act on. */
  get active(): Pane {
    return this.comparison.open && this.comparison.active ? this.comparison.pane : this.pane
  }

  /** Divides the memory for frames between the viewports that are open. */
  shareMemory(): void {
    const size = this.settings.choices.cacheMiB / (this.comparison.open ? 2 : 1)
    for (const pane of [this.pane, this.comparison.pane]) pane.cacheMiB = size
  }

  /** Learns what the application has, opens what it was started with, and listens for files. */
  async start(): Promise<void> {
    // Files that come while the window starts are either in the application's first answer or events after it.
    await Promise.all([
      this.#guard(async () => void (await this.backend.onOpenFiles((paths) => void this.open(paths)))),
      this.#guard(
        async () =>
          void (await this.backend.onDrop((event) => {
            this.dropping = event.kind === 'over'
            if (event.kind === 'drop') void this.open(event.paths)
          })),
      ),
    ])
    await Promise.all([
      this.#guard(async () => {
        const info = await this.packs.start()
        if (info.startup_paths.length > 0) await this.open(info.startup_paths)
        else if (info.startup_demo) await this.openDemo()
      }),
      this.#guard(() => this.checkRawPath()),
      this.library.refresh(),
      this.adapters.refresh(),
      this.training.refresh(),
    ])
  }

  /** Forgets what other weights gave than those in use now. */
  forgetResults(): void {
    this.evidence.forgetResults()
    this.library.clear()
    void this.#embedAnew()
  }

  /** Embeds a library that was embedded whole with the weights in use now, in the background. */
  async #embedAnew(): Promise<void> {
    const before = this.library.status
    await this.library.refresh()
    const whole = before !== null && before.cases > 0 && before.to_embed === 0
    if (whole && (this.library.status?.to_embed ?? 0) > 0) await this.importing.embed()
  }

  /** Checks that bytes arrive as they were sent, and warns if not. */
  async checkRawPath(): Promise<void> {
    const bytes = new Uint8Array(await this.backend.checkRawPath(RAW_PATH_BYTES))
    if (bytes.length === RAW_PATH_BYTES && bytes.every((value, i) => value === i % 251)) return
    this.messages.add('warning', 'raw_path', 'Pixels do not arrive as they are sent. Do not trust what is shown.')
  }

  /** Asks for files or a folder and opens them. */
  async choose(choice: DialogChoice): Promise<void> {
    await this.#guard(async () => this.open(await this.backend.choosePaths(choice)))
  }

  /** Opens files and folders and shows the first study of them. */
  async open(paths: string[]): Promise<void> {
    if (paths.length === 0) return
    await this.#opened('Opening files', (jobId, onProgress) => this.backend.openPaths(jobId, paths, onProgress))
  }

  /** Opens the synthetic study that comes with the application. */
  async openDemo(): Promise<void> {
    await this.#opened('Opening the demo study', (jobId, onProgress) => this.backend.openDemo(jobId, onProgress))
  }

  /** Opens a case of the library as a study of its own. */
  async openCase(caseId: string): Promise<void> {
    await this.#opened('Opening the library case', (jobId, onProgress) =>
      this.backend.libraryOpen(jobId, caseId, onProgress),
    )
  }

  /** Closes a study and forgets all that is known of it. */
  async close(studyId: string): Promise<void> {
    const series = this.studies.remove(studyId)
    if (!series) return
    this.#forget(series)
    const next = this.studies.list[0]?.series[0]
    if (next && this.pane.seriesId === null) this.pane.select(next.id)
    await this.#guard(() => this.backend.closeStudy(studyId))
    this.evidence.forget(studyId, series)
  }

  async #opened(title: string, work: (jobId: string, onProgress: OnProgress) => Promise<OpenReportDto>): Promise<void> {
    const outcome = await this.jobs.run(title, work)
    if (outcome.kind !== 'done') return
    this.#renew(this.studies.take(outcome.value))
    const series = outcome.value.studies.find((study) => study.series.length > 0)?.series[0]
    if (series) this.pane.select(series.id)
  }

  /** Fetches anew what the viewports hold of series that were opened again. */
  #renew(seriesIds: string[]): void {
    this.pane.renew(seriesIds)
    this.comparison.pane.renew(seriesIds)
    if (!this.comparison.open) this.comparison.close()
  }

  /** Forgets what the viewports hold of series; without a current study there is nothing to compare with. */
  #forget(seriesIds: string[]): void {
    this.pane.forget(seriesIds)
    this.comparison.pane.forget(seriesIds)
    if (!this.comparison.open || this.studies.list.length === 0) this.comparison.close()
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (reason) {
      this.messages.fail(reason)
    }
  }
}

const CONTEXT = Symbol('app')

/** Gives the state to the components below. */
export function provideApp(app: App): void {
  setContext(CONTEXT, app)
}

/** The state that a component above provides. */
export function useApp(): App {
  return getContext<App>(CONTEXT)
}
