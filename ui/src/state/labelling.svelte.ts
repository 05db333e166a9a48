import {
  type Backend,
  BackendError,
  type LabelAgreement,
  type LabelAsk,
  type LabelledCase,
  type LabelNext,
  type LabelProgress,
  type LabelSetDto,
  type LabelWanted,
} from '../backend'
import type { Jobs } from './jobs.svelte'
import { type Given, keyedLabels } from './label-keys'
import type { Library } from './library.svelte'
import type { Messages } from './messages.svelte'
import type { Pane } from './pane.svelte'
import type { Settings } from './settings.svelte'

/** What opens and closes cases of the library. */
export interface CaseOpener {
  openCase(caseId: string): Promise<void>
  close(studyId: string): Promise<void>
}

/** Labels on the open case: by key while labelling, one reader at a time. */
export class Labelling {
  sets = $state.raw<LabelSetDto[]>([])
  /** Keys give labels. */
  on = $state(false)
  /** The library's case on the screen, with what the reader may see of its labels. */
  current = $state.raw<LabelledCase | null>(null)
  progress = $state.raw<LabelProgress | null>(null)
  /** How the last case was chosen. */
  next = $state.raw<LabelNext | null>(null)
  /** Only cases that this other reader labelled come next. */
  readBy = $state('')
  agreement = $state.raw<LabelAgreement | null>(null)
  /** The next case is being looked for. */
  searching = $state(false)
  /** Why nothing is shown. */
  error = $state<string | null>(null)

  /** The series that {@link current} was looked up for. */
  #series = $state<string | null>(null)
  /** Cases that were passed over since labelling began. */
  #skipped: string[] = []
  /** The study that labelling opened last, to be closed with the next one. */
  #study: string | null = null
  /** Counts looks: only the latest counts. */
  #wish = 0
  readonly #backend: Backend
  readonly #jobs: Jobs
  readonly #messages: Messages
  readonly #library: Library
  readonly #pane: Pane
  readonly #settings: Settings
  readonly #opener: CaseOpener

  constructor(
    backend: Backend,
    jobs: Jobs,
    messages: Messages,
    library: Library,
    pane: Pane,
    settings: Settings,
    opener: CaseOpener,
  ) {
    this.#backend = backend
    this.#jobs = jobs
    this.#messages = messages
    this.#library = library
    this.#pane = pane
    this.#settings = settings
    this.#opener = opener
  }

  /** The chosen set of labels. */
  get set(): LabelSetDto | null {
    return this.sets.find(({ name }) => name === this.#settings.choices.labelSet) ?? null
  }

  /** Who labels with what; none until both are chosen. */
  get ask(): LabelAsk | null {
    const { reader, labelBlind } = this.#settings.choices
    return this.set && reader.trim() !== '' ? { set: this.set.name, reader: reader.trim(), blind: labelBlind } : null
  }

  /** True while what was looked up is what the eye sees: a label can only go to the case on the screen. */
  get ready(): boolean {
    return this.current !== null && this.#series === this.#pane.seriesId && this.#pane.current
  }

  /** Why labels cannot be given now, in words; none if they can. */
  get obstacle(): string | null {
    if (!this.#library.stocked) return 'The library is empty. Import cases first (Ctrl I).'
    if (this.set === null) return 'Choose or make a set of labels.'
    if (this.ask === null) return 'Say who reads.'
    if (this.#pane.seriesId === null) return 'No image is open. “Next case” brings one.'
    if (this.error !== null) return this.error
    if (this.#series === this.#pane.seriesId && this.current === null)
      return 'This image is not in the library. Import it to label it.'
    return this.ready ? null : 'Loading…'
  }

  /** What the reader said of a label of the open case. */
  valueOf(name: string): Given {
    const own = this.current?.own.find((label) => label.name.toLowerCase() === name.toLowerCase())
    return own ? (own.value as Given) : null
  }

  /** True for a label that may be shown while a blind reader works. */
  visible(reader: string | null): boolean {
    const { ask } = this
    return !this.on || !ask?.blind || reader?.toLowerCase() === ask.reader.toLowerCase()
  }

  /** Begins or ends labelling. */
  async toggle(): Promise<void> {
    this.on = !this.on
    this.#skipped = []
    if (this.on) await this.refresh()
    else await this.#library.changed()
  }

  /** Learns sets, the open case and how far the reader is. */
  async refresh(): Promise<void> {
    await this.#guard(async () => {
      this.sets = await this.#backend.labelSets()
      const [first] = this.sets
      if (this.set === null && first) this.#settings.set({ labelSet: first.name })
    })
    await this.look()
    await this.#count()
  }

  /** Takes another set, reader, or way of reading. */
  async choose(changes: Parameters<Settings['set']>[0]): Promise<void> {
    this.#settings.set(changes)
    this.agreement = this.next = this.progress = null
    this.#series = null
    await this.look()
    await this.#count()
  }

  /** Keeps a set of labels and takes it. Returns whether it could be kept. */
  async keep(set: LabelSetDto): Promise<boolean> {
    try {
      this.sets = await this.#backend.labelSetKeep(set)
    } catch (reason) {
      this.#messages.fail(reason)
      return false
    }
    const kept = this.sets.find(({ name }) => name.toLowerCase() === set.name.trim().toLowerCase())
    await this.choose({ labelSet: kept?.name ?? '' })
    return true
  }

  /** Forgets a set of labels; labels that were given stay. */
  async forget(name: string): Promise<void> {
    await this.#guard(async () => {
      this.sets = await this.#backend.labelSetForget(name)
      await this.choose({ labelSet: this.sets[0]?.name ?? '' })
    })
  }

