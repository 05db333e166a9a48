import { fireEvent, render, screen, waitFor, within } from '@testing-library/svelte'
import { afterEach, expect, test, vi } from 'vitest'
import Window from '../src/App.svelte'
import { MockBackend, type MockOptions } from '../src/backend/mock'
import { App } from '../src/state/app.svelte'

async function show(options: MockOptions = {}) {
  const backend = new MockBackend({ jobMs: 0, trained: true, ...options })
  const app = new App(backend)
  render(Window, { app })
  await fireEvent.click(await screen.findByTestId('open-demo'))
  await waitFor(() => expect(screen.getByTestId('viewport-canvas').dataset.painted).toBe('head-axial:0:40,80'))
  await fireEvent.keyDown(document.body, { key: '5', altKey: true })
  await screen.findByTestId('runs')
  return { backend, app }
}

const version = (name: string): HTMLElement =>
  screen.getAllByTestId('version').find((item) => item.dataset.name === name)!
const run = (name: string): HTMLElement => screen.getAllByTestId('run').find((item) => item.dataset.name === name)!
const disabled = (id: string): boolean => screen.getByTestId<HTMLButtonElement>(id).disabled

/** Goes through the dialog up to the method. */
async function choose(name: string) {
  await fireEvent.click(screen.getByTestId('new-run'))
  await fireEvent.input(await screen.findByTestId('training-folder'), { target: { value: '/films' } })
  expect(disabled('training-read')).toBe(true)
  await fireEvent.input(screen.getByTestId('training-table'), { target: { value: '/films/cases.csv' } })
  await fireEvent.click(screen.getByTestId('training-read'))
  await screen.findAllByTestId('class-row')
  await fireEvent.click(screen.getByTestId('training-next'))
  await waitFor(() => expect(document.activeElement).toBe(screen.getByTestId('new-run-dialog')))
  await fireEvent.input(await screen.findByTestId('run-name'), { target: { value: name } })
}

afterEach(() => vi.restoreAllMocks())

test('cases are counted by class and by patient, and problems are said as they come', async () => {
  await show()
  await fireEvent.click(screen.getByTestId('new-run'))
  await fireEvent.input(await screen.findByTestId('training-folder'), { target: { value: '/films' } })
  await fireEvent.input(screen.getByTestId('training-table'), { target: { value: '/films/cases.csv' } })
  await fireEvent.click(screen.getByTestId('training-read'))
  const [first] = await screen.findAllByTestId('class-row')
  expect([...first!.querySelectorAll('th, td.number')].map((cell) => cell.textContent)).toEqual([
    'COVID-19',
    '40',
    '25',
  ])
  expect(screen.getByTestId('training-counts').textContent).toContain('96 cases of 61 patients')
  await fireEvent.change(screen.getByTestId('column-view'), { target: { value: 'image' } })
  expect(screen.queryByTestId('training-counts')).toBeNull()
  expect(disabled('training-next')).toBe(true)
  await fireEvent.click(screen.getByTestId('training-look'))
  const problem = await screen.findByTestId('training-problem')
  expect([problem.dataset.code, problem.textContent?.includes('Row 1')]).toEqual(['bad_image', true])
  expect(disabled('training-next')).toBe(true)
})

test('cases of the library are chosen by what it holds; an empty one says so', async () => {
  const { app, backend } = await show({ libraryCases: 24 })
  await fireEvent.click(screen.getByTestId('new-run'))
  await fireEvent.click(await screen.findByTestId('cases-from-library'))
  const modality = await screen.findByTestId<HTMLSelectElement>('cases-modality')
  expect([...modality.options].map((option) => option.textContent?.trim())).toContain('DX (17)')
  await fireEvent.change(modality, { target: { value: 'DX' } })
  await fireEvent.click(screen.getByTestId('training-read'))
  await screen.findAllByTestId('class-row')
  expect(backend.calls.some((call) => call.startsWith('trainingLibrary modality=DX'))).toBe(true)
  app.newRun.step = 'cases'
  await backend.libraryDelete(Array.from({ length: 24 }, (_, i) => `case-${i}`))
  app.library.status = null
  expect((await screen.findByTestId('library-empty')).textContent).toContain('Import cases first')
  expect(disabled('training-read')).toBe(true)
})

