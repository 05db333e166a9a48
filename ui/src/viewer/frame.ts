/** A decoded frame in memory, with smaller versions of itself for drawing it reduced. */

import type { FrameInfo } from '../backend/types'
import { type StoredValues, storedValues } from './lut'

/** Stored values of one size. */
export interface Level {
  columns: number
  rows: number
  /** Row by row, samples interleaved. */
  values: StoredValues
}

/** One frame: what it is, and its values at full size and, once asked for, at halves of it. */
export class Frame {
  readonly key: string
  readonly info: FrameInfo
  readonly #levels: Level[]

  /** `bytes` as `frame_pixels` delivers them. Throws if they are not as many as `info` says. */
  constructor(key: string, info: FrameInfo, bytes: ArrayBuffer) {
    const values = storedValues(info.kind, bytes)
    const wanted = info.rows * info.columns * info.samples
    if (values.length !== wanted) throw new Error(`the frame has ${values.length} values instead of ${wanted}`)
    this.key = key
    this.info = info
    this.#levels = [{ columns: info.columns, rows: info.rows, values }]
  }

  /** Memory of all levels that exist. */
  get bytes(): number {
    return this.#levels.reduce((sum, level) => sum + level.values.byteLength, 0)
  }

  /** Stored values at full size. */
  get values(): StoredValues {
    return this.#levels[0]!.values
  }

  /** The level that is reduced by 2^`reduction`, made on first use. */
  level(reduction: number): Level {
    while (this.#levels.length <= reduction) this.#levels.push(halve(this.#levels.at(-1)!, this.info.samples))
    return this.#levels[reduction]!
  }

  /**
   * How often to halve the frame before drawing it at `scale` device pixels a pixel, so that each device pixel sees all
   * the values it covers. Values behind a table are not averaged: their mean means nothing.
   */
  reductionFor(scale: number): number {
    if (this.info.modality.kind === 'lut' || !(scale > 0)) return 0
    const wanted = Math.floor(Math.log2(1 / scale) + 1e-6)
    const smallest = Math.max(0, Math.floor(Math.log2(Math.min(this.info.rows, this.info.columns) / 16)))
    return Math.max(0, Math.min(wanted, smallest))
  }
}

/** Means of 2 × 2 values, rounded half up in integer kinds; an odd last row or column is averaged with itself. */
function halve(level: Level, samples: number): Level {
  const columns = Math.ceil(level.columns / 2)
  const rows = Math.ceil(level.rows / 2)
  const from = level.values
  const Kind = from.constructor as new (length: number) => StoredValues
  const values = new Kind(columns * rows * samples)
  const rounding = from instanceof Float32Array || from instanceof Float64Array ? 0 : 0.5
  let to = 0
  for (let y = 0; y < rows; y++) {
    const upper = 2 * y * level.columns
    const lower = Math.min(2 * y + 1, level.rows - 1) * level.columns
    for (let x = 0; x < columns; x++) {
      const left = 2 * x
      const right = Math.min(left + 1, level.columns - 1)
      for (let s = 0; s < samples; s++) {
        const sum =
          from[(upper + left) * samples + s]! +
          from[(upper + right) * samples + s]! +
          from[(lower + left) * samples + s]! +
          from[(lower + right) * samples + s]!
        values[to++] = rounding ? Math.floor(sum / 4 + rounding) : sum / 4
      }
    }
  }
  return { columns, rows, values }
}