  /** Looks up the case on the screen. */
  async look(): Promise<void> {
    const wish = ++this.#wish
    const { seriesId, index } = this.#pane
    const { ask } = this
    if (seriesId === null || ask === null) {
      this.current = null
      this.#series = null
      return
    }
    try {
      const caseId = await this.#backend.labelCaseOf(seriesId, index)
      const current = caseId === null ? null : await this.#backend.labelCase(caseId, ask)
      if (wish !== this.#wish) return
      this.error = null
      this.current = current
    } catch (reason) {
      if (wish !== this.#wish) return
      this.current = null
      this.error = BackendError.from(reason).message
    }
    this.#series = seriesId
  }

  /** Gives the open case a label. Returns whether it could. */
  async give(wanted: LabelWanted[]): Promise<boolean> {
    const { ask, current } = this
    if (!ask || !current || !this.ready || wanted.length === 0) return false
    const given = await this.#change(() => this.#backend.labelGive(current.case_id, ask, wanted))
    const present = wanted.some(({ value }) => value === 1)
    if (given && present && this.set?.exclusive && this.#settings.choices.labelAdvance) await this.goOn()
    return given
  }

  /** Takes back what the reader did last and shows the case that it was about. */
  async undo(): Promise<void> {
    await this.#step((ask) => this.#backend.labelUndo(ask), 'There is nothing to take back.')
  }

  /** Does again what was taken back. */
  async redo(): Promise<void> {
    await this.#step((ask) => this.#backend.labelRedo(ask), 'There is nothing to do again.')
  }

  /** Opens the case that is worth a label next; the open one is passed over if it has none. */
  async goOn(): Promise<void> {
    const { ask } = this
    if (!ask || this.searching) return
    if (this.current && this.current.own.length === 0) this.#skipped.push(this.current.case_id)
    this.searching = true
    const request = {
      set: ask.set,
      reader: ask.reader,
      strategy: this.#settings.choices.labelStrategy,
      conditions: [],
      read_by: this.readBy === '' ? null : this.readBy,
      skip: this.#skipped,
      count: 1,
    }
    const outcome = await this.#jobs.run('Looking for the next case', (jobId, onProgress) =>
      this.#backend.labelNext(jobId, request, onProgress),
    )
    this.searching = false
    if (outcome.kind !== 'done') return
    this.next = outcome.value
    const [first] = outcome.value.cases
    if (first) await this.open(first.case_id)
    else if (this.#skipped.length > 0) {
      this.#skipped = []
      this.#messages.add(
        'info',
        'labelled',
        'Only cases that were passed over are left. “Next case” brings them again.',
      )
    } else this.#messages.add('info', 'labelled', 'Every case that was asked for is labelled.')
  }

  /** Opens a case; the one that labelling opened before is closed. */
  async open(caseId: string): Promise<void> {
    const before = this.#study
    await this.#opener.openCase(caseId)
    this.#study = this.#pane.study?.id ?? null
    if (before !== null && before !== this.#study) await this.#opener.close(before)
    await this.look()
  }

  /** Compares two readers. */
  async compare(first: string, second: string): Promise<void> {
    const { set } = this
    this.agreement = null
    if (!set || first === '' || second === '') return
    await this.#guard(async () => {
      this.agreement = await this.#backend.labelAgreement(set.name, first, second)
    })
  }

  /** Acts on a key of labelling mode. Returns whether it was one. */
  take(event: KeyboardEvent): boolean {
    if (!this.on) return false
    const wish = keyedLabels(event, this.set, (name) => this.valueOf(name))
    if (wish === null) return false
    if (wish === 'undo') void this.undo()
    else if (wish === 'redo') void this.redo()
    else if (wish === 'next') void this.goOn()
    else void this.give(wish)
    return true
  }

  async #step(work: (ask: LabelAsk) => Promise<LabelledCase | null>, nothing: string): Promise<void> {
    const { ask } = this
    if (!ask) return
    let found: LabelledCase | null = null
    await this.#change(async () => {
      found = await work(ask)
      if (found === null) this.#messages.add('info', 'labelled', nothing)
      return found ?? this.current
    })
    const changed = found as LabelledCase | null
    if (changed && changed.case_id !== this.#shownCase) await this.open(changed.case_id)
  }

  /** The case of the series on the screen. */
  get #shownCase(): string | null {
    return this.#series === this.#pane.seriesId ? (this.current?.case_id ?? null) : null
  }

  /** Changes labels; what is shown of the open case follows if it is still the same. */
  async #change(work: () => Promise<LabelledCase | null>): Promise<boolean> {
    try {
      const changed = await work()
      if (changed && changed.case_id === this.current?.case_id) this.current = changed
      this.agreement = null
    } catch (reason) {
      this.#messages.fail(reason)
      return false
    }
    await this.#count()
    return true
  }

  async #count(): Promise<void> {
    const { ask } = this
    if (!ask) {
      this.progress = null
      return
    }
    await this.#guard(async () => {
      this.progress = await this.#backend.labelProgress(ask)
    })
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (reason) {
      this.#messages.fail(reason)
    }
  }
}
