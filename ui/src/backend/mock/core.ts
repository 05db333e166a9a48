/** What all families of the mock share: how it behaves, what it was asked, jobs that take time. */

import { type Backend, BackendError, type OnProgress } from '../backend'
import type { AppInfo, ComputingOverview, PackSummary, Provenance } from '../types'

/** How the mock behaves. */
export interface MockOptions {
  /** How long long jobs take. */
  jobMs?: number
  /** Commands that fail, with their failure. */
  failing?: Partial<Record<keyof Backend, BackendError>>
  /** Changes to what `appInfo` says. */
  info?: Partial<AppInfo>
  /** Cases that the library holds from the beginning. */
  libraryCases?: number
  /** Runs and adapters are there from the beginning. */
  trained?: boolean
  /** Steps that a run of training takes every time it is looked at; of 60. */
  trainingSteps?: number
}

/** The pack that the mock says it uses. */
export const PACK: PackSummary = {
  name: 'demo',
  title: 'Demo pack',
  version: '1.0.0',
  hash: '5f2b7c1e9d3a4f60817263544536271809fedcba98765432100123456789abcd',
  licence: 'MIT OR Apache-2.0',
  intended_use: 'Shows how the assistant works, on synthetic studies. Not for patients.',
  bundled: true,
  answers: true,
  figures: [
    { measure: 'Closed questions right', value: 0.93, data: 'synthetic studies, validation' },
    { measure: 'Expected calibration error', value: 0.021, data: 'synthetic studies, validation' },
  ],
}

/** Where the mock says that networks compute. */
export const COMPUTING: ComputingOverview = {
  now: {
    device: 'cpu',
    name: 'Processor, AVX2, 4 threads',
    numbers: 'f32',
    self_test: null,
    failure: null,
    passed_over: [],
    processor: 'Processor, AVX2, 4 threads',
  },
  choice: { device: 'auto', compute_type: null, matrix_bits: null },
  known: ['cpu', 'reference'],
}

/** Stands for any hash. */
export const HEX = 'a3f1c0d2e4b596877869504132231405f6e7d8c9bab0a1928374655647382910'

/** Waits. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** The part of the mock that every family stands on. */
export class MockCore {
  /** Every call in order: for tests. */
  readonly calls: string[] = []
  protected readonly options: MockOptions
  protected readonly cancelled = new Set<string>()

  constructor(options: MockOptions = {}) {
    this.options = options
  }

  protected note(command: keyof Backend, ...details: (string | number)[]): void {
    this.calls.push([command, ...details].join(' '))
    const failure = this.options.failing?.[command]
    if (failure) throw failure
  }

  protected async work(jobId: string, stage: string, onProgress: OnProgress): Promise<void> {
    const total = 10
    const step = (this.options.jobMs ?? 250) / total
    for (let done = 0; done < total; done++) {
      onProgress({ stage, done, total, message: null, eta_s: ((total - done) * step) / 1000 })
      await pause(step)
      if (this.cancelled.has(jobId)) throw new BackendError('cancelled', 'Cancelled.')
    }
  }

  protected provenance(): Provenance {
    return {
      app_version: '0.1.0',
      pack_name: PACK.name,
      pack_hash: PACK.hash,
      adapter: null,
      pixel_hash: HEX,
      frame: 1,
      preprocessing: 'squash to 128 × 128, grey, mean 0.5, deviation 0.25',
      created: '2024-03-18T10:20:30Z',
      elapsed_ms: 84,
    }
  }
}
