// @vitest-environment node

import { describe, expect, test } from 'vitest'
import { initialView, TURNS, turned } from '../src/viewer/geometry'
import {
  comparable,
  linkedIndex,
  linkedView,
  linkedWindow,
  type Placed,
  proportionalIndex,
} from '../src/viewer/linking'
import { infoOf } from './frames'

const window = (center: number, width: number) => ({ center, width, function: 'LINEAR' as const })
const withDefault = (center: number, width: number) => ({
  ...infoOf('u16', 100, 100),
  default_window: window(center, width),
})

describe('a linked window', () => {
  test('is the same in Hounsfield units', () => {
    const ct = infoOf('i16', 4, 4)
    expect(linkedWindow(window(40, 80), ct, { ...ct, default_window: window(-600, 1500) }, true)).toEqual(
      window(40, 80),
    )
  })

  test('keeps its place relative to the file’s own window where units differ', () => {
    const [twelveBit, eightBit] = [withDefault(2000, 3600), withDefault(128, 256)]
    const linked = linkedWindow(window(2360, 1800), twelveBit, eightBit, false)
    // A tenth of the width above the centre, half as wide.
    expect(linked.center).toBeCloseTo(128 + 25.6)
    expect(linked.width).toBeCloseTo(128)
    const back = linkedWindow(linked, eightBit, twelveBit, false)
    expect([back.center, back.width].map(Math.round)).toEqual([2360, 1800])
  })

  test('is no linear window of a width below 1', () => {
    expect(linkedWindow(window(2000, 36), withDefault(2000, 3600), withDefault(0.5, 1), false)).toMatchObject({
      width: 0.01,
      function: 'LINEAR_EXACT',
    })
  })

  test('is for images with comparable values', () => {
    expect([comparable('CT', 'CT'), comparable('DX', 'CR'), comparable('CT', 'DX')]).toEqual([true, true, false])
  })
})

describe('a linked view', () => {
  const viewport = { width: 400, height: 400 }
  const small: Placed = { info: infoOf('u8', 200, 200), view: initialView(), viewport }
  const large: Placed = { info: infoOf('u16', 2000, 2000), view: initialView(), viewport }

  test('shows the same part of an image of another size', () => {
    const zoomed = { ...small, view: { ...initialView(), zoom: 6, pan: { x: 30, y: -10 } } }
    // Three times as near as fitted: 2 for the small one, 0.2 for the large one.
    const linked = linkedView(zoomed, large)
    expect(linked.zoom).toBeCloseTo(0.6)
    expect(linked.pan).toEqual({ x: 30, y: -10 })
  })

  test('fits when the other is fitted', () => {
    expect(linkedView(small, { ...large, view: { ...initialView(), zoom: 3 } })).toEqual(initialView())
  })

  test('moves by the same fraction of an image of another shape', () => {
    const wide = { ...large, info: infoOf('u16', 1000, 2000) }
    const moved = { ...small, view: { ...initialView(), zoom: 4, pan: { x: 40, y: 40 } } }
    expect(linkedView(moved, wide).pan).toEqual({ x: 40, y: 20 })
  })

  test('keeps each image’s turn', () => {
    const upsideDown = { ...large, view: turned(initialView(), TURNS.upsideDown) }
    expect(linkedView(small, upsideDown).turn).toEqual(upsideDown.view.turn)
  })
})

describe('a linked series', () => {
  test('keeps its distance and stops at its ends', () => {
    const anchor = { leader: 10, follower: 4 }
    expect([10, 13, 5, 40].map((index) => linkedIndex(index, anchor, 20))).toEqual([4, 7, 0, 19])
  })

  test('begins at the same part of the way', () => {
    expect([0, 20, 39].map((index) => proportionalIndex(index, 40, 14))).toEqual([0, 7, 13])
    expect(proportionalIndex(0, 1, 14)).toBe(0)
  })
})
