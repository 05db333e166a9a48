import type { Backend, CaseFacts, RejectedDto } from '../backend'
import { comparable, linkedIndex, linkedView, linkedWindow, type Placed, proportionalIndex } from '../viewer/linking'
import type { Jobs } from './jobs.svelte'
import type { Messages } from './messages.svelte'
import type { Pane, PaneChange } from './pane.svelte'
import type { Studies } from './studies.svelte'

/** What the two viewports may have in common. */
export type Link = 'window' | 'view' | 'scroll'

/** A case of the library that is compared. */
export interface ComparedCase {
  /** The department's library, or the synthetic cases that come with the application. */
  library: 'department' | 'demo'
  caseId: string
  /** Name of its source in the library. */
  source: string
  /** What is known of the examination. */
  facts: CaseFacts
  /** The study whose patient it is of; none if it is not known to be anybody's on the screen. */
  samePatientAs: string | null
}

const placed = (pane: Pane): Placed | null =>
  pane.frame && { info: pane.frame.info, view: pane.look.view, viewport: pane.viewport }

/** A second viewport beside the first, and what keeps both in step. */
export class Comparison {
  /** The first viewport: the current study. */
  readonly current: Pane
  /** The second viewport. */
  readonly pane: Pane
  links = $state<Record<Link, boolean>>({ window: true, view: true, scroll: true })
  /** Keys and the toolbar act on the second viewport. */
  active = $state(false)
  /** The case that is compared; none while it is another series of an open study. */
  subject = $state.raw<ComparedCase | null>(null)

  readonly #backend: Backend
  readonly #jobs: Jobs
  readonly #messages: Messages
  readonly #studies: Studies
  /** Frames of the two that belong together. */
  #anchor = { current: 0, compared: 0 }
  #following = false
  /** Counts wishes: only the latest is shown. */
  #wish = 0

  constructor(backend: Backend, jobs: Jobs, messages: Messages, studies: Studies, current: Pane, pane: Pane) {
    this.#backend = backend
    this.#jobs = jobs
    this.#messages = messages
    this.#studies = studies
    this.current = current
    this.pane = pane
    current.onchange = (change) => this.#changed(current, pane, change)
    pane.onchange = (change) => this.#changed(pane, current, change)
  }

  /** True when there are two viewports. */
  get open(): boolean {
    return this.pane.seriesId !== null
  }

  /** Opens a case of the library beside the current study. Returns whether it is shown. */
  async openCase(subject: ComparedCase): Promise<boolean> {
    const wish = ++this.#wish
    const outcome = await this.#jobs.run('Opening the library case', (jobId, onProgress) =>
      subject.library === 'demo'
        ? this.#backend.caseOpen(jobId, subject.caseId, onProgress)
        : this.#backend.libraryOpen(jobId, subject.caseId, onProgress),
    )
    if (outcome.kind !== 'done') return false
    const { studies, rejected } = outcome.value
    const first = studies.flatMap(({ series }) => series)[0]
    if (wish !== this.#wish || !first) {
      for (const { id } of studies) this.#closeStudy(id)
      if (wish === this.#wish) this.#tellNothing(rejected[0])
      return false
    }
    const opened = studies.map(({ id }) => id)
    this.#closeCompared(opened)
    this.#studies.compared = studies
    this.subject = subject
    this.#show(first.id)
    return true
  }

  /** Shows a series of an open study, or of the compared case, beside the current one. */
  openSeries(seriesId: string): void {
    this.#wish++
    const own = this.#studies.compared.some(({ series }) => series.some(({ id }) => id === seriesId))
    if (!own) this.#closeCompared()
    this.#show(seriesId)
  }

  /** Leaves one viewport. */
  close(): void {
    this.#wish++
    this.pane.clear()
    this.active = false
    this.#closeCompared()
  }

  /** Links or unlinks one property; what is linked again is brought in step with the active viewport. */
  toggle(link: Link): void {
    this.links[link] = !this.links[link]
    if (!this.links[link]) return
    if (link === 'scroll') this.#setAnchor()
    this.#follow(...this.#ordered(), ({ window: 'grey', view: 'view', scroll: 'scroll' } as const)[link])
  }

