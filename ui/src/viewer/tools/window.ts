/** Window by dragging: to the right wider, downwards a higher centre (darker). */

import type { WindowDto } from '../../backend/types'
import type { Point } from '../geometry'

/** CSS pixels of dragging that change the width by a factor of e, or the centre by a width. */
const REACH = 320

/** The window after a drag by `delta` CSS pixels since `start` was in force. */
export function windowDragged(start: WindowDto, delta: Point): WindowDto {
  const width = start.width * Math.exp(delta.x / REACH)
  const center = start.center + (delta.y / REACH) * Math.max(start.width, 1e-9)
  return { ...tidy(center, width, start), function: start.function }
}

/** Whole numbers where a step of one is finer than a hundredth of the window. */
function tidy(center: number, width: number, start: WindowDto): Pick<WindowDto, 'center' | 'width'> {
  const smallest = start.function === 'LINEAR' ? 1 : 1e-6
  const held = Math.max(width, smallest)
  if (held < 100) return { center: round(center, 100), width: Math.max(round(held, 100), smallest) }
  return { center: Math.round(center), width: Math.round(held) }
}

function round(value: number, parts: number): number {
  return Math.abs(value) < 1 ? value : Math.round(value * parts) / parts
}
