// @vitest-environment node

import { afterEach, describe, expect, test, vi } from 'vitest'
import { BackendError } from '../src/backend'
import { MockBackend, type MockOptions } from '../src/backend/mock'
import {
  bytesText,
  estimateText,
  gainText,
  intervalText,
  memoryText,
  progressLine,
  pText,
} from '../src/panels/training/words'
import { extent, linear, pathOf, rounded, tickText, ticks } from '../src/plots/scale'
import { inside } from '../src/state/adapters.svelte'
import { App } from '../src/state/app.svelte'
import { judgeable } from '../src/state/judging.svelte'

async function made(options: MockOptions = {}) {
  const backend = new MockBackend({ jobMs: 0, ...options })
  const app = new App(backend)
  await Promise.all([app.packs.start(), app.adapters.refresh(), app.training.refresh()])
  return { app, backend, run: app.newRun, training: app.training, adapters: app.adapters }
}

/** A run of which only the start is missing. */
async function prepared(options: MockOptions = {}) {
  const all = await made(options)
  await all.run.loadPresets()
  Object.assign(all.run, { folder: '/films', path: '/films/cases.csv', name: 'ward-2024' })
  await all.run.read()
  return all
}

const called = (backend: MockBackend, command: string): string[] =>
  backend.calls.filter((call) => call.split(' ')[0] === command)

afterEach(() => vi.useRealTimers())

describe('axes', () => {
  test('have round values', () => {
    expect(ticks([0, 1], 4)).toEqual([0, 0.5, 1])
    expect(ticks([0, 1], 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1])
    expect(ticks([0.31, 0.52], 4)).toEqual([0.4, 0.5])
    expect(ticks([3, 3], 4)).toEqual([3])
  })

  test('begin and end beyond what they show', () => {
    const [low, high] = rounded([0.312, 0.517], 4)
    expect([low <= 0.312, high >= 0.517, high - low < 0.5]).toEqual([true, true, true])
    const [under, over] = rounded([2, 2], 4)
    expect(under < 2 && over > 2).toBe(true)
  })

  test('take values to places, and a domain without extent to the middle', () => {
    expect([0, 5, 10].map(linear([0, 10], [100, 0]))).toEqual([100, 50, 0])
    expect(linear([1, 1], [0, 80])(1)).toBe(40)
    expect(
      pathOf([
        { x: 0, y: 1 },
        { x: 2.25, y: 3 },
      ]),
    ).toBe('M0.0 1.0L2.3 3.0')
    expect([extent([]), extent([3, NaN, -1])]).toEqual([
      [0, 1],
      [-1, 3],
    ])
    expect([tickText(-0.5), tickText(0.30000000000000004), tickText(0)]).toEqual(['−0.5', '0.3', '0'])
  })
})

describe('words', () => {
  test('say figures as journals do', () => {
    expect([pText(null), pText(0.0002), pText(0.0312)]).toEqual(['–', '< 0.001', '0.031'])
    expect(intervalText({ value: 0.8, low: 0.726, high: 0.858 })).toBe('(0.726 to 0.858)')
    expect(intervalText({ value: 0.8, low: null, high: null })).toBe('')
    expect([gainText(0.1), gainText(-0.02), gainText(null)]).toEqual(['+0.100', '−0.020', '–'])
  })

  test('say time, memory and space', () => {
    expect([bytesText(400), bytesText(2_500_000), bytesText(3e9)]).toEqual(['1 kB', '2.5 MB', '3.0 GB'])
    expect([memoryText(512), memoryText(2048)]).toEqual(['512 MiB', '2.0 GiB'])
    const estimate = { steps: 340, step_s: 2.4, total_s: 816, memory_mib: 1830, disk_bytes: 14_600_000 }
    expect(estimateText(estimate)).toBe('About 14 min (340 steps), 1.8 GiB of memory and 14.6 MB on the disk.')
  })

  test('say how far a run is', async () => {
    const { backend } = await made({ trained: true })
    const [run] = await backend.trainingRuns()
    const now = { ...run!, stage: 'training', done: 12, total: 60, cases_per_s: 6.72, eta_s: 115 }
    expect(progressLine(now)).toBe('Training · 12 of 60 · 6.7 cases a second · about 2 min left')
    expect(progressLine({ ...now, stage: '', total: 0, cases_per_s: null, eta_s: null })).toBe('')
  })

  test('keep a folder’s slashes', () => {
    expect([inside('/out', 'a'), inside('/out/', 'a'), inside('C:\\out', 'a')]).toEqual([
      '/out/a',
      '/out/a',
      'C:\\out\\a',
    ])
  })
})

