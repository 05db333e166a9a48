/** Zoom by dragging or with Ctrl and the wheel: upwards nearer, about the place where it began. */

import { type Point, type View, zoomedAt } from '../geometry'

/** CSS pixels of dragging that change the zoom by a factor of e. */
const REACH = 200

/**
 * The view after a vertical drag.
 *
 * - `zoom`: in force when the drag began
 * - `at`: where it began, CSS pixels from the viewport's centre
 */
export function zoomDragged(start: View, zoom: number, deltaY: number, at: Point): View {
  return zoomedAt(start, zoom, Math.exp(-deltaY / REACH), at)
}
