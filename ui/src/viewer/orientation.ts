/** Letters at the edges of the image: which way the patient lies. */

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

/**
 * Letters for the edges of the screen.
 *
 * - `orientation`: direction of a row, then of a column, six numbers (Image Orientation (Patient)); none gives none
 */
export function edgeLetters(orientation: readonly number[] | null, turn: Turn): EdgeLetters | null {
  if (orientation?.length !== 6) return null
  const alongRow = orientation.slice(0, 3)
  const downColumn = orientation.slice(3)
  // Turns are orthogonal: screen direction s is image direction turn^T s.
  const onScreen = (x: number, y: number): string => {
    const column = turn[0] * x + turn[2] * y
    const row = turn[1] * x + turn[3] * y
    return directionLetters(alongRow.map((value, axis) => value * column + (downColumn[axis] ?? 0) * row))
  }
  return { left: onScreen(-1, 0), right: onScreen(1, 0), top: onScreen(0, -1), bottom: onScreen(0, 1) }
}
