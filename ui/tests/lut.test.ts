// @vitest-environment node

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { FrameInfo, ModalityDto, ValueKindDto } from '../src/backend/types'
import { displayByte, displayTable, pipelineKey, pipelineOf, storedValues, type Voi } from '../src/viewer/lut'

interface Case {
  name: string
  modality: ModalityDto
  voi: Voi
  inverted: boolean
  stored: (number | string)[]
  expected: number[]
}

const file = resolve(import.meta.dirname, '../../tests/vectors/display/vectors.json')
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: Case[] }

describe('display vectors shared with Rust', () => {
  test('there are cases', () => expect(cases.length).toBeGreaterThan(10))

  test.each(cases.map((one) => [one.name, one] as const))('%s comes out to the bit', (_name, one) => {
    const found = one.stored.map((stored) => displayByte(one, Number(stored)))
    expect(found).toEqual(one.expected)
  })

  test('the tables give the same bytes as single values', () => {
    for (const one of cases) {
      for (const kind of ['u16', 'i16'] satisfies ValueKindDto[]) {
        const table = displayTable(one, kind)!
        one.stored.forEach((value, i) => {
          const stored = Number(value)
          const [low, high] = kind === 'u16' ? [0, 65535] : [-32768, 32767]
          if (!Number.isInteger(stored) || stored < low || stored > high) return
          expect(table[stored & 0xffff], `${one.name}, ${kind}, ${stored}`).toBe(one.expected[i])
        })
      }
    }
  })
})

const INFO: FrameInfo = {
  rows: 1,
  columns: 1,
  samples: 1,
  kind: 'u16',
  photometric: 'MONOCHROME1',
  modality: { kind: 'identity' },
  voi: [{ kind: 'lut', first: 0, values: [0, 255], bits: 8, label: '' }],
  default_window: { center: 100, width: 50, function: 'LINEAR' },
  default_is_lut: true,
  inverted: true,
  spacing: null,
  pixel_aspect: 1,
  padding: null,
  instance_number: 1,
  position_mm: null,
  orientation: null,
  patient_orientation: null,
  frame: 1,
  pixel_hash: '',
}

describe('the pipeline of a frame', () => {
  test('uses the table of the file until the user chooses a window', () => {
    expect(pipelineOf(INFO, { kind: 'file' }, false).voi.kind).toBe('lut')
    const window = { center: 1, width: 2, function: 'LINEAR' as const }
    expect(pipelineOf(INFO, { kind: 'window', window }, false).voi).toEqual({ kind: 'window', ...window })
  })

  test('inverting turns the polarity of the file around', () => {
    expect(pipelineOf(INFO, { kind: 'file' }, false).inverted).toBe(true)
    expect(pipelineOf(INFO, { kind: 'file' }, true).inverted).toBe(false)
  })

  test('has a key that differs when anything differs', () => {
    const pipeline = pipelineOf(INFO, { kind: 'file' }, false)
    const other = pipelineOf(
      { ...INFO, voi: [{ ...INFO.voi[0]!, values: [0, 254] } as never] },
      { kind: 'file' },
      false,
    )
    const keys = [
      pipelineKey('u16', pipeline),
      pipelineKey('i16', pipeline),
      pipelineKey('u16', other),
      pipelineKey('u16', { ...pipeline, inverted: false }),
    ]
    expect(new Set(keys).size).toBe(keys.length)
  })
})

test('kinds too wide for a table have none', () => {
  const pipeline = pipelineOf(INFO, { kind: 'file' }, false)
  expect((['u32', 'i32', 'f32', 'f64'] as const).map((kind) => displayTable(pipeline, kind))).toEqual(
    Array(4).fill(undefined),
  )
})

test('stored values are read as their kind says', () => {
  const bytes = Uint8Array.from([0xff, 0xff, 0x01, 0x00, 0, 0, 0, 0]).buffer
  expect([...storedValues('i16', bytes)]).toEqual([-1, 1, 0, 0])
  expect([...storedValues('u16', bytes)]).toEqual([65535, 1, 0, 0])
  expect([...storedValues('u32', bytes)]).toEqual([0x1ffff, 0])
})
