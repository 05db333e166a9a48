/** How one viewport follows another: the same window, the same part of the image, the same way through a series. */

import type { FrameInfo, WindowDto } from '../backend/types'
import { fitZoom, type Size, type View, ZOOM_LIMITS, zoomOf } from './geometry'
import { clampIndex } from './tools/scroll'

/** An image in its viewport. */
export interface Placed {
  info: FrameInfo
  view: View
  viewport: Size
}

/**
 * True when a window of one image means something in the other: Hounsfield units are the same everywhere, other values are
 * compared by how they stand to the file's own window.
 */
export function comparable(one: string, other: string): boolean {
  return (one === 'CT') === (other === 'CT')
}

/**
 * The window with which an image looks like another does.
 *
 * - `window`: in force for the image with `from`, in its modality units
 * - `absolute`: both images have the same units, as two CTs do; otherwise the window keeps its place relative to the
 *   default window of its image
 */
export function linkedWindow(window: WindowDto, from: FrameInfo, to: FrameInfo, absolute: boolean): WindowDto {
  if (absolute) return window
  const [own, other] = [from.default_window, to.default_window]
  const ratio = other.width / own.width
  return {
    center: other.center + (window.center - own.center) * ratio,
    width: window.width * ratio,
    // A linear window is at least 1 wide (PS3.3 C.11.2.1.2); one that was made narrower by the ratio need not be.
    function: window.function === 'LINEAR' && window.width * ratio < 1 ? 'LINEAR_EXACT' : window.function,
  }
}

/** Size of the fitted image on the screen, CSS pixels, turned as it is. */
function fitted({ info, view, viewport }: Placed): Size {
  const size = { width: info.columns, height: info.rows }
  const zoom = fitZoom(size, info.pixel_aspect, viewport, view.turn)
  const [width, height] = [size.width * zoom, size.height * info.pixel_aspect * zoom]
  return view.turn[0] === 0 ? { width: height, height: width } : { width, height }
}

/** The view that shows the same part of another image, as fractions of what is fitted. Turns stay each image's own. */
export function linkedView(from: Placed, to: Placed): View {
  const [own, other] = [fitted(from), fitted(to)]
  const pan = {
    x: (from.view.pan.x * other.width) / own.width,
    y: (from.view.pan.y * other.height) / own.height,
  }
  if (from.view.zoom === 'fit') return { zoom: 'fit', pan, turn: to.view.turn }
  const size = ({ info }: Placed): Size => ({ width: info.columns, height: info.rows })
  const fit = (placed: Placed): number =>
    zoomOf({ ...placed.view, zoom: 'fit' }, size(placed), placed.info.pixel_aspect, placed.viewport)
  const zoom = (from.view.zoom / fit(from)) * fit(to)
  return { zoom: Math.min(Math.max(zoom, ZOOM_LIMITS.min), ZOOM_LIMITS.max), pan, turn: to.view.turn }
}

/**
 * The frame of a series that goes with a frame of another.
 *
 * - `anchor`: frames of both that belong together; the distance from there is kept
 * - `count`: frames of the series that follows
 */
export function linkedIndex(index: number, anchor: { leader: number; follower: number }, count: number): number {
  return clampIndex(anchor.follower + index - anchor.leader, count)
}

/** The frame at the same part of the way through another series. */
export function proportionalIndex(index: number, count: number, otherCount: number): number {
  return count < 2 ? 0 : clampIndex(Math.round((index / (count - 1)) * (otherCount - 1)), otherCount)
}