  /** Brings the views in step after the viewports changed their size. */
  realign(): void {
    if (this.open) this.#follow(...this.#ordered(), 'view')
  }

  /** Links everything, or nothing if everything is linked. */
  toggleAll(): void {
    const links: Link[] = ['window', 'view', 'scroll']
    const all = links.every((link) => this.links[link])
    for (const link of links) if (this.links[link] === all) this.toggle(link)
  }

  #show(seriesId: string): void {
    this.pane.select(seriesId)
    const [series, beside] = [this.pane.series, this.current.series]
    // A stack begins where the current one stands: at the skull's base beside the skull's base.
    if (series && beside)
      this.#quietly(() => this.pane.goTo(proportionalIndex(this.current.index, beside.frames, series.frames)))
    this.#setAnchor()
  }

  /** The active viewport, then the other. */
  #ordered(): [leader: Pane, follower: Pane] {
    return this.active ? [this.pane, this.current] : [this.current, this.pane]
  }

  #setAnchor(): void {
    this.#anchor = { current: this.current.index, compared: this.pane.index }
  }

  #changed(leader: Pane, follower: Pane, change: PaneChange): void {
    if (!this.open || this.#following) return
    if (change !== 'series') {
      this.#follow(leader, follower, change)
      return
    }
    // A series that comes into view follows the other viewport.
    this.#setAnchor()
    this.#follow(follower, leader, 'grey')
    this.#follow(follower, leader, 'view')
  }

  #follow(leader: Pane, follower: Pane, change: PaneChange): void {
    this.#quietly(() => {
      if (change === 'grey' && this.links.window) this.#followGrey(leader, follower)
      if (change === 'view' && this.links.view) this.#followView(leader, follower)
      if (change === 'scroll' && this.links.scroll) this.#followScroll(leader, follower)
    })
  }

  /** Changes a pane without the other following. */
  #quietly(change: () => void): void {
    this.#following = true
    try {
      change()
    } finally {
      this.#following = false
    }
  }

  #followGrey(leader: Pane, follower: Pane): void {
    const [from, to] = [leader.frame?.info, follower.frame?.info]
    const [one, other] = [leader.series?.modality ?? '', follower.series?.modality ?? '']
    if (!from || !to || from.samples !== 1 || to.samples !== 1 || !comparable(one, other)) return
    follower.setInvert(leader.look.invert)
    const { window } = leader
    const absolute = one === 'CT'
    // Each file's own window is the common look of images without common units.
    if (!window || (!absolute && leader.look.grey.kind === 'file')) follower.setGrey({ kind: 'file' })
    else follower.setGrey({ kind: 'window', window: linkedWindow(window, from, to, absolute) })
  }

  #followView(leader: Pane, follower: Pane): void {
    const [from, to] = [placed(leader), placed(follower)]
    if (from && to) follower.setView(linkedView(from, to))
  }

  #followScroll(leader: Pane, follower: Pane): void {
    const { current, compared } = this.#anchor
    const anchor =
      leader === this.current ? { leader: current, follower: compared } : { leader: compared, follower: current }
    follower.goTo(linkedIndex(leader.index, anchor, follower.series?.frames ?? 1))
  }

  #tellNothing(rejected: RejectedDto | undefined): void {
    if (rejected) this.#messages.add('error', rejected.code, `${rejected.path}: ${rejected.message}`)
    else this.#messages.add('warning', 'no_image', 'The case has no image to compare with.')
  }

  /** Closes what is compared, but for studies that were opened again. */
  #closeCompared(again: string[] = []): void {
    const studies = this.#studies.compared
    this.subject = null
    this.#studies.compared = []
    this.pane.forget(studies.flatMap(({ series }) => series.map(({ id }) => id)))
    for (const { id } of studies) if (!again.includes(id)) this.#closeStudy(id)
  }

  /** A study that the user has open too stays open. */
  #closeStudy(id: string): void {
    if (this.#studies.list.some((study) => study.id === id)) return
    this.#backend.closeStudy(id).catch((reason: unknown) => this.#messages.fail(reason))
  }
}
