/** Heat maps over the image: cells of relevance become a smooth, partly transparent picture of the region they cover. */

import type { HeatMap } from '../backend/types'
import { HEAT, STEPS } from './colourmap'
import type { Affine } from './geometry'

/** RGBA bytes, not premultiplied. */
export interface Rgba {
  width: number
  height: number
  data: Uint8ClampedArray<ArrayBuffer>
}

/** Pixels for each cell of the smooth picture. */
const FINENESS = 16
/** Relevance from which a place is fully covered; below, it fades, so that the image stays readable. */
const FULL = 0.5

/**
 * Relevance at a place, bilinear between cell centres, constant outside them.
 *
 * - `x`, `y`: in cells, 0 at the left or top edge of the map
 */
export function relevanceAt(map: HeatMap, x: number, y: number): number {
  const column = Math.min(Math.max(x - 0.5, 0), map.columns - 1)
  const row = Math.min(Math.max(y - 0.5, 0), map.rows - 1)
  const left = Math.floor(column)
  const top = Math.floor(row)
  const right = Math.min(left + 1, map.columns - 1)
  const bottom = Math.min(top + 1, map.rows - 1)
  const at = (r: number, c: number): number => map.values[r * map.columns + c] ?? 0
  const [u, v] = [column - left, row - top]
  const upper = at(top, left) * (1 - u) + at(top, right) * u
  const lower = at(bottom, left) * (1 - u) + at(bottom, right) * u
  return upper * (1 - v) + lower * v
}

/** The heat map as a picture of `region`: colour for relevance, opacity fading towards none. */
export function heatPicture(map: HeatMap): Rgba {
  const width = map.columns * FINENESS
  const height = map.rows * FINENESS
  const data = new Uint8ClampedArray(width * height * 4)
  let to = 0
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = Math.min(Math.max(relevanceAt(map, (x + 0.5) / FINENESS, (y + 0.5) / FINENESS), 0), 1)
      const [r, g, b] = HEAT[Math.round(value * (STEPS - 1))]!
      data[to++] = r
      data[to++] = g
      data[to++] = b
      data[to++] = Math.round(255 * Math.min(value / FULL, 1))
    }
  }
  return { width, height, data }
}

/** Draws heat maps, keeping the picture of the last one. */
export class HeatPainter {
  #canvas: HTMLCanvasElement | undefined
  #drawn: HeatMap | undefined

  /**
   * Draws over the image.
   *
   * - `map`: image coordinates to device pixels, the same as the image's
   * - `opacity`: 0 to 1
   */
  paint(target: CanvasRenderingContext2D, heat: HeatMap, map: Affine, opacity: number): void {
    if (this.#drawn !== heat) {
      const { width, height, data } = heatPicture(heat)
      this.#canvas ??= document.createElement('canvas')
      this.#canvas.width = width
      this.#canvas.height = height
      this.#canvas
        .getContext('2d', { willReadFrequently: true })
        ?.putImageData(new ImageData(data, width, height), 0, 0)
      this.#drawn = heat
    }
    const { x, y, width, height } = heat.region
    target.save()
    target.setTransform(map.a, map.b, map.c, map.d, map.e, map.f)
    target.globalAlpha = opacity
    target.imageSmoothingEnabled = true
    target.drawImage(this.#canvas!, x, y, width, height)
    target.restore()
  }
}
