import {
  type Backend,
  BackendError,
  type OpenReportDto,
  type RejectedDto,
  type SeriesDto,
  type StudyDto,
  type WindowDto,
} from '../backend'
import { FrameCache, neighbours } from '../viewer/cache'
import { Frame } from '../viewer/frame'
import { initialView, type View } from '../viewer/geometry'
import { type Grey, voiOf } from '../viewer/lut'
import { presetsFor } from '../viewer/presets'
import { clampIndex } from '../viewer/tools/scroll'
import type { Jobs } from './jobs.svelte'
import type { Messages } from './messages.svelte'

/** How a series is shown; kept while scrolling and while another series is shown. */
export interface Look {
  grey: Grey
  invert: boolean
  view: View
  index: number
}

const freshLook = (): Look => ({ grey: { kind: 'file' }, invert: false, view: initialView(), index: 0 })

/** A loading frame is told of after this time. */
const SLOW_FRAME_MS = 300
/** Frames fetched ahead. */
const REACH = 12
const MIB = 2 ** 20

/** The open studies, which frame is shown, and how. */
export class StudyState {
  studies = $state.raw<StudyDto[]>([])
  /** Files that the last opening refused. */
  rejected = $state.raw<RejectedDto[]>([])
  seriesId = $state<string | null>(null)
  /** The frame on the screen; stays until the next one has come. */
  frame = $state.raw<Frame | null>(null)
  /** Why the wanted frame cannot be shown. */
  frameError = $state.raw<BackendError | null>(null)
  /** True when the wanted frame takes its time. */
  slow = $state(false)
  playing = $state(false)

  #looks = $state<Record<string, Look>>({})
  readonly #backend: Backend
  readonly #jobs: Jobs
  readonly #messages: Messages
  readonly #cache: FrameCache<Frame>
  #direction: 1 | -1 = 1
  #loading = false

  constructor(backend: Backend, jobs: Jobs, messages: Messages, cacheMiB: number) {
    this.#backend = backend
    this.#jobs = jobs
    this.#messages = messages
    this.#cache = new FrameCache(cacheMiB * MIB, (series, index) => this.#fetch(series, index))
  }

  /** The series that is shown. */
  series = $derived.by((): SeriesDto | null => {
    for (const study of this.studies) {
      const found = study.series.find((series) => series.id === this.seriesId)
      if (found) return found
    }
    return null
  })

  /** The study that is shown. */
  study = $derived.by(
    (): StudyDto | null =>
      this.studies.find((study) => study.series.some((series) => series.id === this.seriesId)) ?? null,
  )

  /** How the shown series is looked at. */
  get look(): Look {
    return (this.seriesId !== null && this.#looks[this.seriesId]) || freshLook()
  }

  /** The wanted frame of the shown series, counted from 0. */
  get index(): number {
    return this.look.index
  }

  /** True when the frame on the screen is the wanted one. */
  get current(): boolean {
    return this.frame !== null && this.frame.key === `${this.seriesId}:${this.index}`
  }

  /** The window in force for the frame on the screen; none while a VOI table of the file is. */
  window = $derived.by((): WindowDto | null => {
    if (!this.frame || this.frame.info.samples !== 1) return null
    const voi = voiOf(this.frame.info, this.look.grey)
    return voi.kind === 'window' ? { center: voi.center, width: voi.width, function: voi.function } : null
  })

  set cacheMiB(size: number) {
    this.#cache.limit = size * MIB
  }

  /** Opens files and folders and shows the first study of them. */
  async open(paths: string[]): Promise<void> {
    if (paths.length === 0) return
    await this.#opened((jobId, onProgress) => this.#backend.openPaths(jobId, paths, onProgress), 'Opening files')
  }

  /** Opens the synthetic study that comes with the application. */
  async openDemo(): Promise<void> {
    await this.#opened((jobId, onProgress) => this.#backend.openDemo(jobId, onProgress), 'Opening the demo study')
  }

  async #opened(work: Parameters<Jobs['run']>[1], title: string): Promise<void> {
    const outcome = await this.#jobs.run(title, work)
    if (outcome.kind === 'done') this.#take(outcome.value as OpenReportDto)
  }

