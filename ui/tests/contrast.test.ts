// @vitest-environment node

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { decode } from '../src/viewer/colourmap'

/** The colours of the theme by name. */
const TOKENS = Object.fromEntries(
  [
    ...readFileSync(resolve(import.meta.dirname, '../src/theme.css'), 'utf8').matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g),
  ].map(([, name, hex]) => [name!, hex!]),
)

/** Relative luminance. Source: WCAG 2.2. */
function luminance(name: string): number {
  const hex = TOKENS[name]
  if (!hex) throw new Error(`no colour ${name}`)
  const [r, g, b] = [1, 3, 5].map((at) => decode(parseInt(hex.slice(at, at + 2), 16)))
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!
}

function contrast(one: string, other: string): number {
  const [low, high] = [luminance(one), luminance(other)].sort((p, q) => p - q)
  return (high! + 0.05) / (low! + 0.05)
}

const SURFACES = ['viewport', 'ground', 'panel', 'raised', 'hover', 'accent-quiet']

describe('contrast of words is at least 4.5', () => {
  const pairs = [
    ...['text', 'muted', 'accent'].flatMap((words) => SURFACES.map((surface) => [words, surface])),
    ['overlay', 'viewport'],
    ['text', 'mark'],
    ['on-accent', 'accent'],
    ['warning', 'warning-ground'],
    ['text', 'warning-ground'],
    ['muted', 'warning-ground'],
    ['warning', 'viewport'],
    ['warning', 'panel'],
    ['warning', 'raised'],
    ['error', 'error-ground'],
    ['error', 'raised'],
    ['error', 'panel'],
    ['good', 'panel'],
    ['good', 'raised'],
    ['text', 'error-ground'],
    ['muted', 'error-ground'],
  ] as [string, string][]

  test.each(pairs)('%s on %s', (words, surface) => expect(contrast(words, surface)).toBeGreaterThanOrEqual(4.5))
})

describe('contrast of controls and of the focus ring is at least 3', () => {
  test.each(SURFACES.map((surface) => ['focus', surface]))('%s on %s', (ring, surface) =>
    expect(contrast(ring!, surface!)).toBeGreaterThanOrEqual(3),
  )
  test.each([
    ['control-line', 'ground'],
    ['control-line', 'panel'],
    ['accent', 'ground'],
    ['muted', 'ground'],
  ])('%s on %s', (line, surface) => expect(contrast(line, surface)).toBeGreaterThanOrEqual(3))
})
