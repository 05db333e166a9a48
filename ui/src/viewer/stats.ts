/** What the viewer measures of itself, for tests and `lucency bench`: numbers only, nothing to call. */

import type { RendererKind } from './renderer'

const KEPT = 240

/** Timing of the viewer since the window was made. */
export class Stats {
  #firstPaintMs: number | null = null
  #framesRendered = 0
  #renderer: RendererKind = 'cpu'
  readonly #frameTimesMs: number[] = []

  /** Notes a painted frame and how long the painting took. */
  painted(renderer: RendererKind, elapsedMs: number): void {
    this.#firstPaintMs ??= performance.now()
    this.#framesRendered++
    this.#renderer = renderer
    this.#frameTimesMs.push(elapsedMs)
    if (this.#frameTimesMs.length > KEPT) this.#frameTimesMs.shift()
  }

  /** Shows the numbers as `window.__lucency`, read-only. */
  expose(): void {
    const numbers = Object.freeze(
      Object.defineProperties(
        {},
        {
          firstPaintMs: { enumerable: true, get: () => this.#firstPaintMs },
          framesRendered: { enumerable: true, get: () => this.#framesRendered },
          renderer: { enumerable: true, get: () => this.#renderer },
          frameTimesMs: { enumerable: true, get: () => [...this.#frameTimesMs] },
        },
      ),
    )
    Object.defineProperty(window, '__lucency', { value: numbers, configurable: true })
  }
}
