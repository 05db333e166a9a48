import { describe, expect, test, vi } from 'vitest'
import { BackendError } from '../src/backend'
import { MockBackend, type MockOptions } from '../src/backend/mock'
import { actionById } from '../src/state/actions'
import { App } from '../src/state/app.svelte'
import { SHOWN_AFTER_MS } from '../src/state/jobs.svelte'
import { automaticScale, DEFAULTS, parseChoices, Settings } from '../src/state/settings.svelte'

const settle = (ms = 60) => new Promise((resolve) => setTimeout(resolve, ms))

function appWith(options: MockOptions = {}) {
  const backend = new MockBackend({ jobMs: 0, ...options })
  return { backend, app: new App(backend) }
}

async function opened(options: MockOptions = {}) {
  const made = appWith(options)
  await made.app.openDemo()
  await settle(60)
  return made
}

const texts = (app: App) => app.messages.list.map(({ severity, code, text }) => [severity, code, text])

describe('starting', () => {
  test('asks for nothing to be opened when nothing was given', async () => {
    const { app, backend } = appWith()
    await app.start()
    expect(app.studies.list).toEqual([])
    expect(backend.calls).toContain('checkRawPath')
    expect(app.messages.list).toEqual([])
  })

  test('opens the files it was started with', async () => {
    const { app, backend } = appWith({ info: { startup_paths: ['/a', '/b'] } })
    await app.start()
    expect(backend.calls).toContain('openPaths /a,/b')
    expect(app.studies.list).toHaveLength(2)
  })

  test('opens the demo study when it was started for that', async () => {
    const { app, backend } = appWith({ info: { startup_demo: true } })
    await app.start()
    expect(backend.calls).toContain('openDemo')
  })

  test('opens files that another start passes on, and dropped ones', async () => {
    const { app, backend } = appWith()
    await app.start()
    backend.passFiles(['/x'])
    backend.dropFiles(['/y'])
    await settle()
    expect(backend.calls).toEqual(expect.arrayContaining(['openPaths /x', 'openPaths /y']))
  })

  test('warns when bytes do not arrive as they were sent', async () => {
    const { app, backend } = appWith()
    vi.spyOn(backend, 'checkRawPath').mockResolvedValue(new ArrayBuffer(65536))
    await app.start()
    expect(texts(app)).toEqual([['warning', 'raw_path', expect.stringContaining('Do not trust')]])
  })

  test('tells why there is no model, and lives on', async () => {
    const { app } = appWith({ info: { pack: null, pack_error: { code: 'pack_damaged', message: 'weights' } } })
    await app.start()
    await app.openDemo()
    expect(texts(app)).toEqual([['error', 'pack_damaged', 'weights']])
    expect(app.studies.list).toHaveLength(2)
  })

  test('waits for a model that is still loading', async () => {
    const { app, backend } = appWith({ info: { pack: null } })
    const ready = await new MockBackend().appInfo()
    await app.packs.start()
    expect(app.packs.current).toBeNull()
    vi.spyOn(backend, 'appInfo').mockResolvedValue(ready)
    await settle(400)
    expect(app.packs.current?.name).toBe('demo')
  })
})