test('a run is estimated, started, paused and resumed while the image stays', async () => {
  const { app, backend } = await show({ trainingSteps: 1 })
  await choose('ward-2024')
  await fireEvent.click(screen.getByTestId('method-hundreds'))
  await fireEvent.click(screen.getByTestId('measure'))
  expect((await screen.findByTestId('estimate')).textContent).toContain('1.8 GiB of memory')
  await fireEvent.click(screen.getByTestId('training-start'))
  await waitFor(() => expect(app.dialog).toBeNull())
  await screen.findByTestId('curves')
  expect(within(run('ward-2024')).getByTestId('run-progress').textContent).toMatch(/Training · \d+ of 60 · 6.7 cases/)
  expect(screen.getByTestId('footer-training').textContent).toContain('Training ward-2024')
  expect(screen.getByTestId('viewport-canvas').dataset.painted).toBe('head-axial:0:40,80')

  await fireEvent.keyDown(document.body, { key: 'ArrowDown' })
  await waitFor(() => expect(backend.calls).toContain('trainingBusy'))

  await fireEvent.click(within(run('ward-2024')).getByTestId('run-pause'))
  await waitFor(() => expect(run('ward-2024').dataset.state).toBe('paused'))
  await fireEvent.click(within(run('ward-2024')).getByTestId('run-resume'))
  await waitFor(() => expect(run('ward-2024').dataset.state).toBe('running'))
  await fireEvent.click(within(run('ward-2024')).getByTestId('run-cancel'))
  expect(backend.calls).not.toContain('trainingCancel ward-2024')
  await fireEvent.click(within(run('ward-2024')).getByTestId('run-cancel-confirm'))
  await waitFor(() => expect(run('ward-2024').dataset.state).toBe('cancelled'))
})

test('the curves have their axes and say in words what they show', async () => {
  await show({ trainingSteps: 30 })
  await choose('ward-2024')
  await fireEvent.click(screen.getByTestId('method-hundreds'))
  await fireEvent.click(screen.getByTestId('training-start'))
  const curves = await screen.findByTestId('curves')
  const [loss, figure] = within(curves).getAllByRole('img')
  expect(loss!.getAttribute('aria-label')).toMatch(/^Training loss over \d+ steps, now 0\.\d{3}$/)
  expect(figure!.getAttribute('aria-label')).toContain('AUROC on validation cases')
  expect(loss!.textContent).toContain('Step')
  expect(loss!.querySelector('path.line')?.getAttribute('d')).toMatch(/^M[\d.]+ [\d.]+L/)
})

test('the report shows both sides with intervals, plots, confusion and the worst errors', async () => {
  const { app, backend } = await show()
  await fireEvent.click(within(version('ward-2023')).getByTestId('version-report'))
  const report = await screen.findByTestId('report')
  expect(screen.getByTestId('gate').dataset.passes).toBe('true')
  expect(screen.getByTestId('gate').textContent).toContain('+0.316')
  const rows = screen.getAllByTestId('figure-row')
  expect(rows.map((row) => row.dataset.name)).toEqual(['COVID-19', 'other pneumonia', 'no pneumonia', 'macro'])
  expect(rows[0]!.textContent).toMatch(/adapter ?0\.\d{3} \(0\.\d{3} to [01]\.\d{3}\)/)
  expect(rows[0]!.textContent).toContain('< 0.001')
  expect(screen.getAllByTestId('class-plots')).toHaveLength(3)
  expect(report.textContent).toContain('1 − specificity')
  const matrix = screen.getByTestId('confusion-matrix')
  expect(matrix.querySelector('td.right')?.textContent).toMatch(/^24\s*75 %$/)
  await fireEvent.click(screen.getByTestId('confusion-before'))
  expect(matrix.querySelector('td.right')?.textContent).toMatch(/^12\s*38 %$/)
  const [worst] = screen.getAllByTestId('worst-case')
  expect(worst!.getAttribute('aria-label')).toBe('Open: COVID-19, taken for Other pneumonia at 97 %')
  expect(backend.calls).toContain('adapterImage ward-2023 0')
  await fireEvent.click(worst!)
  expect(app.dialog).toBeNull()
  await waitFor(() => expect(backend.calls).toContain('openPaths /films/p007/pa.dcm'))
})

