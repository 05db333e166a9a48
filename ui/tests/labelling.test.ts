import { fireEvent, render, screen, waitFor, within } from '@testing-library/svelte'
import { afterEach, expect, test, vi } from 'vitest'
import Window from '../src/App.svelte'
import { MockBackend, type MockOptions } from '../src/backend/mock'
import { App } from '../src/state/app.svelte'
import { type Given, keyedLabels } from '../src/state/label-keys'

const COVID = { name: 'covid', exclusive: true, classes: ['COVID-19', 'other', 'none'] }
const FINDINGS = { name: 'chest', exclusive: false, classes: ['effusion', 'nodule'] }

/** A window with a library, a set of labels, and labelling switched on by its button. */
async function label(options: MockOptions = {}, set = COVID) {
  const backend = new MockBackend({ jobMs: 0, libraryCases: 6, ...options })
  await backend.labelSetKeep(set)
  const app = new App(backend)
  app.settings.set({ reader: 'Anna', labelSet: set.name })
  render(Window, { app })
  await waitFor(() => expect(app.library.stocked).toBe(true))
  await fireEvent.click(screen.getByTestId('tab-label'))
  await fireEvent.click(await screen.findByTestId('label-toggle'))
  await screen.findByTestId('label-bar')
  return { backend, app }
}

const stroke = (key: string, more: Partial<KeyboardEvent> = {}) =>
  fireEvent.keyDown(document.body, { key, code: /^\d$/.test(key) ? `Digit${key}` : key, ...more })
const value = (key: number): string | undefined => screen.getByTestId(`label-key-${key}`).dataset.value
const shownCase = (): string => screen.getByTestId('label-case').textContent ?? ''

/** Brings the next case and waits until labels can be given. */
async function next(app: App) {
  const before = app.labelling.current?.case_id
  await stroke('Enter')
  await waitFor(() => expect(app.labelling.ready && app.labelling.current?.case_id !== before).toBe(true))
}

afterEach(() => vi.restoreAllMocks())

test('keys mean labels while labelling, and presets again after it', async () => {
  const { app, backend } = await label()
  expect(screen.getByTestId('label-obstacle').textContent).toContain('Next case')
  await next(app)
  const preset = vi.spyOn(app.pane, 'applyPreset')
  const hint = vi.spyOn(app.evidence, 'askHint')
  await stroke('2')
  await waitFor(() => expect(value(2)).toBe('1'))
  await stroke('1', { ctrlKey: true })
  await stroke('1')
  await waitFor(() => expect([value(1), value(2)]).toEqual(['1', undefined]))
  expect([preset.mock.calls.length, hint.mock.calls.length]).toEqual([0, 0])
  expect(screen.getByTestId('label-progress').textContent).toContain('Anna: 1 of 6 cases')
  expect(backend.given).toEqual([{ caseId: shownCase(), reader: 'Anna', name: 'COVID-19', value: 1 }])
  await stroke('b')
  await waitFor(() => expect(screen.queryByTestId('label-bar')).toBeNull())
  await stroke('1')
  expect(preset).toHaveBeenCalledWith(0)
  expect(backend.given.length).toBe(1)
})

test('a label goes to the case on the screen alone', async () => {
  const { app, backend } = await label()
  await next(app)
  const first = shownCase()
  app.pane.seriesId = 'case-elsewhere-0' // its picture has not come
  await stroke('1')
  expect(backend.calls.filter((call) => call.startsWith('labelGive'))).toEqual([])
  expect(first).not.toBe('')
  await app.openDemo()
  expect(
    (await screen.findByText(/not in the library/, { selector: '[data-testid=label-obstacle]' })).textContent,
  ).toContain('Import')
  await stroke('1')
  expect(backend.given).toEqual([])
})

test('undo goes back to the case it is about, and redo forward', async () => {
  const { app, backend } = await label()
  await next(app)
  const first = shownCase()
  await stroke('1')
  await waitFor(() => expect(value(1)).toBe('1'))
  await next(app)
  expect(shownCase()).not.toBe(first)
  expect(app.studies.list.length, 'the case before is closed').toBe(1)
  await stroke('z', { ctrlKey: true })
  await waitFor(() => expect(screen.getByTestId('label-case').textContent).toBe(first))
  expect(backend.given).toEqual([])
  await stroke('z', { ctrlKey: true, shiftKey: true })
  await waitFor(() => expect(value(1)).toBe('1'))
})

