/** Scrolling through the frames of a series: by wheel, and by dragging. */

/** CSS pixels of wheel travel that make a frame where the wheel is fine (touch pads). */
const FINE = 40
/** Least and most CSS pixels of dragging a frame. */
const DRAG = { min: 3, max: 24 } as const

/** Keeps an index inside a series. */
export function clampIndex(index: number, count: number): number {
  return Math.min(Math.max(index, 0), Math.max(count - 1, 0))
}

/** Frames that a vertical drag of `deltaY` CSS pixels goes forward, in a viewport of that height. */
export function framesDragged(deltaY: number, count: number, height: number): number {
  const step = Math.min(Math.max(height / Math.max(count, 1), DRAG.min), DRAG.max)
  return Math.trunc(deltaY / step)
}

/** Turns wheel events into whole frames; a notch is one frame, fine travel adds up. */
export class Wheel {
  #rest = 0

  /**
   * Frames to go forward.
   *
   * - `delta`, `mode`: of the wheel event; mode 0 is CSS pixels, 1 lines, 2 pages
   */
  frames(delta: number, mode: number): number {
    if (delta === 0) return 0
    // A wheel with notches sends lines, or large steps of pixels.
    if (mode !== 0 || Math.abs(delta) >= 2 * FINE) {
      this.#rest = 0
      return Math.sign(delta)
    }
    if (Math.sign(delta) !== Math.sign(this.#rest)) this.#rest = 0
    this.#rest += delta
    const frames = Math.trunc(this.#rest / FINE)
    this.#rest -= frames * FINE
    return frames
  }
}
