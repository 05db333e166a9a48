import { fireEvent, render, screen, waitFor, within } from '@testing-library/svelte'
import { afterEach, expect, test, vi } from 'vitest'
import Window from '../src/App.svelte'
import { MockBackend, type MockOptions } from '../src/backend/mock'
import { App } from '../src/state/app.svelte'

async function show(options: MockOptions = {}) {
  const backend = new MockBackend({ jobMs: 0, libraryCases: 24, ...options })
  const app = new App(backend)
  render(Window, { app })
  await fireEvent.click(await screen.findByTestId('open-demo'))
  await fireEvent.click((await screen.findAllByTestId('series-item'))[1]!)
  await waitFor(() => expect(screen.getByTestId('viewport-canvas').dataset.painted).toBe('chest-pa:0:2000,3600'))
  return { backend, app }
}

const key = (target: Element, name: string, held: KeyboardEventInit = {}) =>
  fireEvent.keyDown(target, { key: name, ...held })

async function search(words: string) {
  await key(document.body, '/')
  const field = await screen.findByTestId<HTMLInputElement>('library-search')
  await waitFor(() => expect(document.activeElement).toBe(field))
  await fireEvent.input(field, { target: { value: words } })
  await fireEvent.click(screen.getByTestId('library-search-run'))
  return screen.findAllByTestId('library-hit')
}

afterEach(() => vi.restoreAllMocks())

test('a search shows what the case is, why it was found and the words in its report', async () => {
  await show()
  const [hit] = await search('effusion')
  expect(within(hit!).getByTestId('hit-facts').textContent).toBe('DX CHEST PA, F, 24 y, 2015-01')
  expect(hit!.querySelector('.why')?.textContent).toContain('1st by words')
  expect(within(hit!).getByTitle('Agreement of the words (BM25) 9.40')).toBeTruthy()
  expect([...hit!.querySelectorAll('mark')].map((mark) => mark.textContent)).toEqual(['effusion', 'effusion'])
  expect(within(hit!).getByText('Pleural effusion')).toBeTruthy()
})

test('a case is shown whole: report, labels by what they say, questions and answers', async () => {
  await show()
  const hits = await search('heart')
  const hit = hits.find((candidate) => candidate.textContent?.includes('Cardiomegaly'))!
  await fireEvent.click(within(hit).getByTestId('hit-facts'))
  const whole = await within(hit).findByTestId('library-case')
  expect(within(hit).getByTestId('hit-facts').getAttribute('aria-expanded')).toBe('true')
  expect(within(whole).getByTestId('case-text').textContent).toContain('Impression: Heart failure.')
  const terms = [...whole.querySelectorAll('dl:not(.questions) dt')].map((term) => [
    term.textContent,
    term.nextElementSibling?.textContent,
  ])
  expect(terms).toEqual([
    ['Present', 'Cardiomegaly, Pulmonary oedema'],
    ['Uncertain', 'Pleural effusion'],
    ['Absent', 'Fracture'],
  ])
})

test('answers of cases are spelled', async () => {
  await show()
  const [hit] = await search('costophrenic')
  await fireEvent.click(within(hit!).getByTestId('hit-facts'))
  expect((await within(hit!).findByText('X-ray')).tagName).toBe('DD')
})

test('the keyboard goes through the cases and opens one side by side', async () => {
  await show()
  await search('heart')
  await key(screen.getByTestId('library-search'), 'ArrowDown')
  const heads = screen.getAllByTestId('hit-facts')
  expect(document.activeElement).toBe(heads[0])
  await key(heads[0]!, 'ArrowDown')
  expect(document.activeElement).toBe(heads[1])
  await key(heads[1]!, 'c')
  await waitFor(() => expect(screen.getByTestId('compared-canvas').dataset.painted).toContain(':128,256'))
  expect(screen.getByTestId('heading-current').textContent).toContain('Phantom, Beta')
  const heading = screen.getByTestId('heading-compared').textContent
  expect([heading?.includes('Library case'), heading?.includes('synthetic')]).toEqual([true, true])
  // The library knows nobody's name, and what its files know is not shown.
  const over = screen.getAllByTestId('overlay-patient').map((corner) => corner.textContent)
  expect([over[0]?.includes('Phantom, Beta'), over[1]?.includes('Library case')]).toEqual([true, true])
  expect(document.body.textContent).not.toMatch(/Somebody|ELSE-1/)
  await key(heads[1]!, 'Escape')
  expect(screen.queryByTestId('compared-canvas')).toBeNull()
})

