import { type Backend, BackendError, type OnProgress, type ProgressDto } from '../backend'
import type { Messages } from './messages.svelte'

/** A job is shown once it has run this long. */
export const SHOWN_AFTER_MS = 300

/** A job that runs. */
export interface Job {
  id: string
  title: string
  progress: ProgressDto | null
  visible: boolean
  cancelling: boolean
  /** Goes on for long while the user does other things. */
  background: boolean
  /** Stopping it is pausing: what it did is kept, and it goes on there the next time. */
  resumable: boolean
}

/** What came of a job. A cancelled job is an outcome, not a failure. */
export type Outcome<T> = { kind: 'done'; value: T } | { kind: 'cancelled' } | { kind: 'failed'; error: BackendError }

/** What a job is to the user: waited for, or beside other things; and there, whether it can be paused. */
export type JobKind = 'foreground' | 'background' | 'resumable'

/** Work that tells how far it is. */
export type Work<T> = (jobId: string, onProgress: OnProgress) => Promise<T>

/** Long work: its progress, and how to stop it. */
export class Jobs {
  list = $state<Job[]>([])
  readonly #backend: Backend
  readonly #messages: Messages
  #next = 1

  constructor(backend: Backend, messages: Messages) {
    this.#backend = backend
    this.#messages = messages
  }

  /** The jobs that the user sees. */
  get shown(): Job[] {
    return this.list.filter((job) => job.visible)
  }

  /** A job by its identifier, while it runs. */
  get(id: string | null): Job | null {
    return this.list.find((job) => job.id === id) ?? null
  }

  /** Runs a job; a failure is told to the user and returned. */
  async run<T>(title: string, work: Work<T>, kind: JobKind = 'foreground'): Promise<Outcome<T>> {
    const [background, resumable] = [kind !== 'foreground', kind === 'resumable']
    const id = `job-${Math.floor(performance.timeOrigin)}-${this.#next++}`
    this.list.push({ id, title, progress: null, visible: false, cancelling: false, background, resumable })
    const job = this.list.at(-1)! // the reactive one
    const timer = setTimeout(() => {
      job.visible = true
    }, SHOWN_AFTER_MS)
    try {
      const value = await work(id, (progress) => {
        job.progress = progress
      })
      return { kind: 'done', value }
    } catch (reason) {
      const error = BackendError.from(reason)
      if (error.cancelled) return { kind: 'cancelled' }
      this.#messages.fail(error)
      return { kind: 'failed', error }
    } finally {
      clearTimeout(timer)
      this.list = this.list.filter((other) => other.id !== id)
    }
  }

  /** Asks a job to stop; it ends when its work notices. */
  async cancel(id: string): Promise<void> {
    const job = this.list.find((candidate) => candidate.id === id)
    if (!job || job.cancelling) return
    job.cancelling = true
    try {
      await this.#backend.cancel(id)
    } catch (reason) {
      job.cancelling = false
      this.#messages.fail(reason)
    }
  }

  /** Stops the newest job that is shown and that the user waits for. Returns whether there was one. */
  cancelNewest(): boolean {
    const job = this.shown.findLast((candidate) => !candidate.cancelling && !candidate.background)
    if (job) void this.cancel(job.id)
    return job !== undefined
  }
}
