import { expect, test } from 'vitest'
import type { HeatMap } from '../src/backend/types'
import { HEAT, lightness, STEPS } from '../src/viewer/colourmap'
import { apply, imageToViewport, initialView, turned, TURNS } from '../src/viewer/geometry'
import { HeatPainter, heatPicture, relevanceAt } from '../src/viewer/heatmap'
import type { FakeContext } from './dom'

const MAP: HeatMap = {
  rows: 2,
  columns: 2,
  values: [0, 1, 0.5, 0.25],
  region: { x: 10, y: 20, width: 80, height: 40 },
}

test('at the centre of a cell stands its value', () => {
  expect([
    relevanceAt(MAP, 0.5, 0.5),
    relevanceAt(MAP, 1.5, 0.5),
    relevanceAt(MAP, 0.5, 1.5),
    relevanceAt(MAP, 1.5, 1.5),
  ]).toEqual(MAP.values)
})

test('between centres it is blended, beyond the outer ones constant', () => {
  expect(relevanceAt(MAP, 1, 0.5)).toBe(0.5)
  expect(relevanceAt(MAP, 1, 1)).toBeCloseTo(0.4375)
  expect(relevanceAt(MAP, 2, 0)).toBe(1)
  expect(relevanceAt(MAP, -3, 9)).toBe(0.5)
})

test('what does not matter is transparent, what matters is covered', () => {
  const { width, height, data } = heatPicture(MAP)
  const alpha = (x: number, y: number) => data[(y * width + x) * 4 + 3]
  expect(alpha(0, 0)).toBe(0)
  expect(alpha(width - 1, 0)).toBe(255)
  expect(alpha(width - 1, height - 1)).toBe(128)
})

test('the map lies on its region and follows the image when it turns', () => {
  const target = document.createElement('canvas').getContext('2d')!
  const view = turned(initialView(), TURNS.clockwise)
  const map = imageToViewport(view, { width: 100, height: 80 }, 1, { width: 500, height: 500 })
  new HeatPainter().paint(target, MAP, map, 0.4)
  const told = target as unknown as FakeContext
  expect(told.drawn.at(-1)!.slice(1)).toEqual([10, 20, 80, 40])
  expect(told.transforms.at(-1)).toEqual([map.a, map.b, map.c, map.d, map.e, map.f])
  expect(target.globalAlpha).toBe(0.4)
  // The region's first corner, drawn with that map, is where the image has it.
  expect(apply(map, { x: 10, y: 20 })).toEqual({ x: expect.closeTo(350), y: expect.closeTo(50) })
})

test('the colour map rises in equal steps of lightness', () => {
  const steps = HEAT.map((colour) => lightness(colour))
  expect(HEAT).toHaveLength(STEPS)
  expect(steps[0]).toBeCloseTo(0.25, 2)
  expect(steps.at(-1)).toBeCloseTo(0.95, 2)
  for (let i = 16; i < STEPS; i += 16) expect(steps[i]! - steps[i - 16]!).toBeCloseTo((0.7 * 16) / (STEPS - 1), 2)
})
