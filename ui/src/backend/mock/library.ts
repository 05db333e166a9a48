/** The department's case library, made up. */

import { BackendError, type OnProgress } from '../backend'
import type {
  CaseFacts,
  EmbedOutcome,
  ExcerptPiece,
  FrameInfo,
  ImportFormat,
  ImportOutcome,
  ImportPreview,
  ImportRequest,
  LibraryCase,
  LibraryCount,
  LibraryDeleted,
  LibraryFilter,
  LibraryHit,
  LibraryHits,
  LibraryQuery,
  LibraryStatus,
  OpenReportDto,
} from '../types'
import { MockAssistant } from './assistant'
import { CHEST, chestRadiograph } from './images'
import { COLUMNS, FORMATS, mockCase, ROLES } from './library-cases'

/** Rows of the table that the mock imports. */
const ROWS = 48
const PREFIX = 'case-'

let eightBit: ArrayBuffer | undefined

function counts(names: (string | null)[]): LibraryCount[] {
  const found = new Map<string, number>()
  for (const name of names) found.set(name ?? '', (found.get(name ?? '') ?? 0) + 1)
  return [...found].map(([name, cases]) => ({ name, cases })).sort((p, q) => q.cases - p.cases)
}

const present = (item: LibraryCase): string[] => item.labels.filter(({ value }) => value === 1).map(({ name }) => name)

/** A text in pieces, those that begin with one of the words marked. */
function marked(text: string, words: string[]): ExcerptPiece[] {
  const matches = (piece: string): boolean => words.some((word) => piece.toLowerCase().startsWith(word))
  return text
    .split(/\b/)
    .map((piece) => ({ text: piece, matched: matches(piece) }))
    .filter((piece) => piece.text !== '')
}

function passes(item: LibraryCase, filter: LibraryFilter): boolean {
  const { facts } = item
  const equal = (['modality', 'body_part', 'view', 'sex', 'split'] as const).every(
    (name) => filter[name] === null || facts[name] === filter[name],
  )
  const age = facts.age ?? -1
  const date = facts.date ?? ''
  return (
    equal &&
    (filter.source === null || item.source === filter.source) &&
    (filter.label === null || present(item).includes(filter.label)) &&
    (filter.age_from === null || age >= filter.age_from) &&
    (filter.age_to === null || (age >= 0 && age <= filter.age_to)) &&
    (filter.date_from === null || date >= filter.date_from) &&
    (filter.date_to === null || (date !== '' && date <= filter.date_to))
  )
}

/** A library in memory: empty, until something is imported. */
export class MockLibrary extends MockAssistant {
  /** The last request to import. */
  request: ImportRequest | undefined
  #cases: LibraryCase[] | undefined
  #embedded = 0
  #taken = 0

