/** Fine-tuning, made up: a run moves on by some steps whenever it is looked at. */

import { BackendError, type OnProgress } from '../backend'
import type {
  AdapterReport,
  AdapterSummary,
  CurvePoint,
  Provenance,
  TrainingData,
  TrainingEstimate,
  TrainingPreset,
  TrainingPreview,
  TrainingRequest,
  TrainingRun,
  TrainingRunDetail,
  TrainingTable,
} from '../types'
import { PACK } from './core'
import { MockLibrary } from './library'
import { NO_OPTIONS, PRESETS } from './training-presets'
import { mockReport } from './training-report'

/** Steps of every run. */
const TOTAL = 60

/** The columns of the table that the mock has. */
const COLUMNS = ['file', 'patient', 'finding', 'report', 'view']

const FORGOT =
  'it forgot some of what the pack knew: Findings on a chest radiograph (auroc) falls from 0.940 to 0.710 on the demo cases'
const NO_REPORT = 'it has no report: nobody judged it here'
const GAIN = 'the gain of 0.021 has an interval from −0.069 to 0.111, which does not lie above zero'

function requestOf(name: string, preset: string, notes = ''): TrainingRequest {
  const columns = { image: 'file', patient: 'patient', report: null, labels: ['finding'], split: null }
  const data: TrainingData = { folder: '/films', table: '/films/cases.csv', columns, renamed: [], left_out: 0 }
  return { name, preset, data, pack: null, options: NO_OPTIONS, cores: null, notes }
}

function curve(done: number): CurvePoint[] {
  return Array.from({ length: done }, (_, i) => ({
    step: i + 1,
    loss: 0.25 + 0.85 * Math.exp(-i / 18) + 0.05 * Math.sin(i * 1.7),
    figure: (i + 1) % 6 === 0 ? 0.83 - 0.31 * Math.exp(-i / 15) : null,
  }))
}

/** Runs and adapters in memory. */
export class MockTraining extends MockLibrary {
  /** The last request for a run. */
  trainingRequest: TrainingRequest | undefined
  #runs: { run: TrainingRun; request: TrainingRequest }[] = []
  #adapters: AdapterSummary[] = []
  #lineage: (string | null)[] = [null]

  constructor(...options: ConstructorParameters<typeof MockLibrary>) {
    super(...options)
    if (!this.options.trained) return
    for (const [name, preset, passes] of [
      ['ward-2023', 'few_labels', true],
      ['ward-lora', 'hundreds', false],
    ] as const) {
      const request = requestOf(name, preset, passes ? 'Films of ward 3, autumn' : '')
      this.#begin(request, passes ? '2024-02-11T09:12:00Z' : '2024-03-01T16:40:00Z')
      this.#finish(name, passes)
    }
  }

  async trainingPresets(): Promise<TrainingPreset[]> {
    this.note('trainingPresets')
    return PRESETS
  }

  async trainingTable(path: string): Promise<TrainingTable> {
    this.note('trainingTable', path)
    const guess = { image: 'file', patient: 'patient', report: 'report', labels: ['finding'], split: null }
    return { columns: COLUMNS, rows: 96, guess }
  }

  async trainingLibrary(conditions: string[], columns: string): Promise<TrainingData> {
    this.note('trainingLibrary', conditions.join(','), columns)
    const roles = { image: 'file', patient: 'patient', report: 'report', labels: ['finding'], split: null }
    return { folder: '/archive', table: '/home/tables/3f1c.csv', columns: roles, renamed: [], left_out: 0 }
  }