describe('opening', () => {
  test('shows the first frame', async () => {
    const { app } = await opened()
    expect(app.pane.frame?.key).toBe('head-axial:0')
    expect(app.pane.window).toEqual({ center: 40, width: 80, function: 'LINEAR' })
  })

  test('a file that cannot be read is an error with its code', async () => {
    const { app, backend } = appWith()
    const rejected = [{ path: 'bad.dcm', code: 'not_dicom', message: 'This is no DICOM file.' }]
    backend.report = { studies: [], rejected, cancelled: false }
    await app.open(['/bad.dcm'])
    expect(texts(app)).toEqual([['error', 'not_dicom', 'bad.dcm: This is no DICOM file.']])
    expect(app.studies.rejected).toEqual(rejected)
  })

  test('files rejected beside good ones are a warning, and listed', async () => {
    const { app, backend } = await opened()
    const rejected = [{ path: 'bad.dcm', code: 'not_dicom', message: 'no' }]
    backend.report = { studies: app.studies.list, rejected, cancelled: false }
    await app.open(['/folder'])
    expect(app.messages.list.map(({ severity }) => severity)).toEqual(['warning'])
    expect(app.studies.list).toHaveLength(2)
  })

  test('choosing nothing in a dialog opens nothing', async () => {
    const { app, backend } = appWith()
    backend.chosen = []
    await app.choose('files')
    expect(backend.calls).toEqual(['choosePaths files'])
  })

  test('a dialog that fails is told of', async () => {
    const { app } = appWith({ failing: { choosePaths: new BackendError('denied', 'no dialogs') } })
    await app.choose('folder')
    expect(texts(app)).toEqual([['error', 'denied', 'no dialogs']])
  })

  test('closing a study shows what is left, and forgets its answers', async () => {
    const { app, backend } = await opened()
    await app.evidence.ask('Is there a haemorrhage?')
    await app.close('study-head')
    await settle()
    expect(app.pane.frame?.key).toBe('chest-pa:0')
    expect(app.evidence.asked).toEqual([])
    expect(backend.calls).toContain('closeStudy study-head')
    await app.close('study-chest')
    expect([app.pane.frame, app.pane.seriesId]).toEqual([null, null])
  })
})

describe('looking', () => {
  test('the window stays while scrolling, and is kept for each series', async () => {
    const { app } = await opened()
    app.pane.applyPreset(2)
    app.pane.scroll(3)
    await settle()
    expect(app.pane.frame?.key).toBe('head-axial:3')
    expect(app.pane.window).toMatchObject({ center: 400, width: 1800 })
    app.pane.stepSeries(1)
    await settle()
    expect(app.pane.window).toMatchObject({ center: 2000, width: 3600 })
    app.pane.stepSeries(-1)
    await settle()
    expect([app.pane.index, app.pane.window?.width]).toEqual([3, 1800])
  })

  test('frames that were scrolled past are not fetched', async () => {
    const { app, backend } = await opened()
    const before = backend.calls.length
    for (let i = 0; i < 30; i++) app.pane.scroll(1)
    await settle()
    const fetched = backend.calls.slice(before).filter((call) => call.startsWith('framePixels'))
    // The one that was on its way, then the one where scrolling ended.
    expect(fetched.slice(0, 2)).toEqual(['framePixels head-axial 13', 'framePixels head-axial 30'])
    expect(app.pane.frame?.key).toBe('head-axial:30')
  })

  test('neighbours are fetched ahead', async () => {
    const { backend } = await opened()
    await settle(100)
    expect(backend.calls).toContain('framePixels head-axial 12')
    expect(backend.calls).not.toContain('framePixels head-axial 13')
  })

  test('scrolling stops at the ends', async () => {
    const { app } = await opened()
    app.pane.scroll(-5)
    expect(app.pane.index).toBe(0)
    app.pane.goTo(Infinity)
    expect(app.pane.index).toBe(39)
    app.pane.advance()
    expect(app.pane.index).toBe(0)
  })

  test('a frame that cannot be decoded says why, and other frames still come', async () => {
    const { app, backend } = await opened()
    const { framePixels } = backend
    vi.spyOn(backend, 'framePixels').mockImplementation((series, index) =>
      index === 20
        ? Promise.reject(new BackendError('truncated', 'The pixel data end too early.'))
        : framePixels.call(backend, series, index),
    )
    app.pane.goTo(20)
    await settle()
    expect(app.pane.frame).toBeNull()
    expect(app.pane.frameError?.code).toBe('truncated')
    expect(texts(app)).toEqual([['error', 'truncated', 'The pixel data end too early.']])
    app.pane.goTo(21)
    await settle()
    expect([app.pane.frame?.key, app.pane.frameError]).toEqual(['head-axial:21', null])
  })

  test('reset keeps the frame', async () => {
    const { app } = await opened()
    app.pane.goTo(7)
    app.pane.applyPreset(2)
    app.pane.toggleInvert()
    actionById('rotate-right').run(app)
    expect(app.pane.look.view.turn).toEqual([0, -1, 1, 0])
    actionById('reset').run(app)
    expect([app.pane.index, app.pane.look.invert, app.pane.look.grey.kind]).toEqual([7, false, 'file'])
    expect(app.pane.look.view.turn).toEqual([1, 0, 0, 1])
  })

  test('the keyboard windows, zooms and moves', async () => {
    const { app } = await opened()
    app.pane.viewport = { width: 640, height: 640 }
    actionById('wider').run(app)
    expect(app.pane.window!.width).toBeGreaterThan(80)
    actionById('zoom-in').run(app)
    expect(app.pane.look.view.zoom).toBeCloseTo(3.125)
    actionById('pan-left').run(app)
    expect(app.pane.look.view.pan.x).toBe(-32)
    actionById('fit').run(app)
    expect(app.pane.look.view).toMatchObject({ zoom: 'fit', pan: { x: 0, y: 0 } })
  })

  test('nothing happens without an image', () => {
    const { app } = appWith()
    const quiet = ['preset-1', 'invert', 'reset', 'fit', 'zoom-in', 'wider', 'next', 'last', 'play', 'heat', 'close']
    for (const id of quiet) actionById(id).run(app)
    expect(app.messages.list).toEqual([])
  })
})

