import { describe, expect, test } from 'vitest'
import { actionFor, ACTIONS } from '../src/state/actions'
import { keepsKeys, type Stroke, strokeLabel, strokeName } from '../src/state/shortcuts'

const stroke = (key: string, held: Partial<Stroke> = {}): Stroke => ({
  key,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  ...held,
})

describe('strokes', () => {
  test('have one name each', () => {
    expect(strokeName(stroke('I'))).toBe('i')
    expect(strokeName(stroke('O', { ctrlKey: true, shiftKey: true }))).toBe('Ctrl+Shift+o')
    expect(strokeName(stroke('?', { shiftKey: true }))).toBe('?')
    expect(strokeName(stroke('ArrowUp', { shiftKey: true }))).toBe('Shift+ArrowUp')
    expect(strokeName(stroke(' '))).toBe('Space')
    expect(strokeName(stroke('o', { metaKey: true }))).toBe('Ctrl+o')
  })

  test('are readable', () => {
    expect(['Ctrl+Shift+o', 'ArrowUp', '+', '['].map(strokeLabel)).toEqual(['Ctrl Shift O', '↑', '+', '['])
  })
})

describe('the map of shortcuts', () => {
  test('gives every key to one action only', () => {
    const keys = ACTIONS.flatMap((action) => action.keys)
    expect(new Set(keys).size).toBe(keys.length)
  })

  test('gives every action a key, a label and its own name', () => {
    for (const action of ACTIONS) expect([action.keys.length > 0, action.label !== ''], action.id).toEqual([true, true])
    expect(new Set(ACTIONS.map((action) => action.id)).size).toBe(ACTIONS.length)
  })

  test('holds what was promised', () => {
    const promised = {
      '1': 'preset-1',
      '5': 'preset-5',
      i: 'invert',
      r: 'reset',
      f: 'fit',
      '[': 'rotate-left',
      ']': 'rotate-right',
      h: 'flip-h',
      v: 'flip-v',
      'Ctrl+o': 'open-files',
      'Ctrl+Shift+o': 'open-folder',
      '?': 'help',
      ArrowDown: 'next',
      ArrowUp: 'previous',
    }
    for (const [key, id] of Object.entries(promised)) expect(actionFor(key)?.id, key).toBe(id)
  })
})

describe('who gets a key', () => {
  function inside(html: string, selector: string): Element {
    document.body.innerHTML = html
    return document.querySelector(selector)!
  }

  test('a text field keeps plain keys and leaves those with Ctrl', () => {
    const field = inside('<textarea></textarea>', 'textarea')
    expect(keepsKeys(field, 'i')).toBe(true)
    expect(keepsKeys(field, 'Ctrl+o')).toBe(false)
  })

  test('a button keeps Space and Enter alone', () => {
    const button = inside('<button></button>', 'button')
    expect([keepsKeys(button, 'Space'), keepsKeys(button, 'i')]).toEqual([true, false])
  })

  test('a slider keeps arrows and leaves letters', () => {
    const slider = inside('<input type="range">', 'input')
    expect([keepsKeys(slider, 'ArrowUp'), keepsKeys(slider, 'e')]).toEqual([true, false])
  })

  test('an open dialog keeps everything', () => {
    const button = inside('<dialog open><button></button></dialog>', 'button')
    expect([keepsKeys(button, 'Escape'), keepsKeys(button, 'Ctrl+o')]).toEqual([true, true])
  })

  test('the window takes the rest', () => {
    expect(keepsKeys(document.body, 'i')).toBe(false)
    expect(keepsKeys(null, 'i')).toBe(false)
  })
})
