import type { Answer, Backend, Findings, SimilarCases, Suggestions } from '../backend'
import type { HeatMap } from '../backend/types'
import type { Jobs } from './jobs.svelte'
import type { Pane } from './pane.svelte'

/** The frame that something is about. */
export interface Place {
  studyId: string
  seriesId: string
  /** Counted from 0. */
  index: number
  /** Series and frame in words. */
  label: string
}

/** A question that was asked, and what came of it. */
export interface Asked {
  id: number
  place: Place
  question: string
  state: 'waiting' | 'done' | 'failed' | 'cancelled'
  answer: Answer | null
  error: string | null
}

/** A result for a frame, or the wait for it. */
export interface Result<T> {
  state: 'waiting' | 'done'
  value: T | null
}

const frameKey = (seriesId: string, index: number): string => `${seriesId}:${index}`

/** Answers, findings and similar cases of this sitting. */
export class Evidence {
  /** Newest first. */
  asked = $state<Asked[]>([])
  /** The question whose heat map lies over its image. */
  heatOf = $state<number | null>(null)

  #hints = $state<Record<string, Suggestions>>({})
  #findings = $state<Record<string, Result<Findings>>>({})
  #similar = $state<Record<string, Result<SimilarCases>>>({})
  readonly #backend: Backend
  readonly #jobs: Jobs
  readonly #pane: Pane
  /** The series whose suggestions are on their way. */
  #hinting: string[] = []
  #next = 1

  constructor(backend: Backend, jobs: Jobs, pane: Pane) {
    this.#backend = backend
    this.#jobs = jobs
    this.#pane = pane
  }

  /** The questions about the shown study, newest first. */
  history = $derived.by(() => this.asked.filter((entry) => entry.place.studyId === this.#pane.study?.id))

  /** The heat map to draw over the frame on the screen. */
  heat = $derived.by((): HeatMap | null => {
    const entry = this.asked.find((candidate) => candidate.id === this.heatOf)
    const frame = this.#pane.frame
    if (!entry || !frame || frame.key !== frameKey(entry.place.seriesId, entry.place.index)) return null
    return entry.answer?.heat_map ?? null
  })

  /** Findings of the wanted frame. */
  get findings(): Result<Findings> | null {
    return this.#of(this.#findings)
  }

  /** Cases like the wanted frame. */
  get similar(): Result<SimilarCases> | null {
    return this.#of(this.#similar)
  }

  /** Questions that fit the shown series, once they are known. */
  get hints(): Suggestions | null {
    const { seriesId } = this.#pane
    return seriesId === null ? null : (this.#hints[seriesId] ?? null)
  }

  /** Learns which questions fit the shown series, by its frame on the screen. */
  async loadHints(): Promise<void> {
    const { place } = this
    if (!place || this.#hints[place.seriesId] || this.#hinting.includes(place.seriesId)) return
    const { seriesId, index } = place
    this.#hinting.push(seriesId)
    try {
      this.#hints[seriesId] = await this.#backend.suggest(seriesId, index)
    } catch {
      // A frame that cannot be read is told where it is shown; without suggestions one can ask all the same.
    } finally {
      this.#hinting = this.#hinting.filter((other) => other !== seriesId)
    }
  }

  /** Asks the suggested question with a number, counted from 0. */
  async askHint(number: number): Promise<void> {
    const question = this.hints?.questions[number]
    if (question !== undefined) await this.ask(question)
  }

  /** The frame that a new question is about. */
  get place(): Place | null {
    const { study, series, index } = this.#pane
    if (!study || !series) return null
    const name = series.description || series.modality
    return {
      studyId: study.id,
      seriesId: series.id,
      index,
      label: series.frames > 1 ? `${name}, image ${index + 1} of ${series.frames}` : name,
    }
  }

  /** Asks about the wanted frame. */
  async ask(question: string): Promise<void> {
    const { place } = this
    const words = question.trim()
    if (!place || words === '') return
    const id = this.#next++
    this.asked.unshift({ id, place, question: words, state: 'waiting', answer: null, error: null })
    const entry = this.asked[0]! // the reactive one
    const outcome = await this.#jobs.run('Answering', (jobId, onProgress) =>
      this.#backend.ask(jobId, place.seriesId, place.index, words, onProgress),
    )
    entry.state = outcome.kind
    if (outcome.kind === 'failed') entry.error = outcome.error.message
    if (outcome.kind !== 'done') return
    entry.answer = outcome.value
    // Whoever looks at one answer's evidence wants to see the next one's.
    if (this.heatOf !== null && outcome.value.heat_map) this.heatOf = id
  }

  /** Shows where an answer looked, at its own frame, or hides it. */
  toggleHeat(id: number): void {
    const entry = this.asked.find((candidate) => candidate.id === id)
    if (!entry?.answer?.heat_map) return
    if (this.heatOf === id && this.heat !== null) {
      this.heatOf = null
      return
    }
    this.heatOf = id
    if (this.#pane.seriesId !== entry.place.seriesId) this.#pane.select(entry.place.seriesId)
    this.#pane.goTo(entry.place.index)
  }

  /** The same for the newest answer that has a heat map. */
  toggleNewestHeat(): void {
    const shown = this.history.find((entry) => entry.id === this.heatOf)
    const entry = shown ?? this.history.find((candidate) => candidate.answer?.heat_map)
    if (entry) this.toggleHeat(entry.id)
  }

  async runFindings(): Promise<void> {
    await this.#fill(this.#findings, 'Scoring findings', (place, jobId, onProgress) =>
      this.#backend.findings(jobId, place.seriesId, place.index, onProgress),
    )
  }

  async runSimilar(count: number): Promise<void> {
    await this.#fill(this.#similar, 'Searching similar cases', (place, jobId, onProgress) =>
      this.#backend.similar(jobId, place.seriesId, place.index, count, onProgress),
    )
  }

  /** Forgets what is known of a study. */
  forget(studyId: string, seriesIds: string[]): void {
    this.asked = this.asked.filter((entry) => entry.place.studyId !== studyId)
    for (const series of seriesIds) Reflect.deleteProperty(this.#hints, series)
    for (const results of [this.#findings, this.#similar])
      for (const key of Object.keys(results))
        if (seriesIds.some((series) => key.startsWith(`${series}:`))) Reflect.deleteProperty(results, key)
  }

  /** Forgets what another pack said of frames; the questions stay, with their provenance. */
  forgetResults(): void {
    this.#hints = {}
    this.#findings = {}
    this.#similar = {}
  }

  #of<T>(results: Record<string, Result<T>>): Result<T> | null {
    const { seriesId, index } = this.#pane
    return seriesId === null ? null : (results[frameKey(seriesId, index)] ?? null)
  }

  async #fill<T>(
    results: Record<string, Result<T>>,
    title: string,
    work: (place: Place, ...job: Parameters<Parameters<Jobs['run']>[1]>) => Promise<T>,
  ): Promise<void> {
    const { place } = this
    if (!place) return
    const key = frameKey(place.seriesId, place.index)
    const before = results[key]
    if (before?.state === 'waiting') return
    results[key] = { state: 'waiting', value: before?.value ?? null }
    const outcome = await this.#jobs.run(title, (jobId, onProgress) => work(place, jobId, onProgress))
    if (outcome.kind === 'done') results[key] = { state: 'done', value: outcome.value }
    else if (before) results[key] = before
    else Reflect.deleteProperty(results, key)
  }
}