test('a report is copied as JSON and printed', async () => {
  await show()
  await fireEvent.click(within(version('ward-2023')).getByTestId('version-report'))
  const copied = vi.fn().mockResolvedValue(undefined)
  Object.defineProperty(navigator, 'clipboard', { configurable: true, value: { writeText: copied } })
  await fireEvent.click(await screen.findByTestId('report-copy'))
  await waitFor(() => expect(copied).toHaveBeenCalledOnce())
  expect(JSON.parse(copied.mock.calls[0]![0] as string)).toMatchObject({ adapter: { name: 'ward-2023' }, cases: 96 })
  const printed = vi.fn()
  vi.stubGlobal('print', printed)
  await fireEvent.click(screen.getByTestId('report-print'))
  expect(printed).toHaveBeenCalledOnce()
})

test('an adapter that the gate refused says why, and stays out of use', async () => {
  await show()
  expect(version('ward-lora').textContent).toContain('does not lie above zero')
  await fireEvent.click(within(version('ward-lora')).getByTestId('activate'))
  expect((await screen.findByTestId('refusal')).textContent).toContain('may not go live')
  expect(screen.getByTestId('footer-adapter').textContent).toBe('No adapter')
  await fireEvent.click(within(version('ward-lora')).getByTestId('version-report'))
  expect((await screen.findByTestId('gate-reasons')).textContent).toContain('The gain of 0.021')
  expect(screen.queryByTestId('report-activate')).toBeNull()
})

test('a report says what was forgotten, and the gate warns of it', async () => {
  await show()
  await fireEvent.click(within(version('ward-lora')).getByTestId('version-report'))
  expect((await screen.findByTestId('gate-warnings')).textContent).toContain('It forgot some of what the pack knew')
  const rows = [...screen.getByTestId('forgotten').querySelectorAll('tbody tr')].map((row) => row.textContent ?? '')
  expect(rows[0]?.replace(/\s+/g, ' ')).toContain('−0.230 (−0.310 to −0.150) – forgotten')
  expect(rows[1]).not.toContain('forgotten')
})

test('footer and provenance say which adapter is in use, and rolling back takes it away', async () => {
  await show()
  await fireEvent.click(within(version('ward-2023')).getByTestId('activate'))
  await waitFor(() => expect(screen.getByTestId('footer-adapter').textContent).toBe('Adapter: ward-2023'))
  expect(version('ward-2023').dataset.active).toBe('true')
  await fireEvent.click(screen.getByTestId('tab-findings'))
  await fireEvent.click(await screen.findByTestId('run-findings'))
  expect((await screen.findByTestId('findings-adapter')).textContent).toBe('ward-2023')
  expect(screen.getByTestId('provenance').textContent).toContain('ward-2023')
  await fireEvent.click(screen.getByTestId('footer-adapter'))
  await fireEvent.click(await screen.findByTestId('rollback'))
  await waitFor(() => expect(screen.getByTestId('footer-adapter').textContent).toBe('No adapter'))
  await fireEvent.click(screen.getByTestId('tab-findings'))
  expect(screen.queryByTestId('findings-adapter')).toBeNull()
})

