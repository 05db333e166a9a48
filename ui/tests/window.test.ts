import { fireEvent, render, screen, waitFor, within } from '@testing-library/svelte'
import { afterEach, expect, test, vi } from 'vitest'
import Window from '../src/App.svelte'
import { BackendError } from '../src/backend'
import { MockBackend, type MockOptions } from '../src/backend/mock'
import { App } from '../src/state/app.svelte'

function show(options: MockOptions = {}) {
  const backend = new MockBackend({ jobMs: 0, ...options })
  const app = new App(backend)
  render(Window, { app })
  return { backend, app }
}

async function showDemo(options: MockOptions = {}) {
  const made = show(options)
  await fireEvent.click(await screen.findByTestId('open-demo'))
  await waitFor(() => expect(canvas().dataset.painted).toBe('head-axial:0:40,80'))
  return made
}

const canvas = () => screen.getByTestId('viewport-canvas')
const key = (name: string, held: KeyboardEventInit = {}) => fireEvent.keyDown(document.body, { key: name, ...held })

afterEach(() => vi.restoreAllMocks())

test('the notice is always there', async () => {
  show()
  expect(screen.getByTestId('disclaimer').textContent).toBe('Research use only – not a medical device')
})

test('the demo study opens, is painted, and its text stands over the image', async () => {
  await showDemo()
  expect(screen.getAllByTestId('series-item')).toHaveLength(2)
  expect(screen.getByTestId('overlay-patient').textContent).toContain('Phantom, Alpha')
  expect(screen.getByTestId('overlay-window').textContent).toBe('C 40 W 80')
  expect(screen.getByTestId('overlay-slice').textContent?.trim()).toBe('Image 1/40 · −80 mm')
  expect(screen.getByTestId('orientation-left').textContent).toBe('R')
  expect(screen.getByTestId('overlay-scale').textContent).toContain('calibrated')
})

test('keys change presets, image and polarity', async () => {
  await showDemo()
  await key('3')
  await waitFor(() => expect(canvas().dataset.painted).toBe('head-axial:0:400,1800'))
  expect(screen.getByTestId('overlay-window').textContent).toBe('C 400 W 1800 · Bone')
  await key('ArrowDown')
  await waitFor(() => expect(canvas().dataset.painted).toBe('head-axial:1:400,1800'))
  await key('i')
  expect(screen.getByTestId('tool-invert').getAttribute('aria-pressed')).toBe('true')
  await waitFor(() => expect(canvas().dataset.painted).toBe('head-axial:1:400,1800,inverted'))
  await key('r')
  await waitFor(() => expect(canvas().dataset.painted).toBe('head-axial:1:40,80'))
})

test('a left drag changes the window', async () => {
  await showDemo()
  const viewport = canvas().parentElement!
  viewport.setPointerCapture = () => undefined
  await fireEvent.pointerDown(viewport, { button: 0, clientX: 100, clientY: 100, pointerId: 1 })
  await fireEvent.pointerMove(viewport, { clientX: 300, clientY: 140, pointerId: 1 })
  await fireEvent.pointerUp(viewport, { pointerId: 1 })
  await waitFor(() => expect(canvas().dataset.painted).not.toBe('head-axial:0:40,80'))
})

test('suggested questions fit what is shown and are asked by key', async () => {
  const { backend } = await showDemo()
  expect((await screen.findByTestId('suggestions-for')).textContent).toBe('Suggested for the head (by its file)')
  expect(screen.getAllByTestId('suggestion').map((hint) => hint.textContent)).toEqual([
    '1Is there a haemorrhage?',
    '2Is there an infarct?',
  ])
  await fireEvent.keyDown(screen.getByTestId('ask-input'), { key: '1', ctrlKey: true })
  expect((await screen.findByTestId('answer-text')).textContent?.trim()).toBe('Yes')
  expect(screen.getByTestId('answer-kind').textContent).toBe('Presence · closed')
  await fireEvent.click(screen.getAllByTestId('series-item')[1]!)
  await waitFor(() =>
    expect(screen.getByTestId('suggestions-for').textContent).toBe('Suggested for the chest (recognised, 97 %)'),
  )
  expect(backend.calls.filter((call) => call.startsWith('suggest'))).toHaveLength(2)
})

test('a question about another organ gets a reason, not a guess', async () => {
  const { app } = await showDemo()
  await app.evidence.ask('Is the liver enlarged?')
  expect((await screen.findByTestId('answer-text')).textContent?.trim()).toBe('No answer')
  expect(screen.getByTestId('caution').textContent).toContain('about the abdomen')
  for (const invented of ['answer-confidence', 'answer-guess', 'heatmap-toggle'])
    expect(screen.queryByTestId(invented)).toBeNull()
})