test('keys act on the viewport that was touched, and linked grey levels follow', async () => {
  const { app } = await show()
  const [hit] = await search('effusion')
  await fireEvent.click(within(hit!).getByTestId('hit-compare'))
  const compared = await screen.findByTestId('compared-canvas')
  await waitFor(() => expect(compared.dataset.painted).toContain(':128,256'))
  await fireEvent.pointerDown(compared.parentElement!, { button: 5, pointerId: 1 })
  expect(app.active).toBe(app.comparison.pane)
  await key(document.body, '4')
  await waitFor(() => expect(compared.dataset.painted).toContain(':128,128'))
  await waitFor(() => expect(screen.getByTestId('viewport-canvas').dataset.painted).toBe('chest-pa:0:2000,1800'))
  await fireEvent.click(screen.getByTestId('link-window'))
  await key(document.body, '5')
  await waitFor(() => expect(compared.dataset.painted).toContain(':128,512'))
  expect(screen.getByTestId('viewport-canvas').dataset.painted).toBe('chest-pa:0:2000,1800')
})

test('any series can be put beside the current one', async () => {
  await show()
  await fireEvent.click(screen.getAllByTestId('compare-series')[0]!)
  await waitFor(() => expect(screen.getByTestId('compared-canvas').dataset.painted).toBe('head-axial:0:40,80'))
  expect(screen.getByTestId('heading-compared').textContent).not.toContain('Library case')
  await fireEvent.click(screen.getByTestId('close-comparison'))
  expect(screen.queryByTestId('comparison')).toBeNull()
})

test('filters offer what is there, show what is set, and can be lifted at once', async () => {
  const { backend } = await show()
  await search('heart')
  const label = screen.getByTestId<HTMLSelectElement>('filter-label')
  expect([...label.options].map((option) => option.textContent)).toContain('Cardiomegaly (4)')
  await fireEvent.change(label, { target: { value: 'cardiomegaly' } })
  await fireEvent.change(screen.getByTestId('filter-age-from'), { target: { value: '30' } })
  await waitFor(() => expect(screen.getAllByTestId(/^condition-/)).toHaveLength(2))
  const searches = () => backend.calls.filter((call) => call.startsWith('librarySearch')).length
  await waitFor(() => expect(searches()).toBe(3))
  await fireEvent.click(screen.getByTestId('filters-reset'))
  expect(screen.queryAllByTestId(/^condition-/)).toHaveLength(0)
})

test('nothing found says what to try', async () => {
  await show()
  await key(document.body, '/')
  await fireEvent.click(await screen.findByTestId('library-by-words'))
  await fireEvent.input(screen.getByTestId('library-search'), { target: { value: 'osteopetrosis' } })
  await fireEvent.click(screen.getByTestId('library-search-run'))
  expect((await screen.findByTestId('library-nothing')).textContent).toContain('search by meaning')
})

test('a case is deleted only after it was asked for twice', async () => {
  const { backend } = await show()
  const [hit] = await search('effusion')
  await fireEvent.click(within(hit!).getByTestId('hit-facts'))
  await fireEvent.click(await screen.findByTestId('delete-case'))
  expect(backend.calls.some((call) => call.startsWith('libraryDelete'))).toBe(false)
  await fireEvent.click(screen.getByTestId('delete-confirm'))
  await waitFor(() => expect(hit!.isConnected).toBe(false))
  const said = await screen.findByText(/stays in the weights of “ward”/)
  expect(said.textContent).toContain('Remove it under Training')
})

