import { describe, expect, test, vi } from 'vitest'
import { BackendError } from '../src/backend'
import { MockBackend, type MockOptions } from '../src/backend/mock'
import { mockCase } from '../src/backend/mock/library-cases'
import { App } from '../src/state/app.svelte'

const settle = (ms = 60) => new Promise((resolve) => setTimeout(resolve, ms))

async function stocked(options: MockOptions = {}) {
  const backend = new MockBackend({ jobMs: 0, libraryCases: 24, ...options })
  const app = new App(backend)
  await app.start()
  await app.openDemo()
  app.pane.select('chest-pa')
  await settle()
  return { backend, app, library: app.library }
}

const ids = (app: App) => app.library.found?.hits.hits.map((hit) => hit.case_id) ?? []

describe('searching', () => {
  test('asks for the words, as they are to be understood', async () => {
    const { app, backend, library } = await stocked()
    library.text = '  visceral '
    library.by = 'words'
    await library.search(5)
    expect(backend.calls).toContain('librarySearch words visceral')
    expect(ids(app)).toContain(mockCase(4).case_id)
    expect(library.found?.sought).toEqual({ kind: 'text', text: 'visceral', place: '', studyId: null })
  })

  test('asks for nothing without words', async () => {
    const { backend, library } = await stocked()
    library.text = ' '
    await library.search(5)
    expect(backend.calls.some((call) => call.startsWith('librarySearch'))).toBe(false)
  })

  test('looks for cases like the image, and for the words too', async () => {
    const { backend, library } = await stocked()
    library.text = 'heart'
    await library.like(3, 'Chest PA')
    expect(backend.calls).toContain('librarySimilar chest-pa 0 heart')
    expect(library.found?.sought.kind).toBe('image')
    expect(library.found?.hits.hits[0]?.by_image?.rank).toBe(1)
  })

  test('begins anew when a condition changes', async () => {
    const { app, library } = await stocked()
    await library.like(20, 'Chest PA')
    const before = ids(app).length
    await library.narrow({ sex: 'F', label: 'pleural effusion' })
    expect(library.found?.hits.hits.every(({ facts }) => facts.sex === 'F')).toBe(true)
    expect([library.conditions, ids(app).length < before]).toEqual([['sex', 'label'], true])
    await library.widen()
    expect([library.conditions, ids(app).length]).toEqual([[], before])
  })

  test('leaves out the patient on the screen until asked for', async () => {
    const { library } = await stocked()
    await library.like(10, 'Chest PA')
    expect(library.found?.hits.hits.some((hit) => hit.same_patient)).toBe(false)
    await library.showSamePatient(true)
    expect(library.found?.hits.hits.filter((hit) => hit.same_patient)).toHaveLength(1)
  })

  test('brings more cases on demand, as many as there are', async () => {
    const { library } = await stocked()
    await library.like(5, 'Chest PA')
    expect([library.found?.hits.hits.length, library.hasMore]).toEqual([5, true])
    await library.more()
    expect(library.found?.hits.hits).toHaveLength(15)
    await library.more()
    expect([library.found?.hits.hits.length, library.hasMore]).toEqual([23, false])
    await library.like(5, 'Chest PA')
    expect(library.found?.hits.hits).toHaveLength(5)
  })

  test('by an image is about its study alone', async () => {
    const { app, library } = await stocked()
    await library.like(5, 'Chest PA')
    app.pane.select('head-axial')
    expect(library.found).toBeNull()
    app.pane.select('chest-pa')
    expect(library.found?.hits.hits).toHaveLength(5)
  })

  test('stops a search when another one begins, and shows the newer one', async () => {
    const { backend, library } = await stocked({ jobMs: 80 })
    library.text = 'heart'
    const slow = library.search(5)
    library.text = 'nodule'
    await Promise.all([slow, library.search(5)])
    expect(backend.calls.some((call) => call.startsWith('cancel job-'))).toBe(true)
    expect([library.found?.sought.text, library.searching]).toEqual(['nodule', false])
  })

  test('that fails is told of, and the last result stays', async () => {
    const failing: MockOptions['failing'] = {}
    const { app, library } = await stocked({ failing })
    library.text = 'heart'
    await library.search(5)
    failing.librarySearch = new BackendError('library_locked', 'The library is in use elsewhere.')
    library.text = 'nodule'
    await library.search(5)
    expect([library.found?.sought.text, app.messages.list[0]?.code]).toEqual(['heart', 'library_locked'])
  })
})

describe('cases', () => {
  test('are fetched once, and deleted with every trace in the window', async () => {
    const { app, backend, library } = await stocked()
    await library.like(5, 'Chest PA')
    const [first] = ids(app)
    await library.load(first!)
    await library.load(first!)
    expect(backend.calls.filter((call) => call.startsWith('libraryCase'))).toHaveLength(1)
    await library.remove(first!)
    expect([ids(app).includes(first!), library.case(first!), library.status?.cases]).toEqual([false, null, 23])
  })

  test('that cannot be read say why', async () => {
    const { library } = await stocked()
    await library.load('nobody')
    expect(library.case('nobody')?.error).toContain('no such case')
  })

  test('of a library that cannot be opened are not missed in silence', async () => {
    const { library } = await stocked({ failing: { libraryStatus: new BackendError('newer_library', 'newer') } })
    expect([library.stocked, library.error?.code, library.source]).toEqual([false, 'newer_library', 'demo'])
  })
})

