/** Pan by dragging: the image follows the pointer. */

import type { Point, View } from '../geometry'

/** The view after a drag by `delta` CSS pixels since `start`; `zoom` is the zoom in force. */
export function panned(start: View, zoom: number, delta: Point): View {
  return { zoom, pan: { x: start.pan.x + delta.x, y: start.pan.y + delta.y }, turn: start.turn }
}
