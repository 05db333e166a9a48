import { describe, expect, test, vi } from 'vitest'
import { BackendError } from '../src/backend'
import { MockBackend, type MockOptions } from '../src/backend/mock'
import { mockCase } from '../src/backend/mock/library-cases'
import { actionById } from '../src/state/actions'
import { App } from '../src/state/app.svelte'

const settle = (ms = 60) => new Promise((resolve) => setTimeout(resolve, ms))
const CASE = mockCase(0).case_id
const subject = (number: number) => {
  const { case_id, source, facts } = mockCase(number)
  return { library: 'department' as const, caseId: case_id, source, facts, samePatientAs: null }
}

/** The demo study, its radiograph or its head shown, with a library. */
async function opened(series: 'chest-pa' | 'head-axial', options: MockOptions = {}) {
  const backend = new MockBackend({ jobMs: 0, libraryCases: 6, ...options })
  const app = new App(backend)
  await app.openDemo()
  app.pane.select(series)
  await settle()
  return { backend, app, other: app.comparison.pane }
}

async function comparing(options: MockOptions = {}) {
  const made = await opened('chest-pa', options)
  await made.app.comparison.openCase(subject(0))
  await settle()
  return made
}

describe('a library case beside the current study', () => {
  test('is opened, and no study of the user’s', async () => {
    const { app, other } = await comparing()
    expect([app.comparison.open, other.frame?.key]).toEqual([true, `case-${CASE}-0:0`])
    expect(app.studies.list).toHaveLength(2)
    expect([app.pane.frame?.key, app.evidence.place?.seriesId]).toEqual(['chest-pa:0', 'chest-pa'])
  })

  test('is closed with Escape, and its study with it', async () => {
    const { app, backend } = await comparing()
    actionById('stop').run(app)
    expect([app.comparison.open, app.studies.compared, app.comparison.subject]).toEqual([false, [], null])
    expect(backend.calls).toContain(`closeStudy study-${CASE}`)
    expect(app.pane.frame?.key).toBe('chest-pa:0')
  })

  test('may consist of several files', async () => {
    const { app, backend } = await opened('chest-pa')
    const one = await backend.libraryOpen('job', CASE, () => undefined)
    const [study] = one.studies
    const studies = study!.series.map((series) => ({ ...study!, id: `study-${series.id}`, series: [series] }))
    vi.spyOn(backend, 'libraryOpen').mockResolvedValue({ ...one, studies })
    await app.comparison.openCase(subject(0))
    app.comparison.pane.stepSeries(1)
    expect(app.comparison.pane.study?.id).toBe(studies[1]!.id)
    app.comparison.close()
    expect(backend.calls.slice(-2)).toEqual(studies.map(({ id }) => `closeStudy ${id}`))
  })

  test('gives way to another one', async () => {
    const { app, backend } = await comparing()
    await app.comparison.openCase(subject(1))
    await settle()
    expect(backend.calls).toContain(`closeStudy study-${CASE}`)
    expect(app.comparison.pane.seriesId).toBe(`case-${mockCase(1).case_id}-0`)
  })

  test('that is closed while it opens stays closed', async () => {
    const { app, backend } = await opened('chest-pa', { jobMs: 100 })
    const opening = app.comparison.openCase(subject(0))
    app.comparison.close()
    expect(await opening).toBe(false)
    expect([app.comparison.open, backend.calls.at(-1)]).toEqual([false, `closeStudy study-${CASE}`])
  })

  test('that cannot be opened leaves one viewport and says why', async () => {
    const { app } = await comparing({ failing: { libraryOpen: new BackendError('image_missing', 'moved') } })
    expect([app.comparison.open, app.messages.list[0]?.code]).toEqual([false, 'image_missing'])
  })

  test('goes when the current study goes', async () => {
    const { app } = await comparing()
    await app.close('study-chest')
    expect([app.comparison.open, app.pane.seriesId]).toEqual([true, 'head-axial'])
    await app.close('study-head')
    expect([app.comparison.open, app.studies.compared]).toEqual([false, []])
  })

  test('steps through its own images, the current study through its own', async () => {
    const { app, other } = await comparing()
    app.comparison.active = true
    actionById('next-series').run(app)
    expect([other.seriesId, app.pane.seriesId]).toEqual([`case-${CASE}-1`, 'chest-pa'])
    actionById('next-series').run(app)
    expect(other.seriesId).toBe(`case-${CASE}-1`)
  })
})

