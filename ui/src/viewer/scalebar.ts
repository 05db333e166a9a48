/** A bar of a round length in the patient or at the detector. */

import type { SpacingDto } from '../backend/types'

/** A scale bar. */
export interface ScaleBar {
  /** Length on the screen, CSS pixels. */
  pixels: number
  /** Length in words, with what it holds for. */
  label: string
}

const ROUND = [1, 2, 5]

/**
 * The longest bar of 1, 2 or 5 times a power of ten that is at most `longest` CSS pixels. None without a known spacing.
 *
 * - `zoom`: CSS pixels an image pixel is wide
 */
export function scaleBar(spacing: SpacingDto | null, zoom: number, longest: number): ScaleBar | null {
  if (!spacing || !(spacing.column_mm > 0) || !(zoom > 0)) return null
  const pixelsPerMm = zoom / spacing.column_mm
  const limit = longest / pixelsPerMm
  const decade = 10 ** Math.floor(Math.log10(limit))
  const factor = ROUND.findLast((candidate) => candidate * decade <= limit * (1 + 1e-9)) ?? 1
  const length = factor * decade
  const text = length >= 10 ? `${round(length / 10)} cm` : `${round(length)} mm`
  const holds = spacing.kind === 'calibrated' ? 'calibrated' : 'at detector'
  return { pixels: length * pixelsPerMm, label: `${text}, ${holds}` }
}

function round(value: number): string {
  return String(Number(value.toPrecision(3)))
}