test('a question is answered with its evidence', async () => {
  const { app } = await showDemo()
  const field = screen.getByTestId<HTMLTextAreaElement>('ask-input')
  await fireEvent.input(field, { target: { value: 'Is there a haemorrhage?' } })
  await fireEvent.keyDown(field, { key: 'Enter' })
  const answer = await screen.findByTestId('answer-text')
  expect(answer.textContent?.trim()).toBe('Yes')
  expect(field.value).toBe('')
  const measure = screen.getByTestId('answer-confidence')
  expect(measure.textContent?.trim()).toBe('94 %')
  expect(within(measure).getByRole('meter').getAttribute('aria-valuetext')).toBe('94 %, threshold 55 %')
  await fireEvent.click(screen.getByTestId('heatmap-toggle'))
  expect(app.evidence.heat).not.toBeNull()
  await fireEvent.input(screen.getByTestId('heatmap-opacity'), { target: { value: '0.3' } })
  expect(app.settings.choices.heatOpacity).toBe(0.3)
})

test('what the model does not know is said so, its guess only on request', async () => {
  const { app } = await showDemo()
  await app.evidence.ask('Is there an infarct?')
  expect((await screen.findByTestId('answer-text')).textContent?.trim()).toBe('I do not know')
  expect(screen.getByTestId('answer-guess').closest('details')?.open).toBe(false)
})

test('an answer that ignores the image carries a warning', async () => {
  const { app } = await showDemo()
  await app.evidence.ask('What modality is shown?')
  expect((await screen.findByTestId('no-difference')).textContent).toBe('image made no difference')
})

test('findings are sorted by score', async () => {
  await showDemo()
  await fireEvent.click(screen.getByTestId('tab-findings'))
  await fireEvent.click(screen.getByTestId('run-findings'))
  const rows = await screen.findAllByTestId('finding-row')
  expect(rows.map((row) => [row.querySelector('.label')?.textContent, row.dataset.present])).toEqual([
    ['Haemorrhage', 'true'],
    ['Mass', 'false'],
    ['Infarct', 'false'],
  ])
})

test('similar cases come with their reports', async () => {
  await showDemo()
  await fireEvent.click(screen.getByTestId('tab-similar'))
  await fireEvent.click(screen.getByTestId('similar-run'))
  const cases = await screen.findAllByTestId('similar-case')
  expect(cases).toHaveLength(5)
  expect(within(cases[0]!).getByText('synthetic')).toBeTruthy()
})

test('tags can be filtered', async () => {
  await showDemo()
  await fireEvent.click(screen.getByTestId('tab-tags'))
  await waitFor(() => expect(screen.getAllByTestId('tag-row').length).toBeGreaterThan(5))
  await fireEvent.input(screen.getByTestId('tags-filter'), { target: { value: 'WindowC' } })
  expect(screen.getAllByTestId('tag-row')).toHaveLength(1)
})

test('a failure is an alert that can be dismissed, and the window lives on', async () => {
  const { app } = await showDemo({ failing: { findings: new BackendError('no_labels', 'No label set fits.') } })
  await app.evidence.runFindings()
  const bar = await screen.findByTestId('error-bar')
  expect(bar.getAttribute('role')).toBe('alert')
  expect(bar.textContent).toContain('No label set fits.')
  expect(bar.textContent).toContain('no_labels')
  await fireEvent.click(screen.getByTestId('error-dismiss'))
  expect(screen.queryByTestId('error-bar')).toBeNull()
  await key('3')
  await waitFor(() => expect(canvas().dataset.painted).toBe('head-axial:0:400,1800'))
})

test('rejected files are listed with their reasons', async () => {
  const { app, backend } = show()
  const rejected = [{ path: 'bad.dcm', code: 'not_dicom', message: 'This is no DICOM file.' }]
  backend.report = { studies: [], rejected, cancelled: false }
  await app.open(['/bad.dcm'])
  expect((await screen.findByTestId('rejected-file')).textContent).toContain('not_dicom')
  expect(screen.getByTestId('error-bar').textContent).toContain('bad.dcm')
})

test('a long job shows its progress and can be cancelled', async () => {
  const { backend } = show({ jobMs: 5000 })
  await fireEvent.click(await screen.findByTestId('open-demo'))
  expect((await screen.findByTestId('progress')).textContent).toContain('Opening the demo study')
  await fireEvent.click(screen.getByTestId('cancel-job'))
  await waitFor(() => expect(screen.queryByTestId('progress')).toBeNull(), { timeout: 2000 })
  expect(backend.calls.some((call) => call.startsWith('cancel'))).toBe(true)
})

test('help lists the shortcuts', async () => {
  await showDemo()
  await key('?', { shiftKey: true })
  const dialog = await screen.findByRole('dialog', { name: 'Shortcuts' })
  expect(dialog.textContent).toContain('Preset 1: Brain')
})

test('the model packs can be seen and changed', async () => {
  const { app } = await showDemo()
  await key('m')
  await screen.findByText('Other pack')
  await fireEvent.click(screen.getByText('Use'))
  await waitFor(() => expect(app.packs.current?.name).toBe('other'))
})

test('every control has a name', async () => {
  await showDemo()
  for (const control of document.querySelectorAll('button, input, textarea, select')) {
    const labelled = control.getAttribute('aria-label') ?? control.textContent?.trim()
    const label = control.id ? document.querySelector(`label[for="${control.id}"]`)?.textContent : undefined
    expect(labelled || label || control.closest('label')?.textContent, control.outerHTML).toBeTruthy()
  }
})
