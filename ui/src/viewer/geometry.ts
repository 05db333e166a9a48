/** Where image pixels land in the viewport: zoom, pan, quarter turns and mirror images. */

/** A point or vector, x to the right and y down. */
export interface Point {
  x: number
  y: number
}

/** `[a b; c d]`: quarter turns and mirror images of the screen, entries −1, 0 or 1. */
export type Turn = readonly [a: number, b: number, c: number, d: number]

/** How a series is looked at. */
export interface View {
  /** CSS pixels an image pixel is wide, or `fit`. */
  zoom: number | 'fit'
  /** Where the image's centre lies from the viewport's centre, CSS pixels. */
  pan: Point
  turn: Turn
}

/** Width and height in some unit. */
export interface Size {
  width: number
  height: number
}

/** An affine map as canvas takes it: x' = a x + c y + e, y' = b x + d y + f. */
export interface Affine {
  a: number
  b: number
  c: number
  d: number
  e: number
  f: number
}

/** No turn. */
export const UPRIGHT: Turn = [1, 0, 0, 1]
/** A fitted, upright, centred image. */
export const initialView = (): View => ({ zoom: 'fit', pan: { x: 0, y: 0 }, turn: UPRIGHT })

/** `first`, then `second`. */
export function compose(second: Turn, first: Turn): Turn {
  const [a, b, c, d] = second
  const [e, f, g, h] = first
  return [a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h]
}

/** What the screen does to itself. */
export const TURNS = {
  clockwise: [0, -1, 1, 0],
  anticlockwise: [0, 1, -1, 0],
  mirror: [-1, 0, 0, 1],
  upsideDown: [1, 0, 0, -1],
} as const satisfies Record<string, Turn>

/** Applies a turn of the screen to a view: image and pan turn together. */
export function turned(view: View, turn: Turn): View {
  const [a, b, c, d] = turn
  const { x, y } = view.pan
  return { zoom: view.zoom, pan: { x: a * x + b * y, y: c * x + d * y }, turn: compose(turn, view.turn) }
}

/** The zoom at which the whole image is just visible. */
export function fitZoom(image: Size, aspect: number, viewport: Size, turn: Turn): number {
  const sideways = turn[0] === 0
  const width = sideways ? image.height * aspect : image.width
  const height = sideways ? image.width : image.height * aspect
  if (width <= 0 || height <= 0) return 1
  return Math.max(Math.min(viewport.width / width, viewport.height / height), 1e-3)
}

/** The zoom in CSS pixels an image pixel. */
export function zoomOf(view: View, image: Size, aspect: number, viewport: Size): number {
  return view.zoom === 'fit' ? fitZoom(image, aspect, viewport, view.turn) : view.zoom
}

/**
 * From image coordinates to CSS pixels of the viewport. Image coordinates count pixel edges: the first pixel reaches from
 * 0 to 1.
 */
export function imageToViewport(view: View, image: Size, aspect: number, viewport: Size): Affine {
  const zoom = zoomOf(view, image, aspect, viewport)
  const [a, b, c, d] = view.turn
  const m = { a: a * zoom, b: c * zoom, c: b * zoom * aspect, d: d * zoom * aspect }
  const centre = { x: image.width / 2, y: image.height / 2 }
  return {
    ...m,
    e: viewport.width / 2 + view.pan.x - (m.a * centre.x + m.c * centre.y),
    f: viewport.height / 2 + view.pan.y - (m.b * centre.x + m.d * centre.y),
  }
}

/** Applies a map to a point. */
export function apply(map: Affine, point: Point): Point {
  return { x: map.a * point.x + map.c * point.y + map.e, y: map.b * point.x + map.d * point.y + map.f }
}

/** The map that undoes `map`. */
export function inverse(map: Affine): Affine {
  const determinant = map.a * map.d - map.b * map.c
  const a = map.d / determinant
  const b = -map.b / determinant
  const c = -map.c / determinant
  const d = map.a / determinant
  return { a, b, c, d, e: -(a * map.e + c * map.f), f: -(b * map.e + d * map.f) }
}

/** Scales every output coordinate: from CSS pixels to device pixels. */
export function scaled(map: Affine, factor: number): Affine {
  return {
    a: map.a * factor,
    b: map.b * factor,
    c: map.c * factor,
    d: map.d * factor,
    e: map.e * factor,
    f: map.f * factor,
  }
}

/** The smallest and largest zoom that a person can choose. */
export const ZOOM_LIMITS = { min: 0.02, max: 64 } as const

/**
 * Zooms about a point of the viewport, which keeps its place in the image.
 *
 * - `at`: CSS pixels from the viewport's centre
 */
export function zoomedAt(view: View, from: number, factor: number, at: Point): View {
  const zoom = Math.min(Math.max(from * factor, ZOOM_LIMITS.min), ZOOM_LIMITS.max)
  const ratio = zoom / from
  return {
    zoom,
    pan: { x: at.x - (at.x - view.pan.x) * ratio, y: at.y - (at.y - view.pan.y) * ratio },
    turn: view.turn,
  }
}
