/** The value under the pointer. */

import type { Frame } from '../frame'
import type { Point } from '../geometry'
import { modalityValue } from '../lut'

/** A pixel and what it holds. */
export interface Readout {
  /** Column and row, counted from 0. */
  column: number
  row: number
  /** In words, with its unit if the modality has one. */
  value: string
}

/** The value at a place in image coordinates; none outside the image. */
export function readoutAt(frame: Frame, modality: string, place: Point): Readout | null {
  const { info, values } = frame
  const column = Math.floor(place.x)
  const row = Math.floor(place.y)
  if (column < 0 || row < 0 || column >= info.columns || row >= info.rows) return null
  const at = (row * info.columns + column) * info.samples
  if (info.samples === 3) return { column, row, value: `RGB ${values[at]} ${values[at + 1]} ${values[at + 2]}` }
  const x = modalityValue(info.modality, values[at]!)
  const text = Number.isInteger(x) ? String(x) : x.toPrecision(5)
  return { column, row, value: modality === 'CT' ? `${text} HU` : text }
}
