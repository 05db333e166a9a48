/** Labels of readers, made up: kept in memory, with undo, agreement by a plain count. */

import { BackendError, type OnProgress } from '../backend'
import type {
  CaseLabel,
  LabelAgreement,
  LabelAsk,
  LabelledCase,
  LabelNext,
  LabelNextRequest,
  LabelProgress,
  LabelSetDto,
  LabelWanted,
} from '../types'
import { MockTraining } from './training'

const SERIES = /^case-(.+)-\d+$/

interface Given {
  caseId: string
  reader: string
  name: string
  value: number
}

/** What an action changed: labels before and after. */
interface Action {
  caseId: string
  reader: string
  before: Given[]
  after: Given[]
}

/** Labelling in memory. */
export class MockLabelling extends MockTraining {
  /** Every label that was given. */
  given: Given[] = []
  #sets: LabelSetDto[] = []
  #done: Action[] = []
  #undone: Action[] = []

  async labelSets(): Promise<LabelSetDto[]> {
    this.note('labelSets')
    return [...this.#sets]
  }

  async labelSetKeep(set: LabelSetDto): Promise<LabelSetDto[]> {
    this.note('labelSetKeep', set.name)
    if (new Set(set.classes).size < set.classes.length)
      throw new BackendError('bad_request', `the set "${set.name}" has a label twice`)
    this.#sets = [...this.#sets.filter(({ name }) => name !== set.name), set]
    return this.labelSets()
  }

  async labelSetForget(name: string): Promise<LabelSetDto[]> {
    this.note('labelSetForget', name)
    this.#sets = this.#sets.filter((set) => set.name !== name)
    return this.labelSets()
  }

  async labelCaseOf(seriesId: string, index: number): Promise<string | null> {
    this.note('labelCaseOf', seriesId, index)
    return SERIES.exec(seriesId)?.[1] ?? null
  }

  async labelCase(caseId: string, ask: LabelAsk): Promise<LabelledCase> {
    this.note('labelCase', caseId, ask.reader)
    return this.#case(caseId, ask)
  }

  async labelGive(caseId: string, ask: LabelAsk, wanted: LabelWanted[]): Promise<LabelledCase> {
    this.note('labelGive', caseId, ask.reader, ...wanted.map(({ name, value }) => `${name}=${value}`))
    const set = this.#set(ask.set)
    const before = this.#own(caseId, ask.reader)
    const names = wanted.map(({ name }) => name)
    const alone = set.exclusive && wanted.some(({ value }) => value === 1)
    const kept = alone ? [] : before.filter(({ name }) => !names.includes(name))
    const added = wanted
      .filter(({ value }) => value !== null)
      .map(({ name, value }) => ({ caseId, reader: ask.reader, name, value: value! }))
    this.#put({ caseId, reader: ask.reader, before, after: [...kept, ...added] }, 'after')
    this.#undone = []
    return this.#case(caseId, ask)
  }

  async labelUndo(ask: LabelAsk): Promise<LabelledCase | null> {
    this.note('labelUndo', ask.reader)
    return this.#step(this.#done, this.#undone, ask, 'before')
  }

  async labelRedo(ask: LabelAsk): Promise<LabelledCase | null> {
    this.note('labelRedo', ask.reader)
    return this.#step(this.#undone, this.#done, ask, 'after')
  }

  async labelProgress(ask: LabelAsk): Promise<LabelProgress> {
    this.note('labelProgress', ask.reader)
    const { classes } = this.#set(ask.set)
    const own = this.given.filter(({ reader }) => reader === ask.reader)
    const count = (name: string, value: number): number =>
      own.filter((label) => label.name === name && label.value === value).length
    const readers = [...new Set(this.given.map(({ reader }) => reader))]
    return {
      cases: this.options.libraryCases ?? 0,
      read: this.#cases(ask.reader).length,
      classes: classes.map((name) => ({
        name,
        present: count(name, 1),
        absent: count(name, 0),
        uncertain: count(name, -1),
      })),
      readers: readers.map((name) => ({ name, cases: this.#cases(name).length })),
      can_undo: this.#done.some(({ reader }) => reader === ask.reader),
      can_redo: this.#undone.some(({ reader }) => reader === ask.reader),
    }
  }

  async labelNext(jobId: string, request: LabelNextRequest, onProgress: OnProgress): Promise<LabelNext> {
    this.note('labelNext', request.reader, request.strategy, request.read_by ?? '')
    await this.work(jobId, 'comparing cases', onProgress)
    const read = this.#cases(request.reader)
    const all = this.caseIds()
    const left = all.filter(
      (id) =>
        !read.includes(id) &&
        !request.skip.includes(id) &&
        (request.read_by === null || this.#cases(request.read_by).includes(id)),
    )
    return {
      cases: left.slice(0, request.count).map((case_id) => ({ case_id, score: 0.93 })),
      basis: request.strategy === 'random' ? 'chance' : 'zero_shot',
      left: left.length,
      unembedded: 0,
      learned_from: 0,
    }
  }

  async labelAgreement(set: string, first: string, second: string): Promise<LabelAgreement> {
    this.note('labelAgreement', set, first, second)
    const { classes } = this.#set(set)
    const of = (caseId: string, reader: string): string =>
      this.#own(caseId, reader).find(({ value }) => value === 1)?.name ?? ''
    const both = this.#cases(first).filter((id) => this.#cases(second).includes(id))
    const differ = both.filter((id) => of(id, first) !== of(id, second))
    const agreement = both.length === 0 ? 0 : 1 - differ.length / both.length
    const row = { cases: both.length, agreement, kappa: 0.6, low: 0.21, high: 0.99, words: 'moderate' }
    return {
      set,
      first,
      second,
      first_cases: this.#cases(first).length,
      second_cases: this.#cases(second).length,
      both: both.length,
      rows: [{ name: set, ...row }],
      answers: classes,
      table: [],
      disagreements: differ.map((case_id) => ({
        case_id,
        name: set,
        first: of(case_id, first),
        second: of(case_id, second),
      })),
    }
  }

  #set(name: string): LabelSetDto {
    const set = this.#sets.find((one) => one.name === name)
    if (!set) throw new BackendError('bad_request', `the library has no set of labels "${name}"`)
    return set
  }

  #own(caseId: string, reader: string): Given[] {
    return this.given.filter((label) => label.caseId === caseId && label.reader === reader)
  }

  /** Cases that a reader labelled. */
  #cases(reader: string): string[] {
    return [...new Set(this.given.filter((label) => label.reader === reader).map(({ caseId }) => caseId))]
  }

  #case(caseId: string, ask: LabelAsk): LabelledCase {
    const shown = ({ name, value, reader }: Given): CaseLabel => ({ name, value, reader })
    const others = this.given.filter((label) => label.caseId === caseId && label.reader !== ask.reader)
    return {
      case_id: caseId,
      own: this.#own(caseId, ask.reader).map(shown),
      others: ask.blind ? [] : others.map(shown),
      hidden: ask.blind && others.length > 0,
    }
  }

  #put(action: Action, side: 'before' | 'after', done = this.#done): void {
    const { caseId, reader } = action
    this.given = [...this.given.filter((label) => label.caseId !== caseId || label.reader !== reader), ...action[side]]
    done.push(action)
  }

  #step(from: Action[], to: Action[], ask: LabelAsk, side: 'before' | 'after'): LabelledCase | null {
    const at = from.findLastIndex(({ reader }) => reader === ask.reader)
    const [action] = at < 0 ? [] : from.splice(at, 1)
    if (!action) return null
    this.#put(action, side, to)
    return this.#case(action.caseId, ask)
  }
}
