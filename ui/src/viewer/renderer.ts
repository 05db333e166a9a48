/** What the two renderers share: the picture to draw, and bytes from stored values. */

import type { FrameInfo } from '../backend/types'
import type { Frame, Level } from './frame'
import type { Affine } from './geometry'
import { displayByte, displayTable, type Pipeline, pipelineKey } from './lut'

/** One picture to draw. */
export interface Picture {
  frame: Frame
  pipeline: Pipeline
  /** Image coordinates to device pixels of the target. */
  map: Affine
  /** Blend between pixels when enlarged. */
  interpolation: 'linear' | 'nearest'
}

/** Which renderer. */
export type RendererKind = 'cpu' | 'webgl2'

/** Draws pictures into a 2D canvas, so that what was drawn can be read back and drawn upon whichever renderer made it. */
export interface Renderer {
  readonly kind: RendererKind
  /** Draws over what is there. Throws if it cannot; the caller then takes another renderer. */
  paint(target: CanvasRenderingContext2D, picture: Picture): void
  dispose(): void
}

/**
 * How the canvas is made that a renderer draws into: what the processor draws stays in its memory; a picture from WebGL2 does
 * not have to leave the device.
 */
export function targetOptions(kind: RendererKind): CanvasRenderingContext2DSettings {
  return { alpha: false, willReadFrequently: kind === 'cpu' }
}

/** Device pixels that an image pixel is wide. */
export function scaleOf(map: Affine): number {
  return Math.hypot(map.a, map.b)
}

/** Display tables of the last few pipelines: frames of a series share theirs. */
export class Tables {
  readonly #tables = new Map<string, Uint8Array>()
  static readonly #KEPT = 8

  /** The display table of a grey frame's kind, or `undefined` if the kind has none. */
  get(info: FrameInfo, pipeline: Pipeline, key = pipelineKey(info.kind, pipeline)): Uint8Array | undefined {
    let table = this.#tables.get(key)
    if (table) return table
    table = displayTable(pipeline, info.kind)
    if (!table) return undefined
    this.#tables.set(key, table)
    if (this.#tables.size > Tables.#KEPT) this.#tables.delete(this.#tables.keys().next().value!)
    return table
  }
}

/** Values of a kind with a table, as their bits: the index into the table. */
export function rawBits(level: Level): Uint8Array | Uint16Array {
  const { buffer, byteOffset, length, BYTES_PER_ELEMENT } = level.values
  return BYTES_PER_ELEMENT === 1
    ? new Uint8Array(buffer, byteOffset, length)
    : new Uint16Array(buffer, byteOffset, length)
}

const OPAQUE = 0xff000000

/**
 * Writes a level as opaque RGBA words (little endian: 0xAABBGGRR).
 *
 * - `table`: the frame's display table if its kind has one
 * - `words`: one for each pixel
 */
export function shade(
  level: Level,
  info: FrameInfo,
  pipeline: Pipeline,
  table: Uint8Array | undefined,
  words: Uint32Array,
): void {
  const { values } = level
  if (info.samples === 3) {
    // Colour is shown as stored; only the user's inversion applies.
    const flip = pipeline.inverted ? 255 : 0
    for (let i = 0, from = 0; i < words.length; i++, from += 3)
      words[i] =
        OPAQUE | ((values[from + 2]! ^ flip) << 16) | ((values[from + 1]! ^ flip) << 8) | (values[from]! ^ flip)
    return
  }
  if (table) {
    const greys = new Uint32Array(table.length)
    for (let i = 0; i < table.length; i++) greys[i] = OPAQUE | (table[i]! * 0x010101)
    const raw = rawBits(level)
    for (let i = 0; i < words.length; i++) words[i] = greys[raw[i]!]!
    return
  }
  for (let i = 0; i < words.length; i++) words[i] = OPAQUE | (displayByte(pipeline, values[i]!) * 0x010101)
}
