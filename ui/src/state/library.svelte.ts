import {
  type Backend,
  BackendError,
  type LibraryCase,
  type LibraryDeleted,
  type LibraryFilter,
  type LibraryHits,
  type LibraryQuery,
  type LibraryStatus,
  type OnProgress,
  type SearchBy,
} from '../backend'
import type { Jobs } from './jobs.svelte'
import type { Messages } from './messages.svelte'
import type { Pane } from './pane.svelte'

/** The department's own cases, or those that come with the application. */
export type LibraryName = 'department' | 'demo'

/** Most cases that a search brings. */
const MOST = 50
/** How many more are brought at a time. */
const STEP = 10

/** No condition at all. */
export const EVERY_CASE: LibraryFilter = {
  source: null,
  modality: null,
  body_part: null,
  view: null,
  sex: null,
  age_from: null,
  age_to: null,
  date_from: null,
  date_to: null,
  label: null,
  split: null,
}

/** What was searched with. */
export interface Sought {
  kind: 'text' | 'image'
  text: string
  /** Series and frame in words; empty for a search by text. */
  place: string
  /** The study whose image was searched with: what is its patient's holds beside it alone. */
  studyId: string | null
}

/** The work of a search. */
type Search = (jobId: string, onProgress: OnProgress) => Promise<LibraryHits>

/** A search and what came of it. */
export interface Found {
  sought: Sought
  hits: LibraryHits
}

/** A case that is looked at, or the wait for it. */
export interface CaseView {
  value: LibraryCase | null
  error: string | null
}

/** What is left of deleted cases in what was trained on them; empty if nothing is. */
export function remaining({ adapters, runs }: LibraryDeleted): string {
  const some = (names: string[]): string => names.map((name) => `“${name}”`).join(', ')
  const sentences: string[] = []
  if (adapters.length > 0)
    sentences.push(
      `What was learned from the deleted case stays in the weights of ${some(adapters)}. Remove it under Training to forget it.`,
    )
  if (runs.length > 0)
    sentences.push(`Training ${some(runs)} had begun to learn from it and cannot go on: cancel it and begin anew.`)
  return sentences.join(' ')
}

/** The department's case library: what there is, and searches in it. */
export class Library {
  status = $state.raw<LibraryStatus | null>(null)
  /** Why there is no status. */
  error = $state.raw<BackendError | null>(null)
  chosen = $state<LibraryName | null>(null)
  text = $state('')
  by = $state<SearchBy>('both')
  filter = $state<LibraryFilter>({ ...EVERY_CASE })
  samePatient = $state(false)
  searching = $state(false)

  #found = $state.raw<Found | null>(null)
  #cases = $state<Record<string, CaseView>>({})
  readonly #backend: Backend
  readonly #jobs: Jobs
  readonly #messages: Messages
  readonly #pane: Pane
  #last: (() => Promise<void>) | null = null
  /** Cases that are asked for. */
  #count = $state(1)
  /** The search that runs. */
  #job: string | null = null
  #wish = 0

  constructor(backend: Backend, jobs: Jobs, messages: Messages, pane: Pane) {
    this.#backend = backend
    this.#jobs = jobs
    this.#messages = messages
    this.#pane = pane
  }

  /** Where the panel searches: the user's choice, or the department's library once it holds something. */
  get source(): LibraryName {
    return this.chosen ?? (this.stocked ? 'department' : 'demo')
  }

  /** The last search; stays while another one runs, and as long as the study is shown that it was about. */
  get found(): Found | null {
    const about = this.#found?.sought.studyId ?? null
    return about === null || about === this.#pane.study?.id ? this.#found : null
  }

  /** True once there is something to search. */
  get stocked(): boolean {
    return (this.status?.cases ?? 0) > 0
  }

  /** Names of the conditions that are set. */
  get conditions(): (keyof LibraryFilter)[] {
    return (Object.keys(EVERY_CASE) as (keyof LibraryFilter)[]).filter((name) => this.filter[name] !== null)
  }

  /** Learns what the library holds. */
  async refresh(): Promise<void> {
    try {
      this.status = await this.#backend.libraryStatus()
      this.error = null
    } catch (reason) {
      this.error = BackendError.from(reason)
    }
  }

