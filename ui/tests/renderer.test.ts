import { expect, test } from 'vitest'
import type { ValueKindDto } from '../src/backend/types'
import { Frame } from '../src/viewer/frame'
import { displayByte, type Pipeline, type StoredValues } from '../src/viewer/lut'
import { faster } from '../src/viewer/probe'
import { shade, Tables } from '../src/viewer/renderer'
import { CpuRenderer } from '../src/viewer/renderer-cpu'
import { clear, Stage } from '../src/viewer/stage'
import { Stats } from '../src/viewer/stats'
import { infoOf } from './frames'
import type { FakeContext } from './dom'

const PIPELINE: Pipeline = {
  modality: { kind: 'rescale', slope: 1, intercept: -1024 },
  voi: { kind: 'window', center: 40, width: 400, function: 'LINEAR' },
  inverted: false,
}

const ramp: Record<ValueKindDto, StoredValues> = {
  u8: Uint8Array.from({ length: 256 }, (_, i) => i),
  i8: Int8Array.from({ length: 256 }, (_, i) => i - 128),
  u16: Uint16Array.from({ length: 256 }, (_, i) => i * 16),
  i16: Int16Array.from({ length: 256 }, (_, i) => i * 16 - 2048),
  u32: Uint32Array.from({ length: 256 }, (_, i) => i * 16),
  i32: Int32Array.from({ length: 256 }, (_, i) => i * 16 - 2048),
  f32: Float32Array.from({ length: 256 }, (_, i) => i * 16.5),
  f64: Float64Array.from({ length: 256 }, (_, i) => (i === 0 ? NaN : i * 16.5)),
}

test.each(Object.keys(ramp) as ValueKindDto[])('every pixel of kind %s is what the pipeline says', (kind) => {
  const info = infoOf(kind, 16, 16)
  const values = ramp[kind]
  const frame = new Frame('a:0', info, values.buffer as ArrayBuffer)
  const words = new Uint32Array(256)
  shade(frame.level(0), info, PIPELINE, new Tables().get(info, PIPELINE), words)
  const expected = Array.from(values, (value) => (0xff000000 + displayByte(PIPELINE, value) * 0x010101) >>> 0)
  expect([...words]).toEqual(expected)
})

test('colour is shown as stored, and inverted on request', () => {
  const info = infoOf('u8', 1, 1, 3)
  const frame = new Frame('a:0', info, Uint8Array.from([1, 2, 250]).buffer)
  const words = new Uint32Array(1)
  shade(frame.level(0), info, PIPELINE, undefined, words)
  expect([...new Uint8Array(words.buffer)]).toEqual([1, 2, 250, 255])
  shade(frame.level(0), info, { ...PIPELINE, inverted: true }, undefined, words)
  expect([...new Uint8Array(words.buffer)]).toEqual([254, 253, 5, 255])
})

test('the processor draws the frame once for a window and only moves it afterwards', () => {
  const info = infoOf('u16', 16, 16)
  const frame = new Frame('a:0', info, ramp.u16.buffer.slice(0) as ArrayBuffer)
  const target = document.createElement('canvas').getContext('2d')!
  const renderer = new CpuRenderer()
  const picture = {
    frame,
    pipeline: PIPELINE,
    map: { a: 2, b: 0, c: 0, d: 2, e: 5, f: 6 },
    interpolation: 'linear',
  } as const
  renderer.paint(target, picture)
  const told = target as unknown as FakeContext
  expect(told.transforms.at(-1)).toEqual([2, 0, 0, 2, 5, 6])
  const source = told.drawn.at(-1)![0] as HTMLCanvasElement
  const inner = source.getContext('2d') as unknown as FakeContext
  const image = inner.lastImage!
  expect(image.data[4 * 70]).toBe(displayByte(PIPELINE, ramp.u16[70]!))
  inner.lastImage = undefined
  renderer.paint(target, { ...picture, map: { ...picture.map, e: 50 } })
  expect(inner.lastImage).toBeUndefined()
  renderer.paint(target, { ...picture, pipeline: { ...PIPELINE, inverted: true } })
  expect(inner.lastImage).toBeDefined()
})

test('a reduced level holds the means of four, and edges of odd frames count twice', () => {
  const values = Uint16Array.from([1, 3, 10, 5, 8, 20])
  const frame = new Frame('a:0', infoOf('u16', 2, 3), values.buffer)
  const level = frame.level(1)
  expect([level.columns, level.rows, ...level.values]).toEqual([2, 1, 4, 15])
  expect(frame.bytes).toBe(12 + 4)
})

test('a frame is reduced only as far as the screen shows it smaller', () => {
  const frame = new Frame('a:0', infoOf('u8', 512, 512), new ArrayBuffer(512 * 512))
  expect([2, 1, 0.6, 0.5, 0.3, 0.25, 0.001].map((scale) => frame.reductionFor(scale))).toEqual([0, 0, 0, 1, 1, 2, 5])
})

test('a frame behind a modality table is never averaged', () => {
  const info = { ...infoOf('u8', 512, 512), modality: { kind: 'lut' as const, first: 0, values: [1, 2] } }
  expect(new Frame('a:0', info, new ArrayBuffer(512 * 512)).reductionFor(0.1)).toBe(0)
})

test('a frame with too few values is refused', () => {
  expect(() => new Frame('a:0', infoOf('u16', 2, 2), new ArrayBuffer(6))).toThrow('3 values instead of 4')
})

test('WebGL2 is taken only when it is clearly faster', () => {
  expect([faster(10, 4), faster(10, 6), faster(10, 30)]).toEqual(['webgl2', 'cpu', 'cpu'])
})

test('without WebGL2 the processor draws, whatever is chosen', () => {
  const kinds: string[] = []
  const stats = new Stats()
  const stage = new Stage(stats, (kind) => kinds.push(kind))
  stage.choose('webgl2')
  stage.choose('auto')
  expect(kinds).toEqual(['cpu', 'cpu'])
  const target = document.createElement('canvas').getContext('2d')!
  clear(target)
  const frame = new Frame('a:0', infoOf('u8', 16, 16), new ArrayBuffer(256))
  const map = { a: 1, b: 0, c: 0, d: 1, e: 0, f: 0 }
  stage.paint(target, { frame, pipeline: PIPELINE, map, interpolation: 'nearest' }, null)
  stats.expose()
  const numbers = (window as unknown as { __lucency: { framesRendered: number; renderer: string } }).__lucency
  expect([numbers.framesRendered, numbers.renderer]).toEqual([1, 'cpu'])
  expect(Object.isFrozen(numbers)).toBe(true)
})