  #take({ studies, rejected, cancelled }: OpenReportDto): void {
    const again = (old: StudyDto): boolean => studies.some((study) => study.id === old.id)
    for (const old of this.studies.filter(again)) for (const series of old.series) this.#forget(series.id)
    this.studies = [...this.studies.filter((old) => !again(old)), ...studies]
    this.rejected = rejected
    const first = rejected[0]
    if (first && studies.length === 0) {
      const more = rejected.length > 1 ? ` (and ${rejected.length - 1} more)` : ''
      this.#messages.add('error', first.code, `${first.path}: ${first.message}${more}`)
    } else if (first) {
      const count = rejected.length === 1 ? 'One file was' : `${rejected.length} files were`
      this.#messages.add('warning', 'rejected', `${count} not opened; the list of studies says why.`)
    } else if (studies.length === 0 && !cancelled) {
      this.#messages.add('warning', 'nothing_found', 'No images were found there.')
    }
    const series = studies.find((study) => study.series.length > 0)?.series[0]
    if (series) this.select(series.id)
  }

  /** Closes a study and forgets its frames. */
  async close(studyId: string): Promise<void> {
    const study = this.studies.find((candidate) => candidate.id === studyId)
    if (!study) return
    this.studies = this.studies.filter((candidate) => candidate.id !== studyId)
    for (const series of study.series) this.#forget(series.id)
    if (study.series.some((series) => series.id === this.seriesId)) {
      this.frame = null
      this.frameError = null
      this.seriesId = null
      const next = this.studies[0]?.series[0]
      if (next) this.select(next.id)
    }
    try {
      await this.#backend.closeStudy(studyId)
    } catch (reason) {
      this.#messages.fail(reason)
    }
  }

  #forget(seriesId: string): void {
    this.#cache.drop(seriesId)
    Reflect.deleteProperty(this.#looks, seriesId)
  }

  /** Shows a series. */
  select(seriesId: string): void {
    this.#looks[seriesId] ??= freshLook()
    this.seriesId = seriesId
    this.playing = false
    void this.#load()
  }

  /** Shows the next or previous series of all studies. */
  stepSeries(step: 1 | -1): void {
    const all = this.studies.flatMap((study) => study.series)
    const at = all.findIndex((series) => series.id === this.seriesId)
    const next = all[at + step]
    if (next) this.select(next.id)
  }

  /** Shows a frame of the shown series. */
  goTo(index: number): void {
    const { series } = this
    if (!series) return
    const wanted = clampIndex(index, series.frames)
    if (wanted === this.index) return
    this.#direction = wanted > this.index ? 1 : -1
    this.#change({ index: wanted })
    void this.#load()
  }

  /** Goes forward or back by frames. */
  scroll(frames: number): void {
    this.goTo(this.index + frames)
  }

  /** Shows the next frame, after the last the first. */
  advance(): void {
    const { series } = this
    if (series && series.frames > 1) this.goTo((this.index + 1) % series.frames)
  }

  setGrey(grey: Grey): void {
    this.#change({ grey })
  }

  setView(view: View): void {
    this.#change({ view })
  }

  toggleInvert(): void {
    this.#change({ invert: !this.look.invert })
  }

  /** The file's window, upright and fitted; keeps the frame. */
  reset(): void {
    this.#change({ ...freshLook(), index: this.index })
  }

  /** Takes the preset on a key, counted from 0. */
  applyPreset(number: number): void {
    if (!this.frame || !this.series || this.frame.info.samples !== 1) return
    const grey = presetsFor(this.series.modality)[number]?.grey(this.frame)
    if (grey) this.setGrey(grey)
  }

  #change(changes: Partial<Look>): void {
    if (this.seriesId === null) return
    this.#looks[this.seriesId] = { ...this.look, ...changes }
  }

  async #fetch(series: string, index: number): Promise<Frame> {
    const [info, bytes] = await Promise.all([
      this.#backend.frameInfo(series, index),
      this.#backend.framePixels(series, index),
    ])
    return new Frame(`${series}:${index}`, info, bytes)
  }

  /** Brings the wanted frame to the screen, one fetch at a time: frames that were scrolled past are not fetched. */
  async #load(): Promise<void> {
    if (this.#loading) return
    this.#loading = true
    try {
      let failed: string | undefined
      while (this.seriesId !== null && !this.current) {
        const { seriesId, index } = this
        const key = `${seriesId}:${index}`
        if (key === failed) return
        const held = this.#cache.peek(seriesId, index)
        if (held) {
          this.#show(held)
          continue
        }
        this.#cache.prefetch(seriesId, []) // what is wanted now goes first
        const timer = setTimeout(() => {
          this.slow = true
        }, SLOW_FRAME_MS)
        try {
          const frame = await this.#cache.get(seriesId, index)
          if (this.seriesId === seriesId) this.#show(frame)
        } catch (reason) {
          if (this.seriesId !== seriesId || this.index !== index) continue
          failed = key
          this.frame = null
          this.frameError = BackendError.from(reason)
          this.#messages.fail(reason)
        } finally {
          clearTimeout(timer)
          this.slow = false
        }
      }
    } finally {
      this.#loading = false
    }
    const { series } = this
    if (series && series.frames > 1)
      this.#cache.prefetch(series.id, neighbours(this.index, series.frames, this.#direction, REACH))
  }

  #show(frame: Frame): void {
    this.frame = frame
    this.frameError = null
  }
}
