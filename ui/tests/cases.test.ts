// @vitest-environment node

import { describe, expect, test } from 'vitest'
import type { CaseFacts, LibraryHit } from '../src/backend'
import {
  count,
  factsText,
  highlighted,
  matchedWords,
  ordinal,
  reasons,
  rejectsCsv,
  stockText,
} from '../src/panels/cases'
import { conditionText, dateOf, yearsOf } from '../src/panels/library/conditions'
import { proper, spelled } from '../src/panels/words'
import { durationText } from '../src/parts/progress-text'
import { EVERY_CASE } from '../src/state/library.svelte'

const NOTHING: CaseFacts = {
  modality: null,
  body_part: null,
  view: null,
  sex: null,
  age: null,
  date: null,
  split: null,
}

test('a case is described in the field’s words, as far as it is known', () => {
  const facts = { ...NOTHING, modality: 'DX', body_part: 'CHEST', view: 'PA', sex: 'F', age: 63, date: '2021' }
  expect(factsText(facts)).toBe('DX CHEST PA, F, 63 y, 2021')
  expect(factsText({ ...NOTHING, modality: 'xray', age: 0 })).toBe('X-ray, 0 y')
  expect(factsText(NOTHING)).toBe('')
})

test('words have the case that they are written with', () => {
  expect(['xray', 'ct', 'pleural effusion', 'mri brain', 'x-ray', 'MELANOMA'].map(proper)).toEqual([
    'X-ray',
    'CT',
    'Pleural effusion',
    'MRI brain',
    'X-ray',
    'MELANOMA',
  ])
  expect(spelled('no_finding on ct')).toBe('no finding on CT')
})

test('a hit says why it was found, numbers apart', () => {
  const hit = {
    by_words: { rank: 2, score: 7.4 },
    by_image: { rank: 11, score: -0.031 },
    by_report: null,
  } as unknown as LibraryHit
  expect(reasons(hit)).toEqual([
    { text: '11th by image', detail: 'Cosine similarity of the images −0.03' },
    { text: '2nd by words', detail: 'Agreement of the words (BM25) 7.40' },
  ])
  expect([1, 2, 3, 4, 12, 21, 102, 113].map(ordinal)).toEqual('1st 2nd 3rd 4th 12th 21st 102nd 113th'.split(' '))
})

test('the words that matched are marked in the whole report, whole words only', () => {
  const words = matchedWords([
    { text: 'small ', matched: false },
    { text: 'Effusion', matched: true },
  ])
  expect(words).toEqual(['effusion'])
  const marked = highlighted('No effusion. Effusions, left EFFUSION', words).filter(({ matched }) => matched)
  expect(marked.map(({ text }) => text)).toEqual(['effusion', 'EFFUSION'])
  expect(highlighted('a b', [])).toEqual([{ text: 'a b', matched: false }])
})

test('refused rows become values that a spreadsheet reads', () => {
  const rows = [{ row: 4, code: 'bad', reason: 'The cell says "a, b"' }]
  expect(rejectsCsv(rows)).toBe('row,code,reason\r\n4,bad,"The cell says ""a, b"""\r\n')
})

describe('what is typed into a filter', () => {
  test('is a date or the beginning of one', () => {
    expect(['2019', '2019-3', '2019/03/08', '2019-13', '19', 'May'].map(dateOf)).toEqual([
      '2019',
      '2019-03',
      '2019-03-08',
      null,
      null,
      null,
    ])
  })

  test('is an age in years', () => {
    expect(['40', ' 7 ', '4.5', '-1', ''].map(yearsOf)).toEqual([40, 7, null, null, null])
  })

  test('is named where it can be lifted', () => {
    const filter = { ...EVERY_CASE, sex: 'F', age_from: 40, date_to: '2020', label: 'no_finding' }
    const names = ['sex', 'age_from', 'date_to', 'label'] as const
    expect(names.map((name) => conditionText(name, filter))).toEqual([
      'Female',
      'from 40 y',
      'until 2020',
      'No finding',
    ])
  })
})

test('counts and times are readable', () => {
  expect(count(1234567)).toBe('1\u202f234\u202f567')
  expect([12.2, 600, 9000].map(durationText)).toEqual(['13 s', '10 min', '2 h 30 min'])
  const status = { cases: 1, images: 2, to_embed: 3 } as Parameters<typeof stockText>[0]
  expect(stockText(status)).toBe('1 case, 2 images; 3 images and reports not embedded yet')
})
