/** Keys of labelling mode. */

import type { LabelSetDto, LabelWanted } from '../backend'

/** What a reader said of a label: present, absent, uncertain, nothing. */
export type Given = 1 | 0 | -1 | null

/** What a key asks for. */
export type KeyWish = 'undo' | 'redo' | 'next' | LabelWanted[]

/** The part of a keyboard event that names a key of labelling mode. */
export type LabelStroke = Pick<KeyboardEvent, 'code' | 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey'>

/** Keys in words, for the list of shortcuts. */
export const LABEL_KEYS: { keys: string[]; effect: string }[] = [
  { keys: ['1', '…', '9'], effect: 'Label is present; again: takes it away' },
  { keys: ['Shift 1', '…'], effect: 'Finding is absent' },
  { keys: ['Ctrl 1', '…'], effect: 'Finding is uncertain' },
  { keys: ['0'], effect: 'All other findings are absent' },
  { keys: ['Delete'], effect: 'Takes all own labels of the case away' },
  { keys: ['Enter'], effect: 'Next case' },
  { keys: ['Ctrl Z'], effect: 'Undo' },
  { keys: ['Ctrl Shift Z'], effect: 'Redo' },
]

/** The digit on a key, whatever the layout and Shift make of it. */
function digitOf(stroke: LabelStroke): number | null {
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(stroke.code)?.[1] ?? /^\d$/.exec(stroke.key)?.[0]
  return digit === undefined ? null : Number(digit)
}

/**
 * What a key asks for while labels are given by key; null for a key of the viewer's.
 *
 * - `valueOf`: what the reader said of a label so far
 */
export function keyedLabels(
  stroke: LabelStroke,
  set: LabelSetDto | null,
  valueOf: (name: string) => Given,
): KeyWish | null {
  const control = stroke.ctrlKey || stroke.metaKey
  if (stroke.altKey) return null
  const letter = stroke.key.toLowerCase()
  if (control && letter === 'z') return stroke.shiftKey ? 'redo' : 'undo'
  if (control && letter === 'y') return 'redo'
  if (set === null) return null
  if (!control && !stroke.shiftKey && stroke.key === 'Enter') return 'next'
  if (!control && (stroke.key === 'Delete' || stroke.key === 'Backspace'))
    return set.classes.filter((name) => valueOf(name) !== null).map((name) => ({ name, value: null }))
  const digit = digitOf(stroke)
  if (digit === null) return null
  if (digit === 0) {
    if (control || stroke.shiftKey || set.exclusive) return control ? null : []
    return set.classes.filter((name) => valueOf(name) === null).map((name) => ({ name, value: 0 }))
  }
  const name = set.classes[digit - 1]
  // In a set of classes a key says which one it is and nothing else.
  const value: Given = set.exclusive || !(control || stroke.shiftKey) ? 1 : control ? -1 : 0
  if (name === undefined || (set.exclusive && (control || stroke.shiftKey))) return []
  return [{ name, value: valueOf(name) === value ? null : value }]
}
