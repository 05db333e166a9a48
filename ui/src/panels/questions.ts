/** Questions worth asking first, by modality and body part. */

const CHEST = [
  'Is there a pleural effusion?',
  'Is there a pneumothorax?',
  'Is the heart enlarged?',
  'Is there a consolidation?',
  'Is there a nodule or mass?',
  'What is the abnormality?',
]

const HEAD = ['Is there a haemorrhage?', 'Is there an infarct?', 'Is there a mass?', 'What is the abnormality?']

const ANY = ['What modality is shown?', 'Which organ is shown?', 'Is there an abnormality?', 'What is the abnormality?']

/** Suggested questions for a series. */
export function suggestions(modality: string, bodyPart: string): string[] {
  const part = bodyPart.toUpperCase()
  if (/CHEST|THORAX|LUNG/.test(part)) return CHEST
  if (/HEAD|BRAIN|SKULL/.test(part)) return HEAD
  if (part === '' && /^(DX|CR)$/.test(modality)) return CHEST
  return ANY
}
