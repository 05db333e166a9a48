/** An adapter's report, made up from scores that are drawn and counted, so that plots and figures agree. */

import type {
  AdapterReport,
  AdapterSummary,
  ClassFigures,
  ClassPlots,
  ForgottenRow,
  FigureInterval,
  PlotPoint,
  RecallRow,
  WorstCase,
} from '../types'

const CLASSES = ['COVID-19', 'other pneumonia', 'no pneumonia']
const CASES = 96

/** A sequence of numbers from 0 to 1 that is always the same. */
function drawn(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

interface Scored {
  score: number
  positive: boolean
}

function scores(seed: number, skill: number): Scored[] {
  const next = drawn(seed)
  return Array.from({ length: CASES }, (_, i) => {
    const positive = i % 3 === 0
    return { positive, score: Math.min(Math.max((positive ? skill : 0) + 0.75 * next(), 0.01), 0.99) }
  })
}

function roc(cases: Scored[]): PlotPoint[] {
  const sorted = [...cases].sort((p, q) => q.score - p.score)
  const positives = cases.filter(({ positive }) => positive).length
  let [hits, misses] = [0, 0]
  const points = sorted.map(({ positive }) => {
    if (positive) hits++
    else misses++
    return { x: misses / (cases.length - positives), y: hits / positives }
  })
  return [{ x: 0, y: 0 }, ...points]
}

const area = (points: PlotPoint[]): number =>
  points.slice(1).reduce((sum, { x, y }, i) => sum + ((x - points[i]!.x) * (y + points[i]!.y)) / 2, 0)

function reliability(cases: Scored[]): PlotPoint[] {
  return Array.from({ length: 5 }, (_, bin) => cases.filter(({ score }) => Math.floor(score * 5) === bin))
    .filter((bin) => bin.length > 0)
    .map((bin) => ({
      x: bin.reduce((sum, { score }) => sum + score, 0) / bin.length,
      y: bin.filter(({ positive }) => positive).length / bin.length,
    }))
}

const around = (value: number, half: number): FigureInterval => ({
  value,
  low: Math.max(0, value - half),
  high: Math.min(1, value + half),
})

function figures(cases: Scored[], ece: number): ClassFigures {
  const value = area(roc(cases))
  return {
    auroc: around(value, 0.07),
    auprc: value - 0.12,
    sensitivity_at_90_specificity: Math.max(0, 2 * value - 1),
    ece,
    brier: 0.25 - 0.12 * value,
  }
}

const RECALL: RecallRow[] = ['image to report', 'report to image'].flatMap((direction) =>
  [1, 5, 10].map((k) => ({ direction, k, after: around(0.1 + 0.05 * k, 0.06), before: around(0.04 + 0.03 * k, 0.05) })),
)

const WORST: WorstCase[] = [0, 1, 2, 3, 4].map((i) => ({
  path: `/films/p${String(i + 7).padStart(3, '0')}/pa.dcm`,
  truth: CLASSES[i % 3]!,
  said: CLASSES[(i + 1) % 3]!,
  probability: 0.97 - 0.06 * i,
}))

const FORGOTTEN: ForgottenRow[] = [
  {
    name: 'Findings on a chest radiograph',
    measure: 'auroc',
    cases: 66,
    before: 0.94,
    after: 0.71,
    low: -0.31,
    high: -0.15,
    forgotten: true,
  },
  {
    name: 'Kind of image',
    measure: 'accuracy',
    cases: 96,
    before: 1,
    after: 0.99,
    low: -0.03,
    high: 0,
    forgotten: false,
  },
]

/** The report of an adapter; of one that the gate refused, a report that shows why. */
export function mockReport(adapter: AdapterSummary): AdapterReport {
  const skill = adapter.passes ? 0.32 : 0.12
  const sides = CLASSES.map((name, i) => ({ name, after: scores(i + 3, skill), before: scores(i + 3, 0.08) }))
  const whole = sides.flatMap(({ after }) => after)
  const base = sides.flatMap(({ before }) => before)
  const plots: ClassPlots[] = sides.map(({ name, after, before }) => ({
    name,
    roc_after: roc(after),
    roc_before: roc(before),
    reliability_after: reliability(after),
    reliability_before: reliability(before),
  }))
  const contrastive = adapter.method === 'contrastive'
  const half = adapter.passes ? 0.04 : 0.09
  const gain = (adapter.value ?? 0) - (adapter.base_value ?? 0)
  return {
    adapter,
    judged_on: contrastive ? 'patients who were left out' : 'all cases, each by a fit without its patient',
    cases: CASES,
    patients: 61,
    trained: CLASSES.map((name, i) => ({ name, cases: 40 - 6 * i, patients: 25 - 4 * i })),
    rows: contrastive
      ? []
      : [...sides, { name: 'macro', after: whole, before: base }].map(({ name, after, before }) => ({
          name,
          n: CASES,
          positives: name === 'macro' ? CASES : CASES / 3,
          after: figures(after, adapter.passes ? 0.036 : 0.121),
          before: figures(before, 0.092),
          delong_p: name === 'macro' ? null : adapter.passes ? 0.0004 : 0.31,
        })),
    gain: { value: gain, low: gain - half, high: gain + half },
    accuracy: contrastive ? null : 0.68,
    base_accuracy: contrastive ? null : 0.41,
    recalibration: contrastive
      ? null
      : {
          method: 'standard',
          cases: CASES,
          ece_before: 0.118,
          ece_after: 0.036,
          brier_before: 0.187,
          brier_after: 0.151,
        },
    plots: contrastive ? [] : plots,
    confusion: contrastive
      ? null
      : {
          classes: CLASSES,
          after: [
            [24, 5, 3],
            [6, 21, 5],
            [2, 4, 26],
          ],
          before: [
            [12, 10, 10],
            [9, 13, 10],
            [8, 9, 15],
          ],
        },
    worst: contrastive ? [] : WORST,
    retrieval: contrastive ? RECALL : [],
    forgotten: adapter.method === 'probe' ? [] : FORGOTTEN,
  }
}
