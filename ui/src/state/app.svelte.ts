import { getContext, setContext } from 'svelte'
import type { Backend, DialogChoice } from '../backend'
import type { RendererKind } from '../viewer/renderer'
import { Stats } from '../viewer/stats'
import { Evidence } from './evidence.svelte'
import { Jobs } from './jobs.svelte'
import { Messages } from './messages.svelte'
import { Packs } from './packs.svelte'
import { Settings } from './settings.svelte'
import { StudyState } from './study.svelte'

/** What the left mouse button does over the image. */
export type LeftTool = 'window' | 'pan' | 'zoom' | 'scroll'
/** The panels on the right. */
export type Tab = 'ask' | 'findings' | 'similar' | 'tags'
/** What lies over the window. */
export type Dialog = 'help' | 'settings' | 'models'

/** Bytes of the check at the start; long enough that the web view cannot take a short way. */
const RAW_PATH_BYTES = 65536

/** Everything that the window knows. */
export class App {
  readonly backend: Backend
  readonly stats = new Stats()
  readonly messages = new Messages()
  readonly settings: Settings
  readonly jobs: Jobs
  readonly study: StudyState
  readonly evidence: Evidence
  readonly packs: Packs

  leftTool = $state<LeftTool>('window')
  tab = $state<Tab>('ask')
  dialog = $state<Dialog | null>(null)
  renderer = $state<RendererKind>('cpu')
  /** Files are being dragged over the window. */
  dropping = $state(false)
  /** Size of the viewport, CSS pixels. */
  viewport = $state.raw({ width: 1, height: 1 })

  constructor(backend: Backend, storage?: Pick<Storage, 'getItem' | 'setItem'>) {
    this.backend = backend
    this.settings = new Settings(storage)
    this.jobs = new Jobs(backend, this.messages)
    this.study = new StudyState(backend, this.jobs, this.messages, this.settings.choices.cacheMiB)
    this.evidence = new Evidence(backend, this.jobs, this.study)
    this.packs = new Packs(backend, this.jobs, this.messages)
  }

  /** Learns what the application has, opens what it was started with, and listens for files. */
  async start(): Promise<void> {
    // Files that come while the window starts are either in the application's first answer or events after it.
    await Promise.all([
      this.#guard(async () => void (await this.backend.onOpenFiles((paths) => void this.study.open(paths)))),
      this.#guard(
        async () =>
          void (await this.backend.onDrop((event) => {
            this.dropping = event.kind === 'over'
            if (event.kind === 'drop') void this.study.open(event.paths)
          })),
      ),
    ])
    await Promise.all([
      this.#guard(async () => {
        const info = await this.packs.start()
        if (info.startup_paths.length > 0) await this.study.open(info.startup_paths)
        else if (info.startup_demo) await this.study.openDemo()
      }),
      this.#guard(() => this.checkRawPath()),
    ])
  }

  /** Checks that bytes arrive as they were sent, and warns if not. */
  async checkRawPath(): Promise<void> {
    const bytes = new Uint8Array(await this.backend.checkRawPath(RAW_PATH_BYTES))
    if (bytes.length === RAW_PATH_BYTES && bytes.every((value, i) => value === i % 251)) return
    this.messages.add('warning', 'raw_path', 'Pixels do not arrive as they are sent. Do not trust what is shown.')
  }

  /** Asks for files or a folder and opens them. */
  async choose(choice: DialogChoice): Promise<void> {
    await this.#guard(async () => this.study.open(await this.backend.choosePaths(choice)))
  }

  /** Closes a study and forgets all that is known of it. */
  async close(studyId: string): Promise<void> {
    const series = this.study.studies.find((study) => study.id === studyId)?.series ?? []
    await this.study.close(studyId)
    this.evidence.forget(
      studyId,
      series.map(({ id }) => id),
    )
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
