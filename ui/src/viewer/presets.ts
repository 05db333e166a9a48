/** Windows on the keys 1 to 5. */

import type { FrameInfo, WindowDto } from '../backend/types'
import type { Frame } from './frame'
import { type Grey, modalityValue } from './lut'

/** One preset of a modality. */
export interface Preset {
  name: string
  /** What the frame is shown with; none if the frame's values give no window. */
  grey: (frame: Frame) => Grey | null
}

const fixed =
  (center: number, width: number): Preset['grey'] =>
  () => ({ kind: 'window', window: { center, width, function: 'LINEAR' } })

/** Hounsfield units; the values are those in common clinical use. */
const CT: Preset[] = [
  { name: 'Brain', grey: fixed(40, 80) },
  { name: 'Subdural', grey: fixed(75, 215) },
  { name: 'Bone', grey: fixed(400, 1800) },
  { name: 'Lung', grey: fixed(-600, 1500) },
  { name: 'Soft tissue', grey: fixed(50, 400) },
]

const PROJECTION: Preset[] = [
  { name: 'Default', grey: () => ({ kind: 'file' }) },
  { name: 'Full range', grey: (frame) => spanning(frame, 0, 1) },
  { name: 'Middle 96 %', grey: (frame) => spanning(frame, 0.02, 0.98) },
  { name: 'Narrow', grey: (frame) => stretched(frame.info, 0.5) },
  { name: 'Wide', grey: (frame) => stretched(frame.info, 2) },
]

/** The five presets of a modality. */
export function presetsFor(modality: string): Preset[] {
  return modality === 'CT' ? CT : PROJECTION
}

function stretched(info: FrameInfo, factor: number): Grey {
  const { center, width } = info.default_window
  return { kind: 'window', window: { center, width: Math.max(width * factor, 1), function: 'LINEAR' } }
}

function spanning(frame: Frame, low: number, high: number): Grey | null {
  const ends = quantiles(frame, low, high)
  if (!ends) return null
  const [from, to] = ends
  return { kind: 'window', window: windowSpanning(from, to) }
}

/** The window that shows `low` black and `high` white. */
export function windowSpanning(low: number, high: number): WindowDto {
  const width = high - low
  return { center: low + width / 2, width: width > 0 ? width : 1, function: 'LINEAR_EXACT' }
}

/** At most this many values are looked at: a fraction needs no more. */
const SAMPLE = 200_000

/** Modality values at two fractions of all values that are neither padding nor not a number. */
export function quantiles(frame: Frame, low: number, high: number): [number, number] | null {
  const { values, info } = frame
  const exact = low <= 0 && high >= 1
  const step = exact ? 1 : Math.max(1, Math.floor(values.length / SAMPLE))
  if (exact) {
    let min = Infinity
    let max = -Infinity
    for (const stored of values) {
      if (stored === info.padding || !Number.isFinite(stored)) continue
      const x = modalityValue(info.modality, stored)
      if (x < min) min = x
      if (x > max) max = x
    }
    return min <= max ? [min, max] : null
  }
  const sample: number[] = []
  for (let i = 0; i < values.length; i += step) {
    const stored = values[i]!
    if (stored !== info.padding && Number.isFinite(stored)) sample.push(modalityValue(info.modality, stored))
  }
  if (sample.length === 0) return null
  const sorted = Float64Array.from(sample).sort()
  const at = (fraction: number): number => sorted[Math.round(fraction * (sorted.length - 1))]!
  return [at(low), at(high)]
}