describe('a run that is put together', () => {
  test('takes the columns that are probably meant, and looks at the cases', async () => {
    const { run } = await prepared()
    expect([run.step, run.roleOf('file'), run.roleOf('finding'), run.roleOf('view')]).toEqual([
      'check',
      'image',
      'label',
      null,
    ])
    expect(run.preview?.classes.map(({ name }) => name)).toContain('COVID-19')
    expect(run.obstacle).toBeNull()
  })

  test('takes cases of the library, all or those that meet conditions', async () => {
    const { run, backend } = await prepared({ libraryCases: 24 })
    run.source = 'library'
    await run.read()
    run.conditions = { source: '', modality: 'DX', split: 'train' }
    await run.read()
    expect(called(backend, 'trainingLibrary').map((call) => call.trim())).toEqual([
      'trainingLibrary all',
      'trainingLibrary modality=DX,split=train',
    ])
    expect(run.request.data).toMatchObject({ folder: '/archive', table: '/home/tables/3f1c.csv' })
    expect([run.preview?.cases, run.folder, run.roleOf('finding')]).toEqual([96, '/films', 'label'])
  })

  test('has one column for each role but labels, in the table’s order', async () => {
    const { run } = await prepared()
    run.setRole('view', 'patient')
    expect([run.roleOf('view'), run.roleOf('patient')]).toEqual(['patient', null])
    run.setRole('view', 'label')
    expect(run.columns).toMatchObject({ patient: null, labels: ['finding', 'view'] })
    run.setRole('finding', null)
    expect(run.columns.labels).toEqual(['view'])
  })

  test('forgets what it knew of the cases when the columns change', async () => {
    const { run } = await prepared()
    await run.measure()
    run.setRole('patient', null)
    expect([run.preview, run.estimate]).toEqual([null, null])
    expect(run.obstacle).toContain('looked at')
    await run.look()
    expect(run.preview?.problems.map(({ code, blocking }) => [code, blocking])).toEqual([['no_patients', false]])
    expect(run.obstacle).toBeNull()
  })

  test('does not start on cases with a problem that blocks', async () => {
    const { run, backend } = await prepared()
    run.setRole('view', 'image')
    await run.look()
    expect(run.obstacle).toContain('problem')
    expect(await run.start()).toBe(false)
    expect(called(backend, 'trainingStart')).toEqual([])
  })

  test('offers a method only what it can learn from', async () => {
    const { run } = await prepared()
    run.setRole('report', null)
    await run.look()
    run.take('reports')
    expect(run.obstacle).toContain('reports')
    run.take('hundreds')
    expect(run.obstacle).toBeNull()
  })

  test('wants a name that can be a folder’s', async () => {
    const { run } = await prepared()
    for (const name of ['', 'a b', 'Röntgen', '.hidden', 'x'.repeat(65)]) {
      run.name = name
      expect(run.obstacle, name).toContain('name')
    }
    run.name = 'ward_3.b-2'
    expect(run.obstacle).toBeNull()
  })

  test('sends what was chosen, numbers that were not changed as none', async () => {
    const { run, backend } = await prepared()
    run.take('hundreds')
    run.setOption('rank', 4)
    run.rename('covid', 'COVID-19')
    await run.look()
    run.notes = 'Ward 3'
    expect(await run.start()).toBe(true)
    expect(backend.trainingRequest).toMatchObject({
      name: 'ward-2024',
      preset: 'hundreds',
      pack: 'demo',
      cores: null,
      notes: 'Ward 3',
      options: { rank: 4, epochs: null },
      data: { folder: '/films', table: '/films/cases.csv', renamed: [['covid', 'COVID-19']] },
    })
  })

  test('keeps the image tower of contrastive training, or does not, as the preset says until it is asked', async () => {
    const { run, backend } = await prepared()
    run.take('full')
    expect(run.chosen?.options.locked_images).toBeNull()
    run.columns.report = 'note'
    run.take('reports')
    expect(run.chosen?.options.locked_images).not.toBeNull()
    run.lockImages(!run.chosen?.options.locked_images)
    await run.look()
    expect(await run.start()).toBe(true)
    expect(backend.trainingRequest?.options.locked_images).toBe(!run.chosen?.options.locked_images)
  })

  test('measures before it has a name, and measures again after a change', async () => {
    const { run, backend } = await prepared()
    run.name = ''
    await run.measure()
    expect([run.estimate?.steps, called(backend, 'trainingEstimate')]).toEqual([60, ['trainingEstimate few_labels']])
    run.setOption('seed', 3)
    expect(run.estimate).toBeNull()
  })

  test('says why the table cannot be read, and stays where it is', async () => {
    const failing = { trainingTable: new BackendError('bad_data', 'line 3 has 4 fields, the header 5') }
    const { run } = await prepared({ failing })
    expect([run.step, run.error]).toEqual(['cases', 'line 3 has 4 fields, the header 5'])
  })

  test('says that a name is taken and keeps everything', async () => {
    const { run } = await prepared({ trained: true })
    run.name = 'ward-2023'
    expect(await run.start()).toBe(false)
    expect([run.error?.includes('choose another name'), run.name, run.busy]).toEqual([true, 'ward-2023', false])
  })
})

