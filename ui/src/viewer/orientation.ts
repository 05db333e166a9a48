/** Letters at the edges of the image: which way the patient lies. */

import type { FrameInfo } from '../backend/types'
import { type Turn } from './geometry'

/** Letters at the four edges. */
export interface EdgeLetters {
  left: string
  right: string
  top: string
  bottom: string
}

/** A direction this far from an axis, as a cosine, gets no letter of that axis. */
const OBLIQUE = 0.3

/**
 * The patient's directions nearest to a vector in the patient coordinate system (x to the left, y to posterior, z to the
 * head), strongest first, two at most. Source: PS3.3 C.7.6.2.1.1.
 */
export function directionLetters(vector: readonly number[]): string {
  const [x = 0, y = 0, z = 0] = vector
  const length = Math.hypot(x, y, z)
  if (!(length > 0)) return ''
  return [
    { size: Math.abs(x), letter: x > 0 ? 'L' : 'R' },
    { size: Math.abs(y), letter: y > 0 ? 'P' : 'A' },
    { size: Math.abs(z), letter: z > 0 ? 'H' : 'F' },
  ]
    .filter(({ size }) => size / length > OBLIQUE)
    .sort((p, q) => q.size - p.size)
    .slice(0, 2)
    .map(({ letter }) => letter)
    .join('')
}

const OPPOSITE: Record<string, string> = { L: 'R', R: 'L', A: 'P', P: 'A', H: 'F', F: 'H' }

/** The other way: `PL` becomes `AR`. */
export function oppositeLetters(letters: string): string {
  return [...letters].map((letter) => OPPOSITE[letter] ?? '').join('')
}

/** Letters of the direction that is `column` image columns and `row` image rows long, none or one of them ±1. */
type Directions = (column: number, row: number) => string

function fromVectors(orientation: readonly number[]): Directions {
  const alongRow = orientation.slice(0, 3)
  const downColumn = orientation.slice(3)
  return (column, row) =>
    directionLetters(alongRow.map((value, axis) => value * column + (downColumn[axis] ?? 0) * row))
}

function fromLetters([alongRow, downColumn]: readonly [string, string]): Directions {
  return (column, row) => {
    const letters = column !== 0 ? alongRow : downColumn
    return column + row > 0 ? letters : oppositeLetters(letters)
  }
}

/**
 * Letters for the edges of the screen, from Image Orientation (Patient) or, where there is none, from the letters of Patient
 * Orientation; none if the file states neither. Source: PS3.3 C.7.6.1.1.1.
 */
export function edgeLetters(
  info: Pick<FrameInfo, 'orientation' | 'patient_orientation'>,
  turn: Turn,
): EdgeLetters | null {
  const directions =
    info.orientation?.length === 6
      ? fromVectors(info.orientation)
      : info.patient_orientation
        ? fromLetters(info.patient_orientation)
        : null
  if (!directions) return null
  // Turns are orthogonal: screen direction s is image direction turn^T s.
  const onScreen = (x: number, y: number): string => directions(turn[0] * x + turn[2] * y, turn[1] * x + turn[3] * y)
  return { left: onScreen(-1, 0), right: onScreen(1, 0), top: onScreen(0, -1), bottom: onScreen(0, 1) }
}