describe('asking', () => {
  test('answers are kept with their frame, newest first', async () => {
    const { app } = await opened()
    await app.evidence.ask(' Is there a haemorrhage? ')
    app.pane.goTo(5)
    await settle()
    await app.evidence.ask('Is there an infarct?')
    expect(app.evidence.history.map((entry) => [entry.question, entry.place.index, entry.answer?.abstained])).toEqual([
      ['Is there an infarct?', 5, true],
      ['Is there a haemorrhage?', 0, false],
    ])
  })

  test('a heat map is shown over its own frame only', async () => {
    const { app } = await opened()
    await app.evidence.ask('Is there a haemorrhage?')
    const { id } = app.evidence.history[0]!
    app.evidence.toggleHeat(id)
    expect(app.evidence.heat).not.toBeNull()
    app.pane.goTo(9)
    await settle()
    expect(app.evidence.heat).toBeNull()
    app.evidence.toggleHeat(id)
    await settle()
    expect([app.pane.index, app.evidence.heat === null]).toEqual([0, false])
    app.evidence.toggleHeat(id)
    expect(app.evidence.heat).toBeNull()
  })

  test('a question that fails says so, and the next one is answered', async () => {
    const { app, backend } = await opened()
    const failing = vi.spyOn(backend, 'ask').mockRejectedValueOnce({ code: 'out_of_memory', message: 'too large' })
    await app.evidence.ask('one')
    failing.mockRestore()
    await app.evidence.ask('two')
    expect(app.evidence.history.map((entry) => entry.state)).toEqual(['done', 'failed'])
    expect(texts(app)).toEqual([['error', 'out_of_memory', 'too large']])
  })

  test('nothing is asked without words or without an image', async () => {
    const { app, backend } = appWith()
    await app.evidence.ask('What is this?')
    expect(backend.calls).toEqual([])
    const other = await opened()
    await other.app.evidence.ask('   ')
    expect(other.app.evidence.asked).toEqual([])
  })

  test('findings and similar cases belong to the frame they were made of', async () => {
    const { app } = await opened()
    await app.evidence.runFindings()
    await app.evidence.runSimilar(3)
    expect([app.evidence.findings?.state, app.evidence.similar?.value?.cases.length]).toEqual(['done', 3])
    app.pane.goTo(1)
    expect([app.evidence.findings, app.evidence.similar]).toEqual([null, null])
  })
})

