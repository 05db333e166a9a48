/** Kinds of questions in words. */

import type { Answer } from '../backend'

const NAMES: Record<Answer['kind'], string> = {
  presence: 'Presence',
  position: 'Position',
  modality: 'Modality',
  plane: 'Plane',
  size: 'Size',
  abnormality: 'Abnormality',
  organ: 'Organ',
  count: 'Count',
  attribute: 'Attribute',
  colour: 'Brightness or colour',
  other: 'Other',
}

/** What a question was understood to ask for, and whether it offers its answers. */
export function kindText({ kind, closed }: Pick<Answer, 'kind' | 'closed'>): string {
  return `${NAMES[kind]} · ${closed ? 'closed' : 'open'}`
}