  /** Forgets what is known of single cases, and learns what the library holds now. */
  async changed(): Promise<void> {
    this.#cases = {}
    await this.refresh()
  }

  /** Sets conditions and searches again if there was a search. */
  async narrow(changes: Partial<LibraryFilter>): Promise<void> {
    this.filter = { ...this.filter, ...changes }
    await this.again()
  }

  /** Lifts every condition. */
  async widen(): Promise<void> {
    this.filter = { ...EVERY_CASE }
    await this.again()
  }

  /** Shows or leaves out cases of the patient on the screen. */
  async showSamePatient(show: boolean): Promise<void> {
    this.samePatient = show
    await this.again()
  }

  /** Repeats the last search as it now is. */
  async again(): Promise<void> {
    await this.#last?.()
  }

  /** True if the last search may have left cases out. */
  get hasMore(): boolean {
    const { hits, cases } = this.found?.hits ?? { hits: [], cases: 0 }
    return hits.length >= this.#count && this.#count < MOST && cases > hits.length
  }

  /** Repeats the last search for more cases. */
  async more(): Promise<void> {
    this.#count = Math.min(this.#count + STEP, MOST)
    await this.again()
  }

  /** Searches for the words. */
  async search(count: number): Promise<void> {
    this.#count = count
    await this.#search()
  }

  async #search(): Promise<void> {
    if (this.text.trim() === '') return
    this.#last = () => this.#search()
    const query = this.#query()
    await this.#run({ kind: 'text', text: query.text, place: '', studyId: null }, (jobId, onProgress) =>
      this.#backend.librarySearch(jobId, query, onProgress),
    )
  }

  /** Searches for cases like the wanted frame, and for the words if there are any. */
  async like(count: number, place: string): Promise<void> {
    this.#count = count
    await this.#like(place)
  }

  async #like(place: string): Promise<void> {
    const { seriesId, index, study } = this.#pane
    if (seriesId === null || !study) return
    this.#last = () => this.#like(place)
    const query = this.#query()
    await this.#run({ kind: 'image', text: query.text, place, studyId: study.id }, (jobId, onProgress) =>
      this.#backend.librarySimilar(jobId, seriesId, index, query, onProgress),
    )
  }

  /** Forgets a search, such as one by an image of a study that was closed. */
  clear(): void {
    this.#wish++
    this.#found = null
    this.#last = null
  }

  /** A case, whole, once {@link load} has brought it. */
  case(caseId: string): CaseView | null {
    return this.#cases[caseId] ?? null
  }

  /** Brings a case. */
  async load(caseId: string): Promise<void> {
    if (this.#cases[caseId]?.value) return
    this.#cases[caseId] = { value: null, error: null }
    try {
      this.#cases[caseId] = { value: await this.#backend.libraryCase(caseId), error: null }
    } catch (reason) {
      this.#cases[caseId] = { value: null, error: BackendError.from(reason).message }
    }
  }

  /** Deletes a case and every trace of it. */
  async remove(caseId: string): Promise<void> {
    try {
      const left = remaining(await this.#backend.libraryDelete([caseId]))
      if (left) this.#messages.add('warning', 'case_learned', left)
    } catch (reason) {
      this.#messages.fail(reason)
      return
    }
    Reflect.deleteProperty(this.#cases, caseId)
    if (this.#found) {
      const hits = this.#found.hits.hits.filter((hit) => hit.case_id !== caseId)
      this.#found = { ...this.#found, hits: { ...this.#found.hits, hits } }
    }
    await this.refresh()
  }

  #query(): LibraryQuery {
    return {
      text: this.text.trim(),
      by: this.by,
      k: this.#count,
      filter: { ...this.filter },
      same_patient: this.samePatient,
    }
  }

  /** One search at a time: a newer one stops the one before. */
  async #run(sought: Sought, work: Search): Promise<void> {
    const wish = ++this.#wish
    if (this.#job !== null) void this.#jobs.cancel(this.#job)
    this.searching = true
    const outcome = await this.#jobs.run('Searching the library', (jobId, onProgress) => {
      this.#job = jobId
      return work(jobId, onProgress)
    })
    if (wish !== this.#wish) return
    this.#job = null
    this.searching = false
    if (outcome.kind === 'done') this.#found = { sought, hits: outcome.value }
  }
}