  async libraryStatus(): Promise<LibraryStatus> {
    this.note('libraryStatus')
    const cases = this.#all()
    const embedded = Math.min(this.#embedded, cases.length)
    return {
      cases: cases.length,
      patients: Math.ceil(cases.length / 2),
      images: cases.reduce((sum, item) => sum + item.images, 0),
      texts: cases.length,
      questions: cases.reduce((sum, item) => sum + item.questions.length, 0),
      embedded_images: embedded,
      embedded_reports: embedded,
      to_embed: 2 * (cases.length - embedded),
      sources: counts(cases.map(({ source }) => source)),
      modalities: counts(cases.map(({ facts }) => facts.modality)),
      splits: counts(cases.map(({ facts }) => facts.split)),
      labels: counts(cases.flatMap(present)),
      readers: [],
    }
  }

  /** Cases of the library, in its order. */
  protected caseIds(): string[] {
    return this.#all().map(({ case_id }) => case_id)
  }

  async libraryFormats(): Promise<ImportFormat[]> {
    this.note('libraryFormats')
    return FORMATS
  }

  async libraryPreview(request: ImportRequest): Promise<ImportPreview> {
    this.note('libraryPreview', request.format)
    const table = request.format === 'table'
    const image = request.columns.some(({ role }) => role === 'image')
    return {
      columns: table ? COLUMNS : [],
      roles: table ? ROLES : [],
      rows: Array.from({ length: 5 }, (_, i) => {
        const { facts, images, labels, texts, questions } = mockCase(i)
        const refused = i === 3 ? 'The image “p002/lat.png” is not there.' : null
        const text = texts[0]!.body.slice(0, 80)
        return { row: i + 1, facts, images: refused ? 0 : images, labels, text, questions: questions.length, refused }
      }),
      total: ROWS,
      resumes: this.#taken > 0 && this.#taken < ROWS,
      problem: table && !image ? 'No column says which file a row’s image is: give one the role “image”.' : null,
    }
  }

  async libraryImport(jobId: string, request: ImportRequest, onProgress: OnProgress): Promise<ImportOutcome> {
    this.note('libraryImport', request.format)
    this.request = request
    const began = this.#taken === ROWS ? 0 : this.#taken
    let done = began
    const paused = !(await this.#steps(jobId, 'Importing', began, ROWS, onProgress, (at) => (done = at)))
    this.#taken = done
    this.#cases = Array.from({ length: done }, (_, i) => mockCase(i))
    return {
      source: request.source ?? 'chest 2015 to 2023',
      rows: done - began,
      taken: Math.max(0, done - began - 2),
      joined: 0,
      rejected: Math.min(2, done - began),
      causes: [
        { code: 'image_missing', rows: 1 },
        { code: 'image_unreadable', rows: 1 },
      ],
      rejects: [
        { row: 4, code: 'image_missing', reason: 'The image is not there.' },
        { row: 17, code: 'image_unreadable', reason: 'The image ends early, after 1 204 of 4 096 bytes.' },
      ],
      redacted: 3,
      began_with: began + 1,
      paused,
      leaks: ['One patient has cases in “train” and in “test”.'],
      elapsed_s: 2.5,
    }
  }

  async libraryEmbed(jobId: string, onProgress: OnProgress): Promise<EmbedOutcome> {
    this.note('libraryEmbed')
    const cases = this.#all().length
    const before = this.#embedded
    await this.#steps(jobId, 'Embedding', before, cases, onProgress, (at) => (this.#embedded = at))
    const images = this.#embedded - before
    return { images, reports: images, unreadable: 1, elapsed_s: 4.2 }
  }

  async librarySearch(jobId: string, query: LibraryQuery, onProgress: OnProgress): Promise<LibraryHits> {
    this.note('librarySearch', query.by, query.text)
    await this.work(jobId, 'Searching', onProgress)
    return this.#hits(query, false)
  }

  async librarySimilar(
    jobId: string,
    seriesId: string,
    index: number,
    query: LibraryQuery,
    onProgress: OnProgress,
  ): Promise<LibraryHits> {
    this.note('librarySimilar', seriesId, index, query.text)
    await this.work(jobId, 'Searching', onProgress)
    return this.#hits(query, true)
  }

  async libraryCase(caseId: string): Promise<LibraryCase> {
    this.note('libraryCase', caseId)
    return this.#one(caseId)
  }

  async libraryImage(caseId: string, image: number, side: number): Promise<ArrayBuffer> {
    this.note('libraryImage', caseId, image, side)
    return this.thumbnail('chest-pa')
  }

  async libraryOpen(jobId: string, caseId: string, onProgress: OnProgress): Promise<OpenReportDto> {
    this.note('libraryOpen', caseId)
    await this.work(jobId, 'Reading files', onProgress)
    const { facts, images } = this.#one(caseId)
    return this.#study(caseId, facts, images)
  }

  /** A demo case; the facts are those of any other one. */
  async caseOpen(jobId: string, caseId: string, onProgress: OnProgress): Promise<OpenReportDto> {
    this.note('caseOpen', caseId)
    await this.work(jobId, 'Reading files', onProgress)
    return this.#study(caseId, mockCase(0).facts, 1)
  }

  #study(caseId: string, facts: CaseFacts, images: number): OpenReportDto {
    const series = Array.from({ length: images }, (_, i) => ({
      id: `${PREFIX}${caseId}-${i}`,
      modality: facts.modality ?? 'IMG',
      description: '',
      body_part: facts.body_part ?? '',
      view: i === 0 ? (facts.view ?? '') : 'LATERAL',
      frames: 1,
    }))
    const study = {
      id: `study-${caseId}`,
      patient_name: 'Somebody, Else',
      patient_id: 'ELSE-1',
      sex: facts.sex ?? '',
      age: facts.age === null ? '' : `${String(facts.age).padStart(3, '0')}Y`,
      date: facts.date ?? '',
      description: 'Library case',
      synthetic: true,
      series,
    }
    return { studies: [study], rejected: [], cancelled: false }
  }

  async libraryDelete(caseIds: string[]): Promise<LibraryDeleted> {
    this.note('libraryDelete', ...caseIds)
    const before = this.#all().length
    this.#cases = this.#all().filter((item) => !caseIds.includes(item.case_id))
    return { deleted: before - this.#cases.length, adapters: ['ward'], runs: [], report_entries: 1 }
  }

  override async frameInfo(seriesId: string, index: number): Promise<FrameInfo> {
    if (!seriesId.startsWith(PREFIX)) return super.frameInfo(seriesId, index)
    const window = { center: 128, width: 256, function: 'LINEAR' } as const
    const info = await super.frameInfo('chest-pa', index)
    return { ...info, kind: 'u8', voi: [], default_window: window, spacing: null }
  }

  override async framePixels(seriesId: string, index: number): Promise<ArrayBuffer> {
    if (!seriesId.startsWith(PREFIX)) return super.framePixels(seriesId, index)
    eightBit ??= Uint8Array.from(chestRadiograph(), (value) => Math.min(255, Math.max(0, value / 16))).buffer
    if (eightBit.byteLength !== CHEST.columns * CHEST.rows) throw new Error('a picture of another size')
    return eightBit.slice(0)
  }

  override async thumbnail(seriesId: string): Promise<ArrayBuffer> {
    return super.thumbnail(seriesId.startsWith(PREFIX) ? 'chest-pa' : seriesId)
  }

  #all(): LibraryCase[] {
    return (this.#cases ??= Array.from({ length: this.options.libraryCases ?? 0 }, (_, i) => mockCase(i)))
  }

  #one(caseId: string): LibraryCase {
    const found = this.#all().find((item) => item.case_id === caseId)
    if (!found) throw new BackendError('case_not_found', 'The library has no such case.')
    return found
  }

  /** Counts from `from` to `to` with progress. Returns false if it was cancelled on the way. */
  async #steps(
    jobId: string,
    stage: string,
    from: number,
    to: number,
    onProgress: OnProgress,
    at: (done: number) => void,
  ): Promise<boolean> {
    const wait = (this.options.jobMs ?? 6000) / Math.max(to, 1)
    for (let done = from; done < to; done++) {
      if (this.cancelled.has(jobId)) return false
      onProgress({ stage, done, total: to, message: null, eta_s: ((to - done) * wait) / 1000 })
      await new Promise((resolve) => setTimeout(resolve, wait))
      at(done + 1)
    }
    return true
  }

