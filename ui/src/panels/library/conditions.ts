/** Conditions of a search: what was typed, and in words. */

import type { LibraryFilter } from '../../backend'
import { proper } from '../words'

const SEXES: Record<string, string> = { F: 'Female', M: 'Male', O: 'Other sex' }

/** A condition in words. */
export function conditionText(name: keyof LibraryFilter, filter: LibraryFilter): string {
  const value = filter[name]
  switch (name) {
    case 'age_from':
      return `from ${value} y`
    case 'age_to':
      return `to ${value} y`
    case 'date_from':
      return `since ${value}`
    case 'date_to':
      return `until ${value}`
    case 'sex':
      return SEXES[String(value)] ?? String(value)
    case 'label':
      return proper(String(value))
    default:
      return String(value)
  }
}

/** An age that was typed, whole years; none if it is no age. */
export function yearsOf(typed: string): number | null {
  const text = typed.trim()
  return /^\d{1,3}$/.test(text) ? Number(text) : null
}

/** A date that was typed, or the beginning of one; none if it is no date. */
export function dateOf(typed: string): string | null {
  const parts = /^(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?$/.exec(typed.trim())
  if (!parts) return null
  const [year, month, day] = [parts[1]!, parts[2]?.padStart(2, '0'), parts[3]?.padStart(2, '0')]
  if (month !== undefined && (month < '01' || month > '12')) return null
  if (day !== undefined && (day < '01' || day > '31')) return null
  return [year, month, day].filter((part) => part !== undefined).join('-')
}
