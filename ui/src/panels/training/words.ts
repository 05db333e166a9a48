/** Runs, adapters and their figures in words. */

import type { FigureInterval, TrainingEstimate, TrainingMethod, TrainingRun, TrainingState } from '../../backend'
import { durationText } from '../../parts/progress-text'
import { count } from '../cases'
import { capital } from '../words'

const METHODS: Record<TrainingMethod, string> = {
  probe: 'Probe',
  lora: 'LoRA',
  ia3: 'IA3',
  prefix: 'Prefix',
  prompt: 'Prompt context',
  full: 'All weights',
  contrastive: 'Contrastive',
}

const STATES: Record<TrainingState, string> = {
  running: 'running',
  paused: 'paused',
  finished: 'finished',
  failed: 'stopped by an error',
  cancelled: 'cancelled',
}

/** A method's name. */
export const methodText = (method: TrainingMethod): string => METHODS[method]

/** How a run is. */
export const stateText = (state: TrainingState): string => STATES[state]

/** A figure to three digits, or a dash where there is none. */
export function figureText(value: number | null): string {
  return value === null ? '–' : value.toFixed(3).replace('-', '−')
}

/** A difference with its sign. */
export function gainText(value: number | null): string {
  return value === null ? '–' : `${value > 0 ? '+' : ''}${figureText(value)}`
}

/** An interval in brackets; nothing where there is none. */
export function intervalText({ low, high }: FigureInterval): string {
  return low === null || high === null ? '' : `(${figureText(low)} to ${figureText(high)})`
}

/** A p value as journals print it. */
export function pText(p: number | null): string {
  if (p === null) return '–'
  return p < 0.001 ? '< 0.001' : p.toFixed(3)
}

/** What a metric is called. */
export function metricText(metric: string): string {
  return metric === 'auroc' ? 'AUROC' : capital(metric)
}

/** Bytes in a unit that fits. */
export function bytesText(bytes: number): string {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`
}

/** Mebibytes in a unit that fits. */
export function memoryText(mebibytes: number): string {
  return mebibytes < 1024 ? `${Math.ceil(mebibytes)} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`
}

/** What a run will take, in one sentence. */
export function estimateText({ total_s, steps, memory_mib, disk_bytes }: TrainingEstimate): string {
  const work = steps > 1 ? ` (${count(steps)} steps)` : ''
  return `About ${durationText(total_s)}${work}, ${memoryText(memory_mib)} of memory and ${bytesText(disk_bytes)} on the disk.`
}

/** What a run does, how far it is, how fast and how long it will take. */
export function progressLine({ stage, done, total, cases_per_s, eta_s }: TrainingRun): string {
  return [
    capital(stage),
    total > 0 ? `${count(done)} of ${count(total)}` : '',
    cases_per_s === null ? '' : `${cases_per_s < 10 ? cases_per_s.toFixed(1) : Math.round(cases_per_s)} cases a second`,
    eta_s === null ? '' : `about ${durationText(eta_s)} left`,
  ]
    .filter((part) => part !== '')
    .join(' · ')
}

/** A moment (RFC 3339, UTC) by day and minute; nothing for none. */
export function momentText(moment: string): string {
  return moment.slice(0, 16).replace('T', ' ')
}
