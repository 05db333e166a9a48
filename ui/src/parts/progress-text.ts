import type { ProgressDto } from '../backend'
import { capital } from '../panels/words'

/** Seconds in words: `40 s`, `12 min`, `3 h 5 min`. */
export function durationText(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** What a job does, how far it is, and how long it will take. */
export function progressText(progress: ProgressDto | null): string {
  if (!progress) return ''
  const far = progress.done > 0 ? `${progress.done} so far` : ''
  const count = progress.total > 0 ? `${progress.done} of ${progress.total}` : far
  const left = progress.eta_s !== null && progress.eta_s >= 1 ? `about ${durationText(progress.eta_s)} left` : ''
  return [capital(progress.stage), progress.message ?? '', count, left].filter((part) => part !== '').join(' · ')
}
