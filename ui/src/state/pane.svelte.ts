import { type Backend, BackendError, type SeriesDto, type StudyDto, type WindowDto } from '../backend'
import { FrameCache, neighbours } from '../viewer/cache'
import { Frame } from '../viewer/frame'
import { initialView, type Size, type View } from '../viewer/geometry'
import { type Grey, voiOf } from '../viewer/lut'
import { presetsFor } from '../viewer/presets'
import { clampIndex } from '../viewer/tools/scroll'
import type { Messages } from './messages.svelte'
import type { Studies } from './studies.svelte'

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

/** What changed in a pane: grey levels, zoom and place, the frame, or the series, once its first frame has come. */
export type PaneChange = 'grey' | 'view' | 'scroll' | 'series'

/** One viewport: which frame is shown, and how. */
export class Pane {
  seriesId = $state<string | null>(null)
  /** The frame on the screen; stays until the next one has come. */
  frame = $state.raw<Frame | null>(null)
  /** Why the wanted frame cannot be shown. */
  frameError = $state.raw<BackendError | null>(null)
  /** True when the wanted frame takes its time. */
  slow = $state(false)
  playing = $state(false)
  /** Size of the viewport, CSS pixels. */
  viewport = $state.raw<Size>({ width: 1, height: 1 })
  /** Told of every change, after it. */
  onchange: ((change: PaneChange) => void) | null = null

  #looks = $state<Record<string, Look>>({})
  readonly #backend: Backend
  readonly #studies: Studies
  readonly #messages: Messages
  readonly #cache: FrameCache<Frame>
  #direction: 1 | -1 = 1
  #loading = false

  constructor(backend: Backend, studies: Studies, messages: Messages, cacheMiB: number) {
    this.#backend = backend
    this.#studies = studies
    this.#messages = messages
    this.#cache = new FrameCache(cacheMiB * MIB, (series, index) => this.#fetch(series, index))
  }

  /** The study that is shown. */
  study = $derived.by((): StudyDto | null => this.#studies.of(this.seriesId))

  /** The series that is shown. */
  series = $derived.by((): SeriesDto | null => this.study?.series.find(({ id }) => id === this.seriesId) ?? null)

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

  /** Memory for frames. */
  set cacheMiB(size: number) {
    this.#cache.limit = size * MIB
  }

  /** Forgets the frames of series that were closed, and shows none of them. */
  forget(seriesIds: string[]): void {
    for (const series of seriesIds) {
      this.#cache.drop(series)
      Reflect.deleteProperty(this.#looks, series)
    }
    if (this.seriesId !== null && seriesIds.includes(this.seriesId)) this.clear()
  }

  /** Forgets the frames of series that were opened again; how they are looked at stays. */
  renew(seriesIds: string[]): void {
    for (const series of seriesIds) this.#cache.drop(series)
    if (this.seriesId === null || !seriesIds.includes(this.seriesId)) return
    const { seriesId } = this
    this.clear()
    if (this.#studies.of(seriesId)) this.select(seriesId)
  }

  /** Shows nothing. */
  clear(): void {
    this.frame = null
    this.frameError = null
    this.seriesId = null
    this.playing = false
  }

  /** Shows a series. */
  select(seriesId: string): void {
    const look = (this.#looks[seriesId] ??= freshLook())
    this.seriesId = seriesId
    this.playing = false
    // Opened again, a series may have fewer frames than before.
    if (this.series) look.index = clampIndex(look.index, this.series.frames)
    void this.#load()
  }

  /** Shows the next or previous series of those that stand beside the shown one. */
  stepSeries(step: 1 | -1): void {
    const all = this.#studies.beside(this.seriesId)
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
    this.#change({ index: wanted }, 'scroll')
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
    this.#change({ grey }, 'grey')
  }

  setView(view: View): void {
    this.#change({ view }, 'view')
  }

  setInvert(invert: boolean): void {
    this.#change({ invert }, 'grey')
  }

  toggleInvert(): void {
    this.setInvert(!this.look.invert)
  }

  /** The file's window, upright and fitted; keeps the frame. */
  reset(): void {
    this.#change({ ...freshLook(), index: this.index }, 'grey', 'view')
  }

  /** Takes the preset on a key, counted from 0. */
  applyPreset(number: number): void {
    if (!this.frame || !this.series || this.frame.info.samples !== 1) return
    const grey = presetsFor(this.series.modality)[number]?.grey(this.frame)
    if (grey) this.setGrey(grey)
  }

  #change(changes: Partial<Look>, ...what: PaneChange[]): void {
    if (this.seriesId === null) return
    this.#looks[this.seriesId] = { ...this.look, ...changes }
    for (const change of what) this.onchange?.(change)
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
    const { series } = this
    const first = series !== null && !(this.frame?.key.startsWith(`${series.id}:`) ?? false)
    this.frame = frame
    this.frameError = null
    if (first) this.onchange?.('series')
  }
}
