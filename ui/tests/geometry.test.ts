// @vitest-environment node

import { describe, expect, test } from 'vitest'
import {
  apply,
  compose,
  fitZoom,
  imageToViewport,
  initialView,
  inverse,
  turned,
  type Turn,
  TURNS,
  UPRIGHT,
  type View,
  zoomedAt,
} from '../src/viewer/geometry'
import { directionLetters, edgeLetters } from '../src/viewer/orientation'
import { scaleBar } from '../src/viewer/scalebar'

const IMAGE = { width: 200, height: 100 }
const VIEWPORT = { width: 400, height: 400 }
const near = (point: { x: number; y: number }) => ({ x: expect.closeTo(point.x, 6), y: expect.closeTo(point.y, 6) })

const at = (view: View, x: number, y: number, aspect = 1) =>
  apply(imageToViewport(view, IMAGE, aspect, VIEWPORT), { x, y })

describe('where the image lands', () => {
  test('a fitted image fills the viewport and is centred', () => {
    expect(at(initialView(), 0, 0)).toEqual(near({ x: 0, y: 100 }))
    expect(at(initialView(), 200, 100)).toEqual(near({ x: 400, y: 300 }))
  })

  test('turned clockwise, the left upper corner lies right above', () => {
    const view = turned(initialView(), TURNS.clockwise)
    expect(at(view, 0, 0)).toEqual(near({ x: 300, y: 0 }))
    expect(at(view, 200, 0)).toEqual(near({ x: 300, y: 400 }))
  })

  test('turns are of the screen, also after mirroring', () => {
    const view = turned(turned(initialView(), TURNS.mirror), TURNS.clockwise)
    // Mirrored, the image's first pixel is right above; a clockwise turn brings it right below.
    expect(at(view, 0, 0)).toEqual(near({ x: 300, y: 400 }))
  })

  test('four quarter turns, or two mirror images, change nothing', () => {
    const { clockwise, anticlockwise, mirror, upsideDown } = TURNS
    const whole = [clockwise, clockwise, clockwise, clockwise].reduce<Turn>((all, turn) => compose(turn, all), UPRIGHT)
    expect(whole.map((x) => x + 0)).toEqual([1, 0, 0, 1])
    for (const [one, other] of [
      [clockwise, anticlockwise],
      [mirror, mirror],
      [upsideDown, upsideDown],
    ] as const)
      expect(compose(one, other).map((x) => x + 0)).toEqual([1, 0, 0, 1])
  })

  test('pixels that are twice as high as wide are drawn so', () => {
    expect(fitZoom(IMAGE, 2, VIEWPORT, UPRIGHT)).toBe(2)
    expect(at(initialView(), 200, 100, 2)).toEqual(near({ x: 400, y: 400 }))
  })

  test('the inverse leads back', () => {
    const view: View = { zoom: 1.7, pan: { x: 13, y: -40 }, turn: TURNS.clockwise }
    const map = imageToViewport(view, IMAGE, 1.3, VIEWPORT)
    expect(apply(inverse(map), apply(map, { x: 31, y: 77 }))).toEqual(near({ x: 31, y: 77 }))
  })

  test('zooming keeps the place under the pointer', () => {
    const view: View = { zoom: 1.5, pan: { x: 20, y: 5 }, turn: UPRIGHT }
    const pointer = { x: 310, y: 120 }
    const place = apply(inverse(imageToViewport(view, IMAGE, 1, VIEWPORT)), pointer)
    const nearer = zoomedAt(view, 1.5, 3, { x: pointer.x - 200, y: pointer.y - 200 })
    expect(at(nearer, place.x, place.y)).toEqual(near(pointer))
  })

  test('zoom has limits', () => {
    expect(zoomedAt(initialView(), 1, 1e9, { x: 0, y: 0 }).zoom).toBe(64)
    expect(zoomedAt(initialView(), 1, 1e-9, { x: 0, y: 0 }).zoom).toBe(0.02)
  })
})

describe('letters at the edges', () => {
  const along = (orientation: number[]) => ({ orientation, patient_orientation: null })
  const film = (row: string, column: string) => ({
    orientation: null,
    patient_orientation: [row, column] as [string, string],
  })
  const AXIAL = along([1, 0, 0, 0, 1, 0])

  test('an axial image has the right side on the left', () => {
    expect(edgeLetters(AXIAL, UPRIGHT)).toEqual({ left: 'R', right: 'L', top: 'A', bottom: 'P' })
  })

  test('letters follow turns and mirror images', () => {
    expect(edgeLetters(AXIAL, TURNS.clockwise)).toEqual({ left: 'P', right: 'A', top: 'R', bottom: 'L' })
    expect(edgeLetters(AXIAL, TURNS.mirror)).toMatchObject({ left: 'L', right: 'R', top: 'A' })
  })

  test('a frontal image has the head above', () => {
    const coronal = along([1, 0, 0, 0, 0, -1])
    expect(edgeLetters(coronal, UPRIGHT)).toEqual({ left: 'R', right: 'L', top: 'H', bottom: 'F' })
  })

  test('oblique directions get two letters, the nearer first', () => {
    expect(directionLetters([0.8, 0.6, 0])).toBe('LP')
    expect(directionLetters([0.99, 0.14, 0])).toBe('L')
    expect(directionLetters([0, 0, 0])).toBe('')
  })

  test('a film is lettered by its Patient Orientation', () => {
    expect(edgeLetters(film('L', 'F'), UPRIGHT)).toEqual({ left: 'R', right: 'L', top: 'H', bottom: 'F' })
    expect(edgeLetters(film('P', 'F'), UPRIGHT)).toEqual({ left: 'A', right: 'P', top: 'H', bottom: 'F' })
    expect(edgeLetters(film('PL', 'FA'), UPRIGHT)).toEqual({ left: 'AR', right: 'PL', top: 'HP', bottom: 'FA' })
  })

  test('a film turned or mirrored has the letters that vectors would give it', () => {
    const vectors = along([1, 0, 0, 0, 0, -1])
    for (const first of Object.values(TURNS))
      for (const second of Object.values(TURNS)) {
        const turn = compose(second, first)
        expect(edgeLetters(film('L', 'F'), turn)).toEqual(edgeLetters(vectors, turn))
      }
  })

  test('vectors count where the file states both', () => {
    const both = { orientation: [1, 0, 0, 0, 1, 0], patient_orientation: ['R', 'H'] as [string, string] }
    expect(edgeLetters(both, UPRIGHT)?.left).toBe('R')
  })

  test('without an orientation there are none', () => {
    expect(edgeLetters({ orientation: null, patient_orientation: null }, UPRIGHT)).toBeNull()
  })
})

describe('the scale bar', () => {
  test('has a round length and says what it holds for', () => {
    expect(scaleBar({ row_mm: 0.5, column_mm: 0.5, kind: 'calibrated' }, 1, 150)).toEqual({
      pixels: 100,
      label: '5 cm, calibrated',
    })
    expect(scaleBar({ row_mm: 0.1, column_mm: 0.1, kind: 'at_detector' }, 2, 150)?.label).toBe('5 mm, at detector')
  })

  test('is missing without a spacing', () => {
    expect(scaleBar(null, 1, 150)).toBeNull()
    expect(scaleBar({ row_mm: 0, column_mm: 0, kind: 'calibrated' }, 1, 150)).toBeNull()
  })
})
