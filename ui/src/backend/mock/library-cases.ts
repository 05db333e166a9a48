/** Cases for the mock's library: made up, reproducible. No part of the product. */

import type { CaseFacts, ImportFormat, LibraryCase, PreviewColumn } from '../types'

/** What a made-up report says. */
interface Picture {
  labels: string[]
  uncertain?: string
  report: string
}

const PICTURES: Picture[] = [
  {
    labels: ['pleural effusion'],
    report:
      'Findings: Blunting of the left costophrenic angle with a meniscus, in keeping with a moderate pleural effusion. ' +
      'The heart is of normal size. No pneumothorax.\nImpression: Left pleural effusion.',
  },
  {
    labels: ['cardiomegaly', 'pulmonary oedema'],
    uncertain: 'pleural effusion',
    report:
      'Findings: The heart is enlarged, with a cardiothoracic ratio of 0.61. Upper lobe diversion and septal lines. ' +
      'A small right pleural effusion cannot be excluded.\nImpression: Heart failure.',
  },
  {
    labels: ['no finding'],
    report: 'Findings: The lungs are clear. The heart is of normal size.\nImpression: Normal chest radiograph.',
  },
  {
    labels: ['consolidation', 'pneumonia'],
    report:
      'Findings: Airspace consolidation in the right lower zone with air bronchograms. No pleural effusion. ' +
      'The heart is of normal size.\nImpression: Right lower lobe pneumonia. Follow-up radiograph in six weeks is advised.',
  },
  {
    labels: ['pneumothorax'],
    report:
      'Findings: Visceral pleural line 2 cm from the left chest wall at the apex, no lung markings beyond it. ' +
      'No shift of the mediastinum.\nImpression: Left apical pneumothorax.',
  },
  {
    labels: ['nodule'],
    uncertain: 'atelectasis',
    report:
      'Findings: A well-defined nodule of 14 mm projects over the right upper zone. Linear opacity at the left base, ' +
      'perhaps atelectasis.\nImpression: Solitary pulmonary nodule. CT is advised.',
  },
]

const factsOf = (number: number): CaseFacts => ({
  modality: number % 7 === 6 ? null : number % 5 === 4 ? 'CR' : 'DX',
  body_part: 'CHEST',
  view: ['PA', 'AP', 'LATERAL', null][number % 4] ?? null,
  sex: number % 11 === 10 ? null : number % 2 === 0 ? 'F' : 'M',
  age: number % 13 === 12 ? null : 24 + ((number * 17) % 65),
  date: number % 9 === 8 ? null : `20${15 + (number % 9)}-${String(1 + (number % 12)).padStart(2, '0')}`,
  split: ['train', 'train', 'train', 'validation', 'test'][number % 5] ?? null,
})

/** The case with a number, counted from 0. */
export function mockCase(number: number): LibraryCase {
  const { labels, uncertain, report } = PICTURES[number % PICTURES.length]!
  return {
    case_id: `7f3a${(number * 2654435761).toString(16).slice(0, 8).padStart(8, '0')}`,
    source: number % 3 === 2 ? 'teaching files' : 'chest 2015 to 2023',
    facts: factsOf(number),
    images: number % 4 === 0 ? 2 : 1,
    texts: [{ kind: number % 6 === 5 ? 'caption' : 'report', body: report }],
    labels: [
      ...labels.map((name) => ({ name, value: 1, reader: null })),
      ...(labels.includes('no finding') ? [] : [{ name: 'fracture', value: 0, reader: null }]),
      ...(uncertain ? [{ name: uncertain, value: -1, reader: null }] : []),
    ],
    questions:
      number % 2 === 0
        ? [
            { question: 'Is there a pleural effusion?', answer: labels.includes('pleural effusion') ? 'yes' : 'no' },
            { question: 'What modality is this?', answer: 'xray' },
          ]
        : [],
    adapters: ['ward'],
  }
}

/** Layouts, as the application names them. */
export const FORMATS: ImportFormat[] = [
  { word: 'table', title: 'Table with a column map (CSV, JSONL)', needs_table: true },
  { word: 'folders', title: 'A folder per class', needs_table: false },
  { word: 'dicom', title: 'DICOM folder, with reports inside', needs_table: false },
  { word: 'chexpert', title: 'CheXpert', needs_table: false },
]

/** Everything that a column can say. */
export const ROLES = [
  'image',
  'patient',
  'report',
  'label',
  'view',
  'sex',
  'age',
  'date',
  'split',
  'question',
  'answer',
]

/** Columns of a table that is looked at. */
export const COLUMNS: PreviewColumn[] = [
  { name: 'file', suggested: 'image', examples: ['p001/pa.png', 'p001/lat.png', 'p002/pa.png'] },
  { name: 'patient_id', suggested: 'patient', examples: ['P001', 'P001', 'P002'] },
  {
    name: 'findings',
    suggested: 'report',
    examples: ['Blunting of the left costophrenic angle…', 'The lungs are clear.'],
  },
  { name: 'projection', suggested: 'view', examples: ['PA', 'LATERAL', 'PA'] },
  { name: 'scanner', suggested: null, examples: ['A', 'B', 'A'] },
]