describe('two viewports', () => {
  test('have the same window relative to their files’ own', async () => {
    const { app, other } = await comparing()
    actionById('preset-4').run(app)
    expect([app.pane.window, other.window]).toMatchObject([
      { center: 2000, width: 1800 },
      { center: 128, width: 128 },
    ])
    app.pane.reset()
    expect([other.look.grey, other.window?.width]).toEqual([{ kind: 'file' }, 256])
  })

  test('are inverted together', async () => {
    const { app, other } = await comparing()
    actionById('invert').run(app)
    expect(other.look.invert).toBe(true)
  })

  test('zoom and move together, but turn each on its own', async () => {
    const { app, other } = await comparing()
    for (const pane of [app.pane, other]) pane.viewport = { width: 400, height: 400 }
    actionById('zoom-in').run(app)
    actionById('pan-right').run(app)
    expect(other.look.view.zoom).toBeCloseTo(app.pane.look.view.zoom as number)
    expect(other.look.view.pan).toEqual(app.pane.look.view.pan)
    actionById('rotate-left').run(app)
    expect(other.look.view.turn).toEqual([1, 0, 0, 1])
  })

  test('follow whichever is active', async () => {
    const { app, other } = await comparing()
    actionById('other-viewport').run(app)
    expect(app.active).toBe(other)
    actionById('preset-5').run(app)
    expect([other.window?.width, app.pane.window?.width]).toEqual([512, 7200])
  })

  test('are each on their own once unlinked, and in step again once linked', async () => {
    const { app, other } = await comparing()
    app.comparison.toggle('window')
    actionById('preset-4').run(app)
    expect(other.window?.width).toBe(256)
    app.comparison.toggle('window')
    expect(other.window?.width).toBe(128)
    actionById('link').run(app)
    expect(app.comparison.links).toEqual({ window: false, view: false, scroll: false })
    actionById('link').run(app)
    expect(app.comparison.links).toEqual({ window: true, view: true, scroll: true })
  })

  test('share the memory for frames', async () => {
    const { app } = await opened('chest-pa')
    const limits: number[] = []
    for (const pane of [app.pane, app.comparison.pane])
      Object.defineProperty(pane, 'cacheMiB', { set: (size: number) => limits.push(size) })
    app.shareMemory()
    app.comparison.openSeries('head-axial')
    app.shareMemory()
    expect(limits).toEqual([512, 512, 256, 256])
  })
})

describe('two stacks', () => {
  test('scroll together, and keep their distance after one was moved alone', async () => {
    const { app, other } = await opened('head-axial')
    app.pane.goTo(10)
    app.comparison.openSeries('head-axial')
    await settle()
    expect(other.index).toBe(10)
    app.pane.scroll(3)
    expect(other.index).toBe(13)
    app.comparison.toggle('scroll')
    other.scroll(-5)
    app.comparison.toggle('scroll')
    app.pane.goTo(39)
    expect(other.index).toBe(34)
    other.goTo(0)
    expect(app.pane.index).toBe(5)
  })

  test('of CT have the same window in Hounsfield units', async () => {
    const { app, other } = await opened('head-axial')
    actionById('preset-3').run(app)
    app.comparison.openSeries('head-axial')
    await settle()
    expect(other.window).toMatchObject({ center: 400, width: 1800 })
  })

  test('do not change the grey levels of a radiograph', async () => {
    const { app, other } = await opened('head-axial')
    app.comparison.openSeries('chest-pa')
    await settle()
    actionById('preset-3').run(app)
    expect([app.pane.window?.width, other.window?.width]).toEqual([1800, 3600])
  })
})
