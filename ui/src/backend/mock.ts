/** A backend without a shell: for development in a browser and for tests. Never part of the product's bundle. */

import {
  type Backend,
  BackendError,
  type DialogChoice,
  type DropEvent,
  type OnProgress,
  type Unsubscribe,
} from './backend'
import { CHEST, chestRadiograph, greyPng, HEAD_SIDE, HEAD_SLICES, headSlice, preview } from './mock-images'
import type {
  Answer,
  AppInfo,
  Findings,
  FrameInfo,
  OpenReportDto,
  PackSummary,
  Provenance,
  SimilarCases,
  StudyDto,
  Suggestions,
  TagNode,
} from './types'

/** How the mock behaves. */
export interface MockOptions {
  /** How long long jobs take. */
  jobMs?: number
  /** Commands that fail, with their failure. */
  failing?: Partial<Record<keyof Backend, BackendError>>
  /** Changes to what `appInfo` says. */
  info?: Partial<AppInfo>
}

const PACK: PackSummary = {
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

const STUDIES: StudyDto[] = [
  {
    id: 'study-head',
    patient_name: 'Phantom, Alpha',
    patient_id: 'LUC-0001',
    sex: 'F',
    age: '064Y',
    date: '2024-03-18',
    description: 'CT head without contrast',
    synthetic: true,
    series: [
      {
        id: 'head-axial',
        modality: 'CT',
        description: 'Axial 5 mm',
        body_part: 'HEAD',
        view: '',
        frames: HEAD_SLICES,
      },
    ],
  },
  {
    id: 'study-chest',
    patient_name: 'Phantom, Beta',
    patient_id: 'LUC-0002',
    sex: 'M',
    age: '057Y',
    date: '2024-03-18',
    description: 'Chest, two views',
    synthetic: true,
    series: [{ id: 'chest-pa', modality: 'DX', description: 'Chest PA', body_part: 'CHEST', view: 'PA', frames: 1 }],
  },
]

const HEX = 'a3f1c0d2e4b596877869504132231405f6e7d8c9bab0a1928374655647382910'

const tag = (name: string, number: string, vr: string, value: string, children: TagNode[] = []): TagNode => ({
  tag: number,
  vr,
  name,
  value,
  children,
})

/** Pictures are made once for all mocks: tests make many. */
const PIXELS = new Map<string, ArrayBuffer>()
const THUMBNAILS = new Map<string, ArrayBuffer>()

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Answers like the application would, with made-up results. */
export class MockBackend implements Backend {
  /** Every call in order: for tests. */
  readonly calls: string[] = []
  /** What a dialog returns next. */
  chosen: string[] = ['demo.dcm']
  /** What opening paths returns; the demo studies if unset. */
  report: OpenReportDto | undefined
  readonly #options: MockOptions
  readonly #cancelled = new Set<string>()
  #openFiles: ((paths: string[]) => void) | undefined
  #drop: ((event: DropEvent) => void) | undefined

  constructor(options: MockOptions = {}) {
    this.#options = options
  }

  /** Pretends that another start of the application passed files on. */
  passFiles(paths: string[]): void {
    this.#openFiles?.(paths)
  }

  /** Pretends that files were dropped. */
  dropFiles(paths: string[]): void {
    this.#drop?.({ kind: 'drop', paths })
  }

  async appInfo(): Promise<AppInfo> {
    this.#note('appInfo')
    return {
      version: '0.1.0',
      pack: PACK,
      pack_error: null,
      demo_available: true,
      research_notice: 'Research use only – not a medical device',
      startup_paths: [],
      startup_demo: false,
      ...this.#options.info,
    }
  }

  async openPaths(jobId: string, paths: string[], onProgress: OnProgress): Promise<OpenReportDto> {
    this.#note('openPaths', paths.join(','))
    await this.#work(jobId, 'Reading files', onProgress)
    return this.report ?? { studies: STUDIES, rejected: [], cancelled: false }
  }

  async openDemo(jobId: string, onProgress: OnProgress): Promise<OpenReportDto> {
    this.#note('openDemo')
    await this.#work(jobId, 'Reading files', onProgress)
    return { studies: STUDIES, rejected: [], cancelled: false }
  }

  async closeStudy(studyId: string): Promise<void> {
    this.#note('closeStudy', studyId)
  }

  async frameInfo(seriesId: string, index: number): Promise<FrameInfo> {
    this.#note('frameInfo', seriesId, index)
    const shared = {
      samples: 1,
      pixel_aspect: 1,
      photometric: 'MONOCHROME2',
      default_is_lut: false,
      inverted: false,
      padding: null,
      instance_number: index + 1,
      frame: 1,
      pixel_hash: HEX,
    }
    if (seriesId === 'chest-pa')
      return {
        ...shared,
        rows: CHEST.rows,
        columns: CHEST.columns,
        kind: 'u16',
        modality: { kind: 'identity' },
        voi: [{ kind: 'window', center: 2000, width: 3600, function: 'LINEAR', label: 'Normal' }],
        default_window: { center: 2000, width: 3600, function: 'LINEAR' },
        spacing: { row_mm: 0.5, column_mm: 0.5, kind: 'at_detector' },
        position_mm: null,
        orientation: null,
        patient_orientation: ['L', 'F'],
      }
    return {
      ...shared,
      rows: HEAD_SIDE,
      columns: HEAD_SIDE,
      kind: 'i16',
      modality: { kind: 'rescale', slope: 1, intercept: -1024 },
      voi: [{ kind: 'window', center: 40, width: 80, function: 'LINEAR', label: 'Brain' }],
      default_window: { center: 40, width: 80, function: 'LINEAR' },
      spacing: { row_mm: 0.94, column_mm: 0.94, kind: 'calibrated' },
      position_mm: index * 5 - 80,
      orientation: [1, 0, 0, 0, 1, 0],
      patient_orientation: null,
    }
  }

  async framePixels(seriesId: string, index: number): Promise<ArrayBuffer> {
    this.#note('framePixels', seriesId, index)
    const key = `${seriesId}:${index}`
    let bytes = PIXELS.get(key)
    if (!bytes) {
      bytes = seriesId === 'chest-pa' ? chestRadiograph().buffer : headSlice(index).buffer
      PIXELS.set(key, bytes)
    }
    return bytes.slice(0)
  }

  async thumbnail(seriesId: string): Promise<ArrayBuffer> {
    this.#note('thumbnail', seriesId)
    let png = THUMBNAILS.get(seriesId)
    if (png) return png
    const { width, height, data } =
      seriesId === 'chest-pa'
        ? preview(chestRadiograph(), CHEST.columns, CHEST.rows, { center: 2000, width: 3600 })
        : preview(headSlice(HEAD_SLICES / 2), HEAD_SIDE, HEAD_SIDE, { center: 1064, width: 80 })
    png = greyPng(width, height, data)
    THUMBNAILS.set(seriesId, png)
    return png
  }

  async tags(seriesId: string, index: number): Promise<TagNode[]> {
    this.#note('tags', seriesId, index)
    return [
      tag('SOPClassUID', '(0008,0016)', 'UI', 'CT Image Storage'),
      tag('Modality', '(0008,0060)', 'CS', seriesId === 'chest-pa' ? 'DX' : 'CT'),
      tag('PatientName', '(0010,0010)', 'PN', 'Phantom^Alpha'),
      tag('InstanceNumber', '(0020,0013)', 'IS', String(index + 1)),
      tag('AnatomicRegionSequence', '(0008,2218)', 'SQ', '1 item', [
        tag('CodeValue', '(0008,0100)', 'SH', 'T-D1100'),
        tag('CodeMeaning', '(0008,0104)', 'LO', 'Head'),
      ]),
      tag('Rows', '(0028,0010)', 'US', String(HEAD_SIDE)),
      tag('WindowCenter', '(0028,1050)', 'DS', '40'),
      tag('WindowWidth', '(0028,1051)', 'DS', '80'),
    ]
  }

  async ask(jobId: string, seriesId: string, index: number, question: string, onProgress: OnProgress): Promise<Answer> {
    this.#note('ask', seriesId, index, question)
    await this.#work(jobId, 'Looking at the image', onProgress)
    const unsure = /nodule|infarct|organ/i.test(question)
    const blind = /modality/i.test(question)
    const yes = /effusion|haemorrhage/i.test(question)
    const answer = blind ? 'CT' : yes ? 'yes' : 'no'
    const confidence = unsure ? 0.41 : yes ? 0.94 : 0.82
    const chest = seriesId === 'chest-pa'
    const side = 8
    const [cx, cy] = chest ? [5.9, 5.6] : [5.4, 3.6]
    const values = Array.from({ length: side * side }, (_, i) =>
      Math.exp(-(((i % side) + 0.5 - cx) ** 2 + (Math.floor(i / side) + 0.5 - cy) ** 2) / 1.6),
    )
    const region = chest
      ? { x: 0, y: 60, width: 720, height: 720 }
      : { x: 0, y: 0, width: HEAD_SIDE, height: HEAD_SIDE }
    const elsewhere = /liver/i.test(question)
    return {
      question,
      kind: blind ? 'modality' : 'presence',
      closed: !blind,
      cautions: elsewhere
        ? [{ reason: 'other_region', message: 'The question is about the abdomen, but the file shows the head.' }]
        : [],
      answer,
      confidence,
      abstained: unsure || elsewhere,
      threshold: 0.55,
      alternatives: [
        { answer, confidence },
        { answer: answer === 'yes' ? 'no' : 'yes', confidence: (1 - confidence) * 0.9 },
        { answer: 'left', confidence: (1 - confidence) * 0.1 },
      ],
      image_made_no_difference: blind,
      blank_answer: blind ? answer : 'no',
      blank_confidence: blind ? 0.8 : 0.55,
      heat_map: elsewhere ? null : { rows: side, columns: side, values, region },
      provenance: this.#provenance(),
    }
  }

  async suggest(seriesId: string, index: number): Promise<Suggestions> {
    this.#note('suggest', seriesId, index)
    return seriesId === 'chest-pa'
      ? { region: 'chest', recognised: 0.97, questions: ['Is there a pleural effusion?', 'Is the heart enlarged?'] }
      : { region: 'head', recognised: null, questions: ['Is there a haemorrhage?', 'Is there an infarct?'] }
  }

  async findings(jobId: string, seriesId: string, index: number, onProgress: OnProgress): Promise<Findings> {
    this.#note('findings', seriesId, index)
    await this.#work(jobId, 'Scoring', onProgress)
    const chest = {
      'pleural effusion': 0.93,
      cardiomegaly: 0.61,
      consolidation: 0.22,
      nodule: 0.09,
      pneumothorax: 0.004,
    }
    const head = { haemorrhage: 0.97, mass: 0.31, infarct: 0.06 }
    return {
      label_set: seriesId === 'chest-pa' ? 'chest radiograph' : 'head CT',
      findings: Object.entries<number>(seriesId === 'chest-pa' ? chest : head).map(([label, score]) => ({
        label,
        score,
        present: score >= 0.5,
        operating_point: 0.5,
      })),
      calibrated: true,
      note: 'Trained on synthetic studies: scores of real studies mean little.',
      provenance: this.#provenance(),
    }
  }

  async similar(
    jobId: string,
    seriesId: string,
    index: number,
    k: number,
    onProgress: OnProgress,
  ): Promise<SimilarCases> {
    this.#note('similar', seriesId, index, k)
    await this.#work(jobId, 'Searching', onProgress)
    return {
      cases: Array.from({ length: k }, (_, i) => ({
        case_id: `${seriesId}-${i + 1}`,
        score: 0.97 - 0.04 * i,
        labels: i % 2 === 0 ? ['pleural effusion', 'left'] : ['no finding'],
        report:
          'Findings: Blunting of the left costophrenic angle with a meniscus, in keeping with a moderate pleural effusion. ' +
          'The heart is of normal size. No pneumothorax.\nImpression: Left pleural effusion.',
        modality: seriesId === 'chest-pa' ? 'DX' : 'CT',
        synthetic: true,
      })),
      library: 'demo library',
      library_size: 240,
      provenance: this.#provenance(),
    }
  }

  async caseImage(caseId: string): Promise<ArrayBuffer> {
    this.#note('caseImage', caseId)
    return this.thumbnail(caseId.startsWith('chest') ? 'chest-pa' : 'head-axial')
  }

  async packs(): Promise<PackSummary[]> {
    this.#note('packs')
    return [PACK, { ...PACK, name: 'other', title: 'Other pack', hash: HEX, bundled: false, answers: false }]
  }

  async selectPack(name: string): Promise<PackSummary> {
    this.#note('selectPack', name)
    return (await this.packs()).find((pack) => pack.name === name) ?? PACK
  }

  async checkRawPath(bytes: number): Promise<ArrayBuffer> {
    this.#note('checkRawPath')
    return Uint8Array.from({ length: bytes }, (_, i) => i % 251).buffer
  }

  async cancel(jobId: string): Promise<void> {
    this.#note('cancel', jobId)
    this.#cancelled.add(jobId)
  }

  async choosePaths(choice: DialogChoice): Promise<string[]> {
    this.#note('choosePaths', choice)
    return this.chosen
  }

  async onOpenFiles(handler: (paths: string[]) => void): Promise<Unsubscribe> {
    this.#openFiles = handler
    return () => (this.#openFiles = undefined)
  }

  async onDrop(handler: (event: DropEvent) => void): Promise<Unsubscribe> {
    this.#drop = handler
    return () => (this.#drop = undefined)
  }

  #note(command: keyof Backend, ...details: (string | number)[]): void {
    this.calls.push([command, ...details].join(' '))
    const failure = this.#options.failing?.[command]
    if (failure) throw failure
  }

  async #work(jobId: string, stage: string, onProgress: OnProgress): Promise<void> {
    const total = 10
    const step = (this.#options.jobMs ?? 250) / total
    for (let done = 0; done < total; done++) {
      onProgress({ stage, done, total, message: null, eta_s: ((total - done) * step) / 1000 })
      await pause(step)
      if (this.#cancelled.has(jobId)) throw new BackendError('cancelled', 'Cancelled.')
    }
  }

  #provenance(): Provenance {
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
