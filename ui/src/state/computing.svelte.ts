import type { Backend, ComputingChoice, ComputingDto, ComputingOverview } from '../backend'
import type { Jobs } from './jobs.svelte'
import type { Messages } from './messages.svelte'

/** What a device is called in a list. */
export function deviceName(device: string): string {
  const [kind, number] = device.split(':')
  if (kind === 'auto') return 'Whichever is faster and right'
  if (kind === 'cpu') return 'Processor'
  if (kind === 'reference') return 'Processor in f64, to compare with (slow)'
  const name = kind === 'cuda' ? 'NVIDIA device' : 'Apple device'
  return `${name} ${number ?? 0}`
}

/** How a device did in its test, in a sentence. */
export function testText(now: ComputingDto): string {
  const test = now.self_test
  if (!test) return ''
  const times = `${test.device_ms.toFixed(1)} ms against ${test.processor_ms.toFixed(1)} ms on the processor`
  return `Tested: ${times}; results differ by ${test.error.toExponential(1)} at most.`
}

/** The device that networks compute on. */
export class Computing {
  overview = $state.raw<ComputingOverview | null>(null)
  choosing = $state(false)
  readonly #backend: Backend
  readonly #jobs: Jobs
  readonly #messages: Messages

  constructor(backend: Backend, jobs: Jobs, messages: Messages) {
    this.#backend = backend
    this.#jobs = jobs
    this.#messages = messages
  }

  /** The device in use. */
  get now(): ComputingDto | null {
    return this.overview?.now ?? null
  }

  /** Where networks compute, in a word or two. */
  get label(): string {
    const now = this.now
    if (!now) return ''
    if (now.failure) return `${now.processor} (${now.name} failed)`
    return now.device === 'cpu' ? now.name : `${now.name}, ${now.numbers}`
  }

  /** Learns what is used now; tells of a device that failed since the last look. */
  async refresh(): Promise<void> {
    try {
      this.#take(await this.#backend.computing())
    } catch (reason) {
      this.#messages.fail(reason)
    }
  }

  /** Takes another device or other numbers; returns whether they are in use now. */
  async choose(changes: Partial<ComputingChoice>): Promise<boolean> {
    const before = this.overview
    if (!before || this.choosing) return false
    const choice = { ...before.choice, ...changes }
    this.choosing = true
    const outcome = await this.#jobs.run('Testing the device', () => this.#backend.computingChoose(choice))
    this.choosing = false
    if (outcome.kind !== 'done') return false
    this.#take(outcome.value)
    return true
  }

  #take(overview: ComputingOverview): void {
    const { failure, name, processor } = overview.now
    if (failure && failure !== this.now?.failure) {
      this.#messages.add('warning', 'device', `${name} failed; ${processor} goes on in its place. ${failure}`)
    }
    const kept = overview.now.passed_over.find((over) => over.device === overview.choice.device)
    if (kept && !this.overview) this.#messages.add('warning', 'device', kept.reason)
    this.overview = overview
  }
}