test('the wizard goes from the folder to the reject list and to embedding', async () => {
  const { app, backend } = await show({ libraryCases: 0 })
  await fireEvent.click(screen.getByTestId('tab-similar'))
  await fireEvent.click(screen.getByTestId('open-import'))
  await screen.findByRole('option', { name: 'CheXpert' })
  await fireEvent.input(screen.getByTestId('import-data'), { target: { value: '/data' } })
  expect(screen.getByTestId<HTMLButtonElement>('import-look').disabled).toBe(true)
  await fireEvent.input(screen.getByTestId('import-table'), { target: { value: '/data/table.csv' } })
  await fireEvent.click(screen.getByTestId('import-look'))
  expect((await screen.findByTestId<HTMLSelectElement>('role-findings')).value).toBe('report')
  expect(screen.getAllByTestId('import-row')[3]!.textContent).toContain('Refused. The image')
  await fireEvent.change(screen.getByTestId('role-file'), { target: { value: '' } })
  expect((await screen.findByTestId('import-problem')).textContent).toContain('image')
  expect(screen.getByTestId<HTMLButtonElement>('import-start').disabled).toBe(true)
  await fireEvent.change(screen.getByTestId('role-file'), { target: { value: 'image' } })
  await waitFor(() => expect(screen.queryByTestId('import-problem')).toBeNull())
  // Leaving a field for the button changes the request; the click must not be lost for it.
  await fireEvent.change(screen.getByTestId('import-modality'), { target: { value: 'DX' } })
  expect(screen.getByTestId<HTMLButtonElement>('import-start').disabled).toBe(false)
  await fireEvent.click(screen.getByTestId('import-start'))
  expect(backend.request?.modality).toBe('DX')
  expect((await screen.findByTestId('import-taken')).textContent).toBe('46')
  expect(screen.getByTestId('import-leaks').textContent).toContain('“train” and in “test”')
  const copied = vi.fn().mockResolvedValue(undefined)
  Object.defineProperty(navigator, 'clipboard', { configurable: true, value: { writeText: copied } })
  await fireEvent.click(screen.getByTestId('rejects-copy'))
  await waitFor(() => expect(copied).toHaveBeenCalledOnce())
  expect(copied.mock.calls[0]?.[0]).toContain('4,image_missing,The image is not there.')
  await fireEvent.click(screen.getByTestId('embed-start'))
  expect((await screen.findByTestId('embed-done')).textContent).toContain('48 images and 48 reports were embedded')
  await fireEvent.click(screen.getByTestId('import-done'))
  expect(app.dialog).toBeNull()
  expect(screen.getByTestId('library-stock').textContent).toContain('48 cases')
})

test('an import goes on in the background, is paused from the job bar and resumed in the dialog', async () => {
  const { app } = await show({ libraryCases: 0, jobMs: 3000 })
  app.importing.request = { ...app.importing.request, format: 'chexpert', data: '/data' }
  await app.importing.loadFormats()
  void app.importing.start()
  app.dialog = 'import'
  await fireEvent.click(await screen.findByTestId('import-background'))
  const pause = await screen.findByRole('button', { name: 'Pause: Importing cases' })
  await fireEvent.click(pause)
  await waitFor(() => expect(app.importing.outcome?.paused).toBe(true))
  expect(screen.getByTestId('warning-bar').textContent).toContain('is paused')
  await key(document.body, 'i', { ctrlKey: true })
  expect(await screen.findByTestId('import-resume')).toBeTruthy()
})

test('every control of the library, the comparison and the wizard has a name', async () => {
  const { app } = await show()
  const [hit] = await search('effusion')
  await fireEvent.click(within(hit!).getByTestId('hit-facts'))
  await fireEvent.click(within(hit!).getByTestId('hit-compare'))
  await screen.findByTestId('comparison')
  app.importing.request = { ...app.importing.request, format: 'table', data: '/data', table: '/data/t.csv' }
  await app.importing.loadFormats()
  await app.importing.look()
  app.dialog = 'import'
  await screen.findByTestId('import-start')
  for (const control of document.querySelectorAll('button, input, textarea, select')) {
    const labelled = control.getAttribute('aria-label') ?? control.textContent?.trim()
    const label = control.id ? document.querySelector(`label[for="${control.id}"]`)?.textContent : undefined
    const own = control instanceof HTMLSelectElement ? undefined : labelled
    expect(
      own || control.getAttribute('aria-label') || label || control.closest('label'),
      control.outerHTML,
    ).toBeTruthy()
  }
})

test('a demo case stands beside the current study too, under its own name, and goes again', async () => {
  const { app, backend } = await show({ libraryCases: 0 })
  await fireEvent.click(screen.getByTestId('tab-similar'))
  await fireEvent.click(await screen.findByTestId('similar-run'))
  const [first] = await screen.findAllByTestId('similar-case')
  const button = within(first!).getByTestId('similar-compare')
  await fireEvent.click(button)
  await waitFor(() => expect(app.comparison.open).toBe(true))
  expect(backend.calls).toContain('caseOpen chest-pa-1')
  expect(backend.calls.some((call) => call.startsWith('libraryOpen'))).toBe(false)
  expect(app.comparison.subject).toMatchObject({ library: 'demo', caseId: 'chest-pa-1', source: 'demo library' })
  expect([button.getAttribute('aria-pressed'), button.textContent]).toEqual(['true', 'Comparing'])
  expect(app.pane.seriesId).toBe('chest-pa')
  await fireEvent.click(button)
  expect([app.comparison.open, backend.calls.at(-1)]).toEqual([false, 'closeStudy study-chest-pa-1'])
})
