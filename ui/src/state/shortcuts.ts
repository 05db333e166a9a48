/** Names for key strokes, and when they are ours to take. */

/** The part of a keyboard event that names a stroke. */
export type Stroke = Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey'>

/**
 * A stroke's name, such as `Ctrl+Shift+o`, `ArrowUp` or `?`.
 *
 * Letters are in lower case with `Shift` spelled out; other signs carry their Shift in themselves. Command counts as Ctrl.
 */
export function strokeName(stroke: Stroke): string {
  const letter = /^[a-zA-Z]$/.test(stroke.key)
  const sign = stroke.key.length === 1 && !letter && stroke.key !== ' '
  const parts = [
    stroke.ctrlKey || stroke.metaKey ? 'Ctrl' : '',
    stroke.altKey ? 'Alt' : '',
    stroke.shiftKey && !sign ? 'Shift' : '',
    stroke.key === ' ' ? 'Space' : letter ? stroke.key.toLowerCase() : stroke.key,
  ]
  return parts.filter((part) => part !== '').join('+')
}

const NAMES: Record<string, string> = {
  ArrowUp: '↑',
  ArrowDown: '↓',
  ArrowLeft: '←',
  ArrowRight: '→',
  PageUp: 'Page up',
  PageDown: 'Page down',
  Escape: 'Esc',
}

/** A stroke's name for people. */
export function strokeLabel(name: string): string {
  if (name === '+') return name
  return name
    .split('+')
    .map((part) => NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part))
    .join(' ')
}

/** True when the element under the keyboard uses plain keys itself: text fields, lists, open dialogs. */
export function keepsKeys(target: EventTarget | null, name: string): boolean {
  if (!(target instanceof Element)) return false
  if (name.startsWith('Ctrl+') || name.startsWith('Alt+')) return target.closest('dialog[open]') !== null
  if (target.closest('input:not([type=range]), textarea, select, [contenteditable], dialog[open]')) return true
  if (target.closest('input[type=range], [role=tablist], [role=tree]') && /^(Arrow|Home|End|Page)/.test(name))
    return true
  return (name === 'Space' || name === 'Enter') && target.closest('button, a, summary, [role=tab]') !== null
}