describe('jobs', () => {
  test('a long job is shown, can be stopped, and is then no failure', async () => {
    const { app, backend } = appWith({ jobMs: 5000 })
    const opening = app.openDemo()
    expect(app.jobs.shown).toEqual([])
    await settle(SHOWN_AFTER_MS + 50)
    expect(app.jobs.shown.map((job) => [job.title, job.progress?.total])).toEqual([['Opening the demo study', 10]])
    actionById('stop').run(app)
    await opening
    expect(backend.calls.some((call) => call.startsWith('cancel job-'))).toBe(true)
    expect([app.jobs.list, app.messages.list]).toEqual([[], []])
  })

  test('a short job is never shown', async () => {
    const { app } = appWith()
    await app.openDemo()
    expect(app.jobs.list).toEqual([])
  })
})

describe('messages', () => {
  test('the same message is counted, not repeated, and can be dismissed', () => {
    const { app } = appWith()
    app.messages.fail({ code: 'a', message: 'b' })
    app.messages.fail({ code: 'a', message: 'b' })
    expect(app.messages.list).toMatchObject([{ code: 'a', text: 'b', count: 2 }])
    app.messages.dismiss(app.messages.list[0]!.id)
    expect(app.messages.list).toEqual([])
  })

  test('what nobody caught is shown', () => {
    const { app } = appWith()
    const stop = app.messages.listen(window)
    window.dispatchEvent(new ErrorEvent('error', { message: 'it broke' }))
    const rejection = Object.assign(new Event('unhandledrejection', { cancelable: true }), {
      reason: new Error('lost'),
    })
    window.dispatchEvent(rejection)
    stop()
    expect(texts(app)).toEqual([
      ['error', 'window', 'it broke'],
      ['error', 'internal', 'lost'],
    ])
    expect(rejection.defaultPrevented).toBe(true)
  })

  test('anything that is thrown becomes a failure with a code', () => {
    expect(BackendError.from('text')).toMatchObject({ code: 'internal', message: 'text' })
    expect(BackendError.from({ code: 'x', message: 'y' })).toMatchObject({ code: 'x', message: 'y' })
    expect(BackendError.from(undefined).code).toBe('internal')
  })
})

describe('settings', () => {
  test('are kept, and what is damaged counts as not chosen', () => {
    const store = new Map<string, string>()
    const storage = {
      getItem: (key: string) => store.get(key) ?? null,
      setItem: (key: string, value: string) => void store.set(key, value),
    }
    new Settings(storage).set({ textScale: 1.5, heatOpacity: 0.25 })
    expect(new Settings(storage).choices).toMatchObject({ textScale: 1.5, heatOpacity: 0.25, renderer: 'auto' })
    expect(parseChoices('{"textScale":7,"overlay":"yes","renderer":"cpu"}')).toEqual({ ...DEFAULTS, renderer: 'cpu' })
    expect(parseChoices('not json')).toEqual(DEFAULTS)
  })

  test('text grows with the window, from full HD to 4K', () => {
    const sizes = [
      [1280, 800],
      [1920, 1080],
      [2560, 1440],
      [3840, 2160],
    ] as const
    expect(sizes.map(([width, height]) => automaticScale(width, height))).toEqual([1, 1, 1.5, 2])
  })
})

describe('opening again what is open', () => {
  test('keeps how a series is looked at, and fetches its frames anew', async () => {
    const { app, backend } = await opened()
    app.pane.toggleInvert()
    const before = app.pane.frame
    expect(before).not.toBeNull()
    backend.calls.length = 0
    await app.openDemo()
    await settle()
    expect(app.pane.look.invert).toBe(true)
    expect(app.pane.frame?.key).toBe(before?.key)
    expect(app.pane.frame).not.toBe(before)
  })

  test('takes a key while the frame is still on its way', async () => {
    const { app } = await opened()
    const opening = app.openDemo()
    await opening
    app.pane.frame = null // as it is until the frame has come
    void actionById('invert').run(app)
    expect(app.pane.look.invert).toBe(true)
  })
})