describe('importing', () => {
  async function looked(options: MockOptions = {}) {
    const made = await stocked({ libraryCases: 0, ...options })
    const { importing } = made.app
    await importing.loadFormats()
    made.backend.chosen = ['/data']
    await importing.choose('data')
    made.backend.chosen = ['/data/table.csv']
    await importing.choose('table')
    await importing.look()
    return { ...made, importing }
  }

  test('suggests what the columns say, and takes corrections', async () => {
    const { importing } = await looked()
    expect([importing.step, importing.roleOf('file'), importing.roleOf('scanner')]).toEqual(['preview', 'image', null])
    await importing.setRole('scanner', 'label')
    await importing.setRole('file', null)
    expect(importing.request.columns.map(({ column }) => column)).toEqual([
      'patient_id',
      'findings',
      'projection',
      'scanner',
    ])
    expect(importing.preview?.problem).toContain('image')
  })

  test('needs a folder, and a table where the layout does', async () => {
    const { app } = await stocked()
    const { importing } = app
    await importing.loadFormats()
    importing.request.data = '/data'
    expect(importing.ready).toBe(false)
    importing.request.format = 'chexpert'
    expect(importing.ready).toBe(true)
  })

  test('ends with what was taken and what was not', async () => {
    const { app, backend, importing } = await looked()
    await importing.set({ policy: 'ones', modality: 'DX' })
    await importing.start()
    expect(backend.request).toMatchObject({ format: 'table', table: '/data/table.csv', policy: 'ones', modality: 'DX' })
    expect([importing.step, importing.outcome?.rejected, app.library.status?.cases]).toEqual(['result', 2, 48])
    expect(app.messages.list.map(({ code }) => code)).toEqual(['imported'])
  })

  test('can be paused, and goes on where it was', async () => {
    const { app, importing } = await looked({ jobMs: 400 })
    importing.watched = true
    const first = importing.start()
    await settle(120)
    await importing.pause()
    await first
    const taken = app.library.status!.cases
    expect([importing.outcome?.paused, taken > 0 && taken < 48]).toEqual([true, true])
    await importing.start()
    expect([importing.outcome?.paused, importing.outcome?.began_with]).toEqual([false, taken + 1])
    expect([app.library.status?.cases, app.messages.list]).toEqual([48, []])
  })

  test('can be given up; what was taken stays', async () => {
    const { app, importing } = await looked({ jobMs: 400 })
    const running = importing.start()
    await settle(120)
    await importing.cancel()
    await running
    expect([importing.step, importing.request.data, app.library.stocked]).toEqual(['choose', '', true])
  })

  test('that fails says why and can be tried again', async () => {
    const full = new BackendError('disk_full', 'The disk is full.')
    const { importing } = await looked({ failing: { libraryImport: full } })
    await importing.start()
    expect([importing.step, importing.error]).toEqual(['preview', 'The disk is full.'])
  })

  test('a folder that cannot be read is told of before anything is written', async () => {
    const { importing } = await looked({ failing: { libraryPreview: new BackendError('not_found', 'no folder') } })
    expect([importing.step, importing.error]).toEqual(['choose', 'no folder'])
  })

  test('is followed by embedding, which can be paused too', async () => {
    const { app, importing } = await looked({ jobMs: 400 })
    await importing.start()
    expect(app.library.status?.to_embed).toBe(96)
    const first = importing.embed()
    await settle(120)
    await importing.pauseEmbedding()
    await first
    const left = app.library.status!.to_embed
    expect(left > 0 && left < 96).toBe(true)
    await importing.embed()
    expect([app.library.status?.to_embed, importing.embedded?.unreadable]).toEqual([0, 1])
  })

  test('is not stopped by Escape', async () => {
    const { app, importing } = await looked({ jobMs: 900 })
    const running = importing.start()
    await settle(400)
    expect([app.jobs.shown.length, app.jobs.cancelNewest()]).toEqual([1, false])
    await running
    expect(importing.outcome?.paused).toBe(false)
  })
})

describe('other weights', () => {
  async function changed(embeddedBefore: boolean) {
    const { app, backend } = await stocked()
    if (embeddedBefore) await app.importing.embed()
    const status = await backend.libraryStatus()
    vi.spyOn(backend, 'libraryStatus').mockResolvedValueOnce({ ...status, to_embed: 6 })
    backend.calls.length = 0
    app.forgetResults()
    await settle()
    return backend.calls.some((call) => call.startsWith('libraryEmbed'))
  }

  test('embed a library in the background that the ones before had embedded', async () => {
    expect(await changed(true)).toBe(true)
  })

  test('embed nothing that the user did not have embedded', async () => {
    expect(await changed(false)).toBe(false)
  })
})