test('a version is deleted only after it was asked for twice', async () => {
  const { backend } = await show()
  await fireEvent.click(within(version('ward-lora')).getByTestId('adapter-remove'))
  expect(document.activeElement).toBe(screen.getByTestId('adapter-remove-confirm'))
  await fireEvent.click(screen.getByTestId('adapter-remove-keep'))
  expect(backend.calls).not.toContain('adapterRemove ward-lora')
  await fireEvent.click(within(version('ward-lora')).getByTestId('adapter-remove'))
  await fireEvent.click(screen.getByTestId('adapter-remove-confirm'))
  await waitFor(() => expect(screen.getAllByTestId('version')).toHaveLength(1))
})

/** Takes an adapter without a report in, and chooses cases to judge it on. */
async function judge() {
  await fireEvent.click(screen.getByTestId('adapter-import'))
  await waitFor(() => expect(version('imported')).toBeTruthy())
  await fireEvent.click(within(version('imported')).getByTestId('activate'))
  expect((await screen.findByTestId('refusal')).textContent).toContain('nobody judged it here')
  await fireEvent.click(within(version('imported')).getByTestId('version-judge'))
  await fireEvent.input(await screen.findByTestId('training-folder'), { target: { value: '/films' } })
  await fireEvent.input(screen.getByTestId('training-table'), { target: { value: '/films/judged.csv' } })
  await fireEvent.click(screen.getByTestId('training-read'))
  await screen.findAllByTestId('class-row')
}

test('a version without a report is evaluated on chosen cases, shows its report and goes live', async () => {
  const { app, backend } = await show()
  await judge()
  expect(within(version('ward-lora')).queryByTestId('version-judge')).toBeNull()
  expect(version('imported').textContent).toContain('Not judged')
  expect(screen.getByTestId('judge-dialog').textContent).toContain('It was trained elsewhere')
  expect(screen.getByTestId('training-next').textContent).toBe('Evaluate')
  await fireEvent.click(screen.getByTestId('training-next'))
  expect((await screen.findByTestId('gate')).dataset.passes).toBe('true')
  expect(screen.queryByTestId('report-refusal')).toBeNull()
  expect(backend.calls).toContain('adapterJudge imported /films/judged.csv finding')
  await fireEvent.click(screen.getByTestId('report-activate'))
  await waitFor(() => expect(screen.getByTestId('footer-adapter').textContent).toBe('Adapter: imported'))
  app.dialog = null
  await waitFor(() => expect(within(version('imported')).queryByTestId('version-judge')).toBeNull())
})

test('an evaluation goes on when its dialog is closed, and is cancelled from the job bar', async () => {
  const { app, backend } = await show({ jobMs: 600 })
  await judge()
  await fireEvent.click(screen.getByTestId('training-next'))
  await screen.findByTestId('judge-progress')
  await fireEvent.click(screen.getByTestId('judge-background'))
  expect(app.dialog).toBeNull()
  const stop = await screen.findByTestId('cancel-job')
  expect(stop.textContent).toBe('Cancel')
  await fireEvent.click(stop)
  await waitFor(() => expect(app.judging.working).toBe(false))
  expect(app.dialog).toBeNull()
  expect(version('imported').textContent).toContain('Not judged')
  expect(backend.calls.filter((call) => call.startsWith('cancel ')).length).toBe(1)
})

test('every control of training has a name', async () => {
  const { app } = await show()
  const unnamed = (): string[] =>
    [...document.querySelectorAll('button, input, textarea, select')]
      .filter((control) => {
        const own = control instanceof HTMLSelectElement ? '' : control.textContent?.trim()
        const label = control.id ? document.querySelector(`label[for="${control.id}"]`)?.textContent : ''
        return !(control.getAttribute('aria-label') || own || label || control.closest('label')?.textContent?.trim())
      })
      .map((control) => control.outerHTML)
  expect(unnamed()).toEqual([])
  await choose('x')
  expect(unnamed()).toEqual([])
  app.dialog = null
  await app.adapters.open('ward-2023')
  app.dialog = 'report'
  await screen.findByTestId('report')
  expect(unnamed()).toEqual([])
})
