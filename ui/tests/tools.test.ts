// @vitest-environment node

import { describe, expect, test } from 'vitest'
import { Frame } from '../src/viewer/frame'
import { initialView } from '../src/viewer/geometry'
import { presetsFor, quantiles, windowSpanning } from '../src/viewer/presets'
import { beginDrag, type DragStart, toolFor } from '../src/viewer/tools/drag'
import { readoutAt } from '../src/viewer/tools/readout'
import { clampIndex, framesDragged, Wheel } from '../src/viewer/tools/scroll'
import { windowDragged } from '../src/viewer/tools/window'
import { infoOf } from './frames'

const WINDOW = { center: 40, width: 400, function: 'LINEAR' as const }

const START: DragStart = {
  window: WINDOW,
  view: initialView(),
  zoom: 2,
  at: { x: 0, y: 0 },
  index: 10,
  frames: 40,
  height: 800,
}

describe('dragging', () => {
  test('left does what is chosen, middle moves, right zooms', () => {
    const event = (button: number, shiftKey = false, ctrlKey = false) => ({ button, shiftKey, ctrlKey, metaKey: false })
    expect(toolFor(event(0), 'window')).toBe('window')
    expect(toolFor(event(0), 'scroll')).toBe('scroll')
    expect(toolFor(event(0, true), 'window')).toBe('pan')
    expect(toolFor(event(0, false, true), 'window')).toBe('zoom')
    expect(toolFor(event(1), 'window')).toBe('pan')
    expect(toolFor(event(2), 'window')).toBe('zoom')
    expect(toolFor(event(3), 'window')).toBeNull()
  })

  test('to the right widens the window, downwards raises its centre', () => {
    expect(windowDragged(WINDOW, { x: 0, y: 0 })).toEqual(WINDOW)
    expect(windowDragged(WINDOW, { x: 100, y: 0 }).width).toBeGreaterThan(400)
    expect(windowDragged(WINDOW, { x: 0, y: 32 }).center).toBe(80)
  })

  test('a window never becomes narrower than its function allows', () => {
    expect(windowDragged(WINDOW, { x: -1e5, y: 0 }).width).toBe(1)
    expect(windowDragged({ ...WINDOW, function: 'LINEAR_EXACT' }, { x: -1e5, y: 0 }).width).toBe(1e-6)
  })

  test('a window keeps its function', () => {
    expect(windowDragged({ ...WINDOW, function: 'SIGMOID' }, { x: 9, y: 9 }).function).toBe('SIGMOID')
  })

  test('panning starts from the zoom in force and keeps it', () => {
    expect(beginDrag('pan', START)({ x: 5, y: -7 }).view).toMatchObject({ zoom: 2, pan: { x: 5, y: -7 } })
  })

  test('zooming upwards comes nearer', () => {
    expect(beginDrag('zoom', START)({ x: 0, y: -50 }).view?.zoom).toBeGreaterThan(2)
  })

  test('scrolling goes through the whole series within the viewport', () => {
    expect(beginDrag('scroll', START)({ x: 0, y: 200 }).index).toBe(20)
    expect(framesDragged(800, 1000, 800)).toBe(266)
    expect(framesDragged(-47, 10, 800)).toBe(-1)
  })

  test('without a window nothing is windowed', () => {
    expect(beginDrag('window', { ...START, window: null })({ x: 9, y: 9 })).toEqual({})
  })
})

describe('the wheel', () => {
  test('a notch is one image, whatever the system sends for it', () => {
    const wheel = new Wheel()
    expect([wheel.frames(120, 0), wheel.frames(-100, 0), wheel.frames(3, 1), wheel.frames(0, 0)]).toEqual([1, -1, 1, 0])
  })

  test('fine travel adds up, and turning around starts anew', () => {
    const wheel = new Wheel()
    expect([15, 15, 15, -15, -15, -15].map((delta) => wheel.frames(delta, 0) + 0)).toEqual([0, 0, 1, 0, 0, -1])
  })

  test('an index stays inside the series', () => {
    expect([clampIndex(-3, 5), clampIndex(Infinity, 5), clampIndex(2, 5), clampIndex(1, 0)]).toEqual([0, 4, 2, 0])
  })
})

describe('presets', () => {
  const frame = new Frame(
    'a:0',
    { ...infoOf('u16', 10, 10), padding: 0 },
    Uint16Array.from({ length: 100 }, (_, i) => i).buffer,
  )

  test('there are five for CT and five for everything else', () => {
    expect(presetsFor('CT').map(({ name }) => name)).toEqual(['Brain', 'Subdural', 'Bone', 'Lung', 'Soft tissue'])
    expect(presetsFor('DX')).toHaveLength(5)
  })

  test('the full range leaves padding out and counts in modality units', () => {
    expect(quantiles(frame, 0, 1)).toEqual([1 - 1024, 99 - 1024])
    expect(presetsFor('DX')[1]!.grey(frame)).toEqual({ kind: 'window', window: windowSpanning(-1023, -925) })
  })

  test('quantiles leave the ends out', () => {
    expect(quantiles(frame, 0.1, 0.9)).toEqual([11 - 1024, 89 - 1024])
  })

  test('a frame of nothing but padding has no range', () => {
    const empty = new Frame('a:1', { ...infoOf('u16', 1, 2), padding: 0 }, new ArrayBuffer(4))
    expect(presetsFor('DX').map((preset) => preset.grey(empty) === null)).toEqual([false, true, true, false, false])
  })
})

test('the value under the pointer is in modality units, and none outside', () => {
  const frame = new Frame('a:0', infoOf('u16', 2, 2), Uint16Array.from([0, 1064, 2, 3]).buffer)
  expect(readoutAt(frame, 'CT', { x: 1.9, y: 0.2 })).toEqual({ column: 1, row: 0, value: '40 HU' })
  expect(readoutAt(frame, 'DX', { x: 0, y: 0 })?.value).toBe('-1024')
  expect(readoutAt(frame, 'CT', { x: 2, y: 0 })).toBeNull()
})
