/** Cases of the library in words. */

import type { CaseFacts, ExcerptPiece, LibraryHit, LibraryStatus, RankDto, RejectedRow } from '../backend'
import { proper } from './words'

/** A count with thousands set apart. */
export function count(number: number): string {
  return number.toLocaleString('en-GB').replaceAll(',', '\u202f')
}

/** A count with its noun. */
export function counted(number: number, one: string, many: string): string {
  return `${count(number)} ${number === 1 ? one : many}`
}

/** What is known of a case: `DX CHEST PA, F, 63 y, 2021`. */
export function factsText(facts: CaseFacts): string {
  const image = [facts.modality && proper(facts.modality), facts.body_part, facts.view].filter(Boolean).join(' ')
  const age = facts.age === null ? null : `${facts.age} y`
  return [image, facts.sex, age, facts.date].filter(Boolean).join(', ')
}

/** 1st, 2nd, 3rd, 4th. */
export function ordinal(number: number): string {
  const teen = number % 100 >= 11 && number % 100 <= 13
  return `${number}${teen ? 'th' : (['th', 'st', 'nd', 'rd'][number % 10] ?? 'th')}`
}

/** One reason why a case was found. */
export interface Reason {
  /** In plain words. */
  text: string
  /** With its number. */
  detail: string
}

/** Why a case was found. */
export function reasons({ by_words, by_image, by_report }: LibraryHit): Reason[] {
  const reason = (rank: RankDto | null, what: string, measure: string): Reason[] =>
    rank === null
      ? []
      : [{ text: `${ordinal(rank.rank)} by ${what}`, detail: `${measure} ${rank.score.toFixed(2).replace('-', '−')}` }]
  return [
    ...reason(by_image, 'image', 'Cosine similarity of the images'),
    ...reason(by_words, 'words', 'Agreement of the words (BM25)'),
    ...reason(by_report, 'the report’s meaning', 'Cosine similarity with the report'),
  ]
}

/** How much there is, and how much of it searches by image and meaning do not find yet. */
export function stockText({ cases, images, to_embed }: LibraryStatus): string {
  const stock = `${counted(cases, 'case', 'cases')}, ${counted(images, 'image', 'images')}`
  return to_embed === 0
    ? stock
    : `${stock}; ${counted(to_embed, 'image or report', 'images and reports')} not embedded yet`
}

/** The words of an excerpt that matched, in lower case. */
export function matchedWords(excerpt: ExcerptPiece[]): string[] {
  const words = excerpt
    .filter(({ matched }) => matched)
    .flatMap(({ text }) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])
  return [...new Set(words)]
}

/** A text in pieces, with every one of the words marked. */
export function highlighted(text: string, words: string[]): ExcerptPiece[] {
  if (words.length === 0) return [{ text, matched: false }]
  const wanted = new Set(words)
  return text
    .split(/([\p{L}\p{N}]+)/u)
    .filter((piece) => piece !== '')
    .map((piece) => ({ text: piece, matched: wanted.has(piece.toLowerCase()) }))
}

/** Refused rows as comma-separated values (RFC 4180). */
export function rejectsCsv(rows: RejectedRow[]): string {
  const cell = (value: string): string => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value)
  const lines = rows.map(({ row, code, reason }) => [String(row), code, reason].map(cell).join(','))
  return ['row,code,reason', ...lines].join('\r\n') + '\r\n'
}