  async trainingPreview(
    jobId: string,
    data: TrainingData,
    pack: string | null,
    onProgress: OnProgress,
  ): Promise<TrainingPreview> {
    this.note('trainingPreview', data.columns.labels.join(','), pack ?? '')
    await this.work(jobId, 'looking at images', onProgress)
    const { image, patient, labels, report } = data.columns
    const problems = [
      ...(image === 'file'
        ? []
        : [
            {
              code: 'bad_image',
              message: 'row 1: there is no such image; choose the column with paths',
              blocking: true,
            },
          ]),
      ...(patient
        ? []
        : [
            {
              code: 'no_patients',
              message: 'No column says who the patients are: every image counts as a patient of its own.',
              blocking: false,
            },
          ]),
    ]
    return {
      cases: 96,
      patients: patient ? 61 : 96,
      patients_known: patient !== null,
      exclusive: true,
      classes: labels.length === 0 ? [] : mockReport(this.#summary('', 'probe', true)).trained,
      unlabelled: labels.length === 0 ? 96 : 6,
      reports: report ? 90 : 0,
      problems,
    }
  }

  async trainingEstimate(jobId: string, request: TrainingRequest, onProgress: OnProgress): Promise<TrainingEstimate> {
    this.note('trainingEstimate', request.preset)
    await this.work(jobId, 'training', onProgress)
    return { steps: TOTAL, step_s: 2.4, total_s: 168, memory_mib: 1830, disk_bytes: 14_600_000 }
  }

  async trainingStart(request: TrainingRequest): Promise<TrainingRun> {
    this.note('trainingStart', request.name)
    if (this.#runs.some(({ run }) => run.name === request.name))
      throw new BackendError(
        'name_taken',
        `there is a run or an adapter \`${request.name}\` already; choose another name`,
      )
    this.trainingRequest = request
    return { ...this.#begin(request, '2024-03-18T10:20:30Z') }
  }

  async trainingRuns(): Promise<TrainingRun[]> {
    this.note('trainingRuns')
    for (const { run } of this.#runs) this.#move(run)
    return this.#runs.map(({ run }) => ({ ...run }))
  }

  async trainingRun(name: string): Promise<TrainingRunDetail> {
    this.note('trainingRun', name)
    const { run, request } = this.#found(name)
    return { run: { ...run }, curve: run.method === 'probe' ? [] : curve(run.done), figure: 'auroc', request }
  }

  async trainingPause(name: string): Promise<TrainingRun> {
    this.note('trainingPause', name)
    return this.#set(name, { state: 'paused', stage: '', eta_s: null, cases_per_s: null })
  }

  async trainingResume(name: string): Promise<TrainingRun> {
    this.note('trainingResume', name)
    return this.#set(name, { state: 'running', stage: 'training', eta_s: 90, cases_per_s: 6.7 })
  }

  async trainingCancel(name: string): Promise<TrainingRun> {
    this.note('trainingCancel', name)
    return this.#set(name, { state: 'cancelled', stage: '', eta_s: null, cases_per_s: null })
  }

  async trainingRemove(name: string): Promise<void> {
    this.note('trainingRemove', name)
    this.#runs = this.#runs.filter(({ run }) => run.name !== name)
  }

  async trainingBusy(): Promise<void> {
    this.note('trainingBusy')
  }

  async adapters(): Promise<AdapterSummary[]> {
    this.note('adapters')
    return this.#adapters.map((adapter) => ({ ...adapter }))
  }

  async adapterReport(name: string): Promise<AdapterReport> {
    this.note('adapterReport', name)
    return mockReport(this.#adapter(name))
  }

  async adapterActivate(name: string): Promise<AdapterSummary> {
    this.note('adapterActivate', name)
    const adapter = this.#adapter(name)
    if (!adapter.passes)
      throw new BackendError('gate_refused', `\`${name}\` may not go live: ${adapter.reasons.join('; ')}`)
    this.#lineage.push(name)
    return this.#use(name)!
  }

  async adapterRollback(pack: string | null): Promise<AdapterSummary | null> {
    this.note('adapterRollback', pack ?? '')
    this.#lineage.pop()
    return this.#use(this.#lineage.at(-1) ?? null)
  }

  async adapterRemove(name: string): Promise<void> {
    this.note('adapterRemove', name)
    if (this.#adapter(name).active)
      throw new BackendError('adapter_active', `\`${name}\` is in use; roll back before you delete it`)
    this.#adapters = this.#adapters.filter((adapter) => adapter.name !== name)
  }

  async adapterExport(name: string, path: string): Promise<void> {
    this.note('adapterExport', name, path)
  }

  async adapterImport(path: string): Promise<AdapterSummary> {
    this.note('adapterImport', path)
    const unjudged = { judged: false, value: null, base_value: null, passes: false, reasons: [NO_REPORT], warnings: [] }
    const adapter = { ...this.#summary('imported', 'lora', true), ...unjudged, cases: 0, patients: 0, classes: [] }
    this.#adapters.unshift(adapter)
    return adapter
  }

  async adapterJudge(jobId: string, name: string, data: TrainingData, onProgress: OnProgress): Promise<AdapterReport> {
    this.note('adapterJudge', name, data.table, data.columns.labels.join(','))
    await this.work(jobId, 'judging', onProgress)
    const adapter = this.#adapter(name)
    if (adapter.judged) throw new BackendError('judged_already', `the adapter \`${name}\` has its verdict, which stays`)
    const { classes, judged, value, base_value, passes, reasons, warnings } = this.#summary(name, 'lora', true)
    Object.assign(adapter, { classes, judged, value, base_value, passes, reasons, warnings })
    return mockReport({ ...adapter })
  }

  async adapterImage(name: string, index: number): Promise<ArrayBuffer> {
    this.note('adapterImage', name, index)
    return this.thumbnail('chest-pa')
  }

  protected override provenance(): Provenance {
    return { ...super.provenance(), adapter: this.#lineage.at(-1) ?? null }
  }

  #begin(request: TrainingRequest, created: string): TrainingRun {
    const method = PRESETS.find(({ id }) => id === request.preset)?.method ?? 'probe'
    const run: TrainingRun = {
      name: request.name,
      method,
      preset: request.preset,
      pack: PACK.name,
      state: 'running',
      stage: 'training',
      done: 0,
      total: TOTAL,
      eta_s: 168,
      cases_per_s: 6.7,
      error: null,
      created,
      cases: 96,
      adapter: null,
    }
    this.#runs.unshift({ run, request })
    return run
  }

  #move(run: TrainingRun): void {
    if (run.state !== 'running') return
    run.done = Math.min(TOTAL, run.done + (this.options.trainingSteps ?? 2))
    run.eta_s = (TOTAL - run.done) * 2.4
    if (run.done === TOTAL) this.#finish(run.name, true)
  }

  #finish(name: string, passes: boolean): void {
    const { run, request } = this.#found(name)
    Object.assign(run, { state: 'finished', stage: '', done: TOTAL, eta_s: null, cases_per_s: null, adapter: name })
    const adapter = this.#summary(name, run.method, passes)
    this.#adapters.unshift({ ...adapter, created: run.created, notes: request.notes })
  }

  #summary(name: string, method: AdapterSummary['method'], passes: boolean): AdapterSummary {
    return {
      name,
      method,
      pack: PACK.name,
      pack_hash: PACK.hash,
      fits: true,
      active: false,
      created: '2024-03-18T10:25:00Z',
      notes: '',
      classes: method === 'contrastive' ? [] : ['COVID-19', 'other pneumonia', 'no pneumonia'],
      cases: 96,
      patients: 61,
      judged: true,
      metric: method === 'contrastive' ? 'recall@5' : 'auroc',
      value: passes ? 0.797 : 0.502,
      base_value: 0.481,
      passes,
      reasons: passes ? [] : [GAIN],
      warnings: method === 'probe' ? [] : [FORGOT],
      bytes: 1_240_000,
    }
  }

  #use(name: string | null): AdapterSummary | null {
    for (const adapter of this.#adapters) adapter.active = adapter.name === name
    return name === null ? null : { ...this.#adapter(name) }
  }

  #set(name: string, changes: Partial<TrainingRun>): TrainingRun {
    return { ...Object.assign(this.#found(name).run, changes) }
  }

  #found(name: string): { run: TrainingRun; request: TrainingRequest } {
    const found = this.#runs.find(({ run }) => run.name === name)
    if (!found) throw new BackendError('not_found', `there is no run \`${name}\``)
    return found
  }

  #adapter(name: string): AdapterSummary {
    const found = this.#adapters.find((adapter) => adapter.name === name)
    if (!found) throw new BackendError('no_adapter', `there is no adapter \`${name}\``)
    return found
  }
}
