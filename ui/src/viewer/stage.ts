/** The canvas that the user sees, and the renderer that fills it. */

import type { HeatMap } from '../backend/types'
import { HeatPainter } from './heatmap'
import { faster, measure, probeTarget } from './probe'
import type { Picture, Renderer, RendererKind } from './renderer'
import { CpuRenderer } from './renderer-cpu'
import { GpuRenderer } from './renderer-gpu'
import type { Stats } from './stats'

/** What the user or the measurement decides. */
export type RendererChoice = 'auto' | RendererKind

/** A heat map to draw over a picture. */
export interface HeatLayer {
  heat: HeatMap
  opacity: number
}

/** Paints pictures with the renderer of choice; falls back to the processor when WebGL2 fails. */
export class Stage {
  readonly #stats: Stats
  readonly #heat = new HeatPainter()
  readonly #cpu = new CpuRenderer()
  readonly #onRenderer: (kind: RendererKind) => void
  #gpu: GpuRenderer | undefined
  #gpuFailed = false
  #verdict: RendererKind | undefined
  #choice: RendererChoice = 'cpu'

  constructor(stats: Stats, onRenderer: (kind: RendererKind) => void) {
    this.#stats = stats
    this.#onRenderer = onRenderer
  }

  /** The renderer of the next picture. */
  get kind(): RendererKind {
    return this.#renderer().kind
  }

  /** Decides the renderer; `auto` measures both once. */
  choose(choice: RendererChoice): void {
    this.#choice = choice
    if (choice !== 'cpu') this.#startGpu()
    if (choice === 'auto') this.#verdict ??= this.#measure()
    this.#onRenderer(this.kind)
  }

  /** Clears the target and draws a picture with its heat map. */
  paint(target: CanvasRenderingContext2D, picture: Picture, layer: HeatLayer | null): void {
    const began = performance.now()
    clear(target)
    try {
      this.#renderer().paint(target, picture)
    } catch (reason) {
      if (!this.#gpu) throw reason
      this.#loseGpu()
      clear(target)
      this.#cpu.paint(target, picture)
    }
    if (layer) this.#heat.paint(target, layer.heat, picture.map, layer.opacity)
    this.#stats.painted(this.kind, performance.now() - began)
  }

  dispose(): void {
    this.#gpu?.dispose()
    this.#cpu.dispose()
  }

  #renderer(): Renderer {
    const wanted = this.#choice === 'auto' ? (this.#verdict ?? 'cpu') : this.#choice
    return wanted === 'webgl2' && this.#gpu ? this.#gpu : this.#cpu
  }

  #startGpu(): void {
    if (this.#gpu || this.#gpuFailed) return
    try {
      this.#gpu = new GpuRenderer(() => this.#loseGpu())
    } catch {
      this.#gpuFailed = true
    }
  }

  #loseGpu(): void {
    this.#gpu = undefined
    this.#gpuFailed = true
    this.#onRenderer('cpu')
  }

  #measure(): RendererKind {
    const [forCpu, forGpu] = [probeTarget('cpu'), probeTarget('webgl2')]
    if (!forCpu || !forGpu || !this.#gpu) return 'cpu'
    const cpu = new CpuRenderer()
    try {
      return faster(measure(cpu, forCpu), measure(this.#gpu, forGpu))
    } catch {
      return 'cpu'
    } finally {
      cpu.dispose()
    }
  }
}

/** Clears a target whatever its transform. */
export function clear(target: CanvasRenderingContext2D): void {
  target.setTransform(1, 0, 0, 1, 0, 0)
  target.clearRect(0, 0, target.canvas.width, target.canvas.height)
}
