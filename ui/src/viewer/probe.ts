/** The start-up measurement that chooses a renderer. */

import type { FrameInfo } from '../backend/types'
import { Frame } from './frame'
import type { Pipeline } from './lut'
import { type Renderer, type RendererKind, targetOptions } from './renderer'

const SIDE = 1024
const ROUNDS = 5
/** A first picture slower than this ends the measurement: the device is no help. */
const HOPELESS_MS = 400
/** WebGL2 has to be this much faster to be worth its ways to fail. */
const MARGIN = 0.5

const INFO: FrameInfo = {
  rows: SIDE,
  columns: SIDE,
  samples: 1,
  kind: 'u16',
  photometric: 'MONOCHROME2',
  modality: { kind: 'identity' },
  voi: [],
  default_window: { center: 2048, width: 4096, function: 'LINEAR' },
  default_is_lut: false,
  inverted: false,
  spacing: null,
  pixel_aspect: 1,
  padding: null,
  instance_number: 0,
  position_mm: null,
  orientation: null,
  patient_orientation: null,
  frame: 1,
  pixel_hash: '',
}

/** Median time of painting a new frame with a new window, the picture read back so that nothing is left to do. */
export function measure(renderer: Renderer, target: CanvasRenderingContext2D): number {
  const times: number[] = []
  for (let round = -1; round < ROUNDS; round++) {
    const values = new Uint16Array(SIDE * SIDE)
    for (let i = 0; i < values.length; i++) values[i] = (i * 7 + round * 13) & 4095
    const frame = new Frame(`probe:${round}`, INFO, values.buffer)
    const window = { center: 2048, width: 4096 + round, function: 'LINEAR' as const }
    const pipeline: Pipeline = { modality: INFO.modality, voi: { kind: 'window', ...window }, inverted: false }
    const began = performance.now()
    renderer.paint(target, { frame, pipeline, map: { a: 1, b: 0, c: 0, d: 1, e: 0, f: 0 }, interpolation: 'linear' })
    target.getImageData(0, 0, 1, 1)
    const elapsed = performance.now() - began
    if (elapsed > HOPELESS_MS) return elapsed
    if (round >= 0) times.push(elapsed) // the first picture compiles and allocates
  }
  return times.sort((p, q) => p - q)[Math.floor(times.length / 2)]!
}

/** Which of two measured renderers to use. */
export function faster(cpuMs: number, gpuMs: number): 'cpu' | 'webgl2' {
  return gpuMs < cpuMs * MARGIN ? 'webgl2' : 'cpu'
}

/** A canvas to measure a renderer with, of the sort that the viewport gives it. */
export function probeTarget(kind: RendererKind): CanvasRenderingContext2D | null {
  const canvas = document.createElement('canvas')
  canvas.width = SIDE
  canvas.height = SIDE
  return canvas.getContext('2d', targetOptions(kind))
}
