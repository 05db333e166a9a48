// @vitest-environment node

import { expect, test } from 'vitest'
import { kindText } from '../src/panels/question-kinds'
import { filterTags, tagText } from '../src/panels/tag-filter'
import { capital, excerpt, percent } from '../src/panels/words'

const leaf = (tag: string, name: string, value: string) => ({ tag, vr: 'LO', name, value, children: [] })
const TAGS = [
  leaf('(0008,0060)', 'Modality', 'CT'),
  {
    ...leaf('(0008,2218)', 'AnatomicRegionSequence', ''),
    vr: 'SQ',
    children: [leaf('(0008,0104)', 'CodeMeaning', 'Head')],
  },
]

test('tags are found by tag, name or value, with the sequence they are in', () => {
  expect(filterTags(TAGS, '')).toBe(TAGS)
  expect(filterTags(TAGS, 'modal')).toEqual([TAGS[0]])
  expect(filterTags(TAGS, '0008,0104')).toEqual([TAGS[1]])
  expect(filterTags(TAGS, 'head')[0]?.name).toBe('AnatomicRegionSequence')
  expect(filterTags(TAGS, 'nothing')).toEqual([])
})

test('tags are copied as lines, items indented', () => {
  expect(tagText(TAGS).split('\n')).toEqual([
    '(0008,0060) LO Modality: CT',
    '(0008,2218) SQ AnatomicRegionSequence:',
    '  (0008,0104) LO CodeMeaning: Head',
  ])
})

test('the kind of a question is named, with whether it offers its answers', () => {
  expect(kindText({ kind: 'presence', closed: true })).toBe('Presence · closed')
  expect(kindText({ kind: 'colour', closed: false })).toBe('Brightness or colour · open')
})

test('a percentage never claims certainty', () => {
  expect([0, 0.001, 0.5, 0.999, 1].map(percent)).toEqual(['0 %', '<1 %', '50 %', '>99 %', '100 %'])
})

test('an excerpt ends with a word', () => {
  expect(excerpt('The heart is of normal size.', 16)).toBe('The heart is of…')
  expect(excerpt('Short.', 16)).toBe('Short.')
  expect(capital('yes')).toBe('Yes')
})