test('a blind reader sees nothing of others, and the agreement only afterwards', async () => {
  const { app, backend } = await label()
  await next(app)
  await stroke('1')
  await waitFor(() => expect(backend.given.length).toBe(1))
  await fireEvent.change(screen.getByTestId('label-reader'), { target: { value: 'Ben' } })
  await waitFor(() => expect(screen.getByTestId('label-others').textContent).toContain('Anna: COVID-19 present'))
  await fireEvent.click(screen.getByTestId('label-blind'))
  await screen.findByTestId('label-hidden')
  expect(screen.queryByTestId('label-others')).toBeNull()
  await waitFor(() => expect(app.labelling.ready).toBe(true))
  await stroke('3')
  await waitFor(() => expect(backend.given.length).toBe(2))
  expect((await screen.findByTestId('agreement-closed')).textContent).toContain('blind')
  await stroke('b')
  await fireEvent.click(await screen.findByTestId('compare-readers'))
  const table = await screen.findByTestId('agreement')
  expect(table.textContent).toContain('0.60 (0.21 to 0.99)')
  const differ = screen.getByTestId('disagreement')
  expect(differ.textContent?.replace(/\s+/g, ' ')).toContain('Anna COVID-19, Ben none')
  await fireEvent.click(differ)
  await waitFor(() => expect(app.pane.study?.id).toContain('study-'))
})

test('sets of labels are made and changed, and say what is wrong', async () => {
  const { app, backend } = await label()
  await fireEvent.click(screen.getByTestId('label-new'))
  const editor = await screen.findByTestId('label-editor')
  await fireEvent.input(within(editor).getByTestId('set-name'), { target: { value: 'views' } })
  const keep = (): HTMLButtonElement => within(editor).getByTestId<HTMLButtonElement>('set-keep')
  expect(keep().disabled).toBe(true)
  await fireEvent.input(within(editor).getByTestId('set-classes'), { target: { value: 'PA\nPA\n' } })
  await fireEvent.click(keep())
  await waitFor(() => expect(app.messages.list.at(-1)?.text ?? '').toContain('twice'))
  await fireEvent.input(within(editor).getByTestId('set-classes'), { target: { value: 'PA\n AP\n' } })
  await fireEvent.click(keep())
  await waitFor(() => expect(app.labelling.set?.classes).toEqual(['PA', 'AP']))
  expect(backend.calls).toContain('labelSetKeep views')
  await waitFor(() => expect(screen.getByTestId('label-key-2').textContent).toContain('AP'))
})

test('keys of findings say present, absent, uncertain, and that the rest is absent', () => {
  const given: Record<string, Given> = { effusion: 1, nodule: null }
  const wish = (key: string, more: Partial<KeyboardEvent> = {}, set = FINDINGS) =>
    keyedLabels(
      { key, code: `Digit${key}`, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more },
      set,
      (name) => given[name] ?? null,
    )
  expect(wish('1')).toEqual([{ name: 'effusion', value: null }])
  expect(wish('2')).toEqual([{ name: 'nodule', value: 1 }])
  expect(wish('!', { shiftKey: true, code: 'Digit1' })).toEqual([{ name: 'effusion', value: 0 }])
  expect(wish('1', { ctrlKey: true })).toEqual([{ name: 'effusion', value: -1 }])
  expect(wish('0')).toEqual([{ name: 'nodule', value: 0 }])
  expect(wish('Delete', { code: 'Delete' })).toEqual([{ name: 'effusion', value: null }])
  expect(wish('3'), 'a digit without a label does nothing').toEqual([])
  expect(wish('1', { altKey: true }), 'panels keep their keys').toBeNull()
  expect(wish('i', { code: 'KeyI' })).toBeNull()
  expect(wish('0', {}, COVID)).toEqual([])
})