  #hits(query: LibraryQuery, byImage: boolean): LibraryHits {
    const words = query.text.toLowerCase().match(/\p{L}+/gu) ?? []
    const wanted = this.#all().filter((item) => passes(item, query.filter))
    const texts = (item: LibraryCase): string => item.texts[0]!.body
    const holds = (item: LibraryCase): boolean => words.every((word) => texts(item).toLowerCase().includes(word))
    const byWords = query.by !== 'meaning' && words.length > 0 ? wanted.filter(holds) : []
    const vectors = byImage || query.by !== 'words'
    const ranked = vectors && !(words.length > 0 && !byImage && query.by === 'words') ? wanted : byWords
    const order = [...new Set([...byWords, ...ranked])].slice(0, query.k + 1)
    const hits = order.map((item, i): LibraryHit => {
      const inWords = byWords.indexOf(item)
      return {
        case_id: item.case_id,
        source: item.source,
        score: 1 / (61 + i),
        by_words: inWords < 0 ? null : { rank: inWords + 1, score: 9.4 - 0.3 * inWords },
        by_image: byImage ? { rank: i + 1, score: 0.97 - 0.02 * i } : null,
        by_report: vectors && words.length > 0 ? { rank: i + 2, score: 0.71 - 0.01 * i } : null,
        same_patient: i === 1,
        facts: item.facts,
        labels: present(item),
        images: item.images,
        image: 0,
        excerpt: marked(texts(item).replace(/\s+/g, ' '), words),
      }
    })
    const embedded = this.#embedded >= this.#all().length
    return {
      hits: hits.filter((hit) => query.same_patient || !hit.same_patient).slice(0, query.k),
      cases: wanted.length,
      notes: embedded || !vectors ? [] : ['Part of the library is not embedded yet and was not searched by meaning.'],
      provenance: vectors ? this.provenance() : null,
      elapsed_ms: 12.4,
    }
  }
}