describe('a run', () => {
  test('is shown when it begins, looked at until it ends, and told of then', async () => {
    const { app, run, training, adapters } = await prepared({ trainingSteps: 20 })
    vi.useFakeTimers()
    await run.start()
    expect([training.shown, training.working?.done]).toEqual(['ward-2024', 20])
    await vi.advanceTimersByTimeAsync(30_000)
    expect(training.runs[0]).toMatchObject({ state: 'finished', adapter: 'ward-2024' })
    expect(adapters.list[0]?.name).toBe('ward-2024')
    expect(app.messages.list.at(-1)?.text).toContain('It may go live')
    expect(vi.getTimerCount()).toBe(0)
  })

  test('is looked at more often while the panel is open', async () => {
    const { backend, run, training } = await prepared({ trainingSteps: 1 })
    vi.useFakeTimers()
    await run.start()
    const looks = async (): Promise<number> => {
      const before = called(backend, 'trainingRuns').length
      await vi.advanceTimersByTimeAsync(8000)
      return called(backend, 'trainingRuns').length - before
    }
    const closed = await looks()
    const unwatch = training.watch()
    expect([closed, await looks()]).toEqual([2, 8])
    unwatch()
    training.stop()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('is paused, resumed, cancelled and deleted', async () => {
    const { run, training } = await prepared({ trainingSteps: 1 })
    await run.start()
    await training.pause('ward-2024')
    expect([training.working, training.runs[0]?.state]).toEqual([null, 'paused'])
    await training.resume('ward-2024')
    expect(training.working?.name).toBe('ward-2024')
    await training.cancel('ward-2024')
    expect(training.runs[0]?.state).toBe('cancelled')
    await training.remove('ward-2024')
    expect([training.runs, training.shown, training.detail]).toEqual([[], null, null])
  })

  test('rests while the reader works, told no more than twice a second', async () => {
    const { run, training, backend } = await prepared({ trainingSteps: 1 })
    vi.useFakeTimers()
    training.readerWorks()
    expect(called(backend, 'trainingBusy')).toHaveLength(0)
    await run.start()
    for (let i = 0; i < 20; i++) {
      training.readerWorks()
      await vi.advanceTimersByTimeAsync(50)
    }
    expect(called(backend, 'trainingBusy')).toHaveLength(2)
    training.stop()
  })
})

describe('versions', () => {
  test('the one in use belongs to the pack in use', async () => {
    const { adapters } = await made({ trained: true })
    expect(adapters.active).toBeNull()
    await adapters.activate('ward-2023')
    expect(adapters.active?.name).toBe('ward-2023')
    await adapters.rollback()
    expect(adapters.active).toBeNull()
  })

  test('results of other weights are forgotten when one is activated', async () => {
    const { app, adapters } = await made({ trained: true })
    const forget = vi.spyOn(app.evidence, 'forgetResults')
    await adapters.activate('ward-lora')
    expect(forget).not.toHaveBeenCalled()
    await adapters.activate('ward-2023')
    expect(forget).toHaveBeenCalledOnce()
  })

  test('a refusal is kept with its reasons until the next wish', async () => {
    const { app, adapters } = await made({ trained: true })
    await adapters.activate('ward-lora')
    expect(adapters.refusal).toMatchObject({ adapter: 'ward-lora' })
    expect(adapters.refusal?.message).toContain('does not lie above zero')
    expect([adapters.active, adapters.working, app.messages.list]).toEqual([null, false, []])
    await adapters.activate('ward-2023')
    expect(adapters.refusal).toBeNull()
  })

  test('an open report knows that its adapter is in use', async () => {
    const { adapters } = await made({ trained: true })
    await adapters.open('ward-2023')
    await adapters.activate('ward-2023')
    expect(adapters.report?.adapter.active).toBe(true)
  })

  test('one in use is not deleted', async () => {
    const { adapters } = await made({ trained: true })
    await adapters.activate('ward-2023')
    await adapters.remove('ward-2023')
    expect(adapters.refusal?.message).toContain('roll back')
    await adapters.remove('ward-lora')
    expect(adapters.list.map(({ name }) => name)).toEqual(['ward-2023'])
  })

  test('are exported into a folder of their own, and imported', async () => {
    const { app, adapters, backend } = await made({ trained: true })
    backend.chosen = ['/out']
    await adapters.export('ward-2023')
    expect(called(backend, 'adapterExport')).toEqual(['adapterExport ward-2023 /out/ward-2023'])
    await adapters.import()
    expect(adapters.list[0]?.name).toBe('imported')
    backend.chosen = []
    await adapters.export('imported')
    expect(called(backend, 'adapterExport')).toHaveLength(1)
    expect(app.messages.list.map(({ code }) => code)).toEqual(['exported', 'adapter_imported'])
  })
})

describe('a version without a report', () => {
  async function imported(options: MockOptions = {}) {
    const all = await made(options)
    all.backend.chosen = ['/from/peft']
    await all.adapters.import()
    const adapter = all.adapters.list.find(({ name }) => name === 'imported')!
    all.app.judging.begin(adapter)
    Object.assign(all.app.judging, { folder: '/films', path: '/films/judged.csv' })
    return { ...all, adapter, judging: all.app.judging }
  }

  test('is looked at with its own pack, and judged once', async () => {
    const { app, backend, judging, adapter, adapters } = await imported()
    expect(app.messages.list.at(-1)?.text).toContain('Nobody has judged it here')
    await judging.start()
    expect(called(backend, 'adapterJudge')).toEqual([])
    await judging.read()
    expect(called(backend, 'trainingPreview')).toEqual(['trainingPreview finding demo'])
    await judging.start()
    expect([app.dialog, adapters.report?.adapter.name, adapters.report?.adapter.passes]).toEqual([
      'report',
      'imported',
      true,
    ])
    expect(adapters.list.filter(judgeable)).toEqual([])
    judging.begin(adapter)
    await judging.read()
    await judging.start()
    expect([app.dialog, judging.error?.includes('has its verdict')]).toEqual(['judge', true])
  })

  test('asks for labels, and for enough patients unless the table divides them', async () => {
    const { judging } = await imported()
    await judging.read()
    const few = { code: 'few_patients', message: 'only a probe', blocking: false }
    judging.preview = { ...judging.preview!, problems: [few] }
    expect(judging.blocking.map(({ message }) => message.includes('five patients'))).toEqual([true])
    judging.setRole('view', 'split')
    judging.preview = { ...(await imported()).judging.preview!, problems: [few] }
    expect(judging.blocking).toEqual([])
    judging.setRole('finding', null)
    expect(judging.lacking).toContain('labels')
  })

  test('is told of when its dialog was closed meanwhile', async () => {
    const { app, judging } = await imported({ jobMs: 20 })
    await judging.read()
    const work = judging.start()
    app.dialog = null
    await work
    expect(app.dialog).toBeNull()
    expect(app.messages.list.at(-1)?.text).toContain('“imported” was evaluated. It may go live')
  })
})
