/** The renderer that works everywhere: a table look-up for each pixel, then the canvas scales. */

import { pipelineKey } from './lut'
import { type Picture, type Renderer, scaleOf, shade, Tables } from './renderer'

/** Draws with the processor and a 2D canvas. */
export class CpuRenderer implements Renderer {
  readonly kind = 'cpu'
  readonly #canvas = document.createElement('canvas')
  readonly #context = this.#canvas.getContext('2d', { willReadFrequently: true })
  readonly #tables = new Tables()
  #image: ImageData | undefined
  #shaded = ''

  paint(target: CanvasRenderingContext2D, picture: Picture): void {
    const { frame, pipeline, map } = picture
    const { info } = frame
    const reduction = frame.reductionFor(scaleOf(map))
    const pipelineName = pipelineKey(info.kind, pipeline)
    const shaded = `${frame.key}|${reduction}|${pipelineName}`
    if (shaded !== this.#shaded) {
      const level = frame.level(reduction)
      const context = this.#context
      if (!context) throw new Error('no 2D canvas')
      if (this.#image?.width !== level.columns || this.#image.height !== level.rows) {
        this.#canvas.width = level.columns
        this.#canvas.height = level.rows
        this.#image = context.createImageData(level.columns, level.rows)
      }
      const table = info.samples === 1 ? this.#tables.get(info, pipeline, pipelineName) : undefined
      shade(level, info, pipeline, table, new Uint32Array(this.#image.data.buffer))
      context.putImageData(this.#image, 0, 0)
      this.#shaded = shaded
    }
    const part = 2 ** reduction
    target.setTransform(map.a, map.b, map.c, map.d, map.e, map.f)
    target.imageSmoothingEnabled = picture.interpolation === 'linear'
    target.imageSmoothingQuality = 'medium'
    const { columns, rows } = info
    target.drawImage(this.#canvas, 0, 0, columns / part, rows / part, 0, 0, columns, rows)
  }

  dispose(): void {
    this.#canvas.width = 0
    this.#canvas.height = 0
    this.#image = undefined
    this.#shaded = ''
  }
}
