// @vitest-environment node

import { expect, test } from 'vitest'
import { MockBackend } from '../src/backend/mock'
import { App } from '../src/state/app.svelte'
import { deviceName, testText } from '../src/state/computing.svelte'

const NOW = {
  device: 'cuda:0',
  name: 'NVIDIA device (cuda:0)',
  numbers: 'f32',
  self_test: { error: 1.2e-5, tolerance: 2e-4, device_ms: 0.84, processor_ms: 12.3 },
  failure: null,
  passed_over: [],
  processor: 'Processor, AVX2, 4 threads',
}

test('devices have names for people, and a test is told in a sentence', () => {
  expect(deviceName('cuda:1')).toBe('NVIDIA device 1')
  expect(deviceName('metal:0')).toBe('Apple device 0')
  expect(testText(NOW)).toContain('0.8 ms against 12.3 ms')
  expect(testText({ ...NOW, self_test: null })).toBe('')
})

test('a device that fails in the middle is told once and the processor is named in its place', async () => {
  const backend = new MockBackend()
  const app = new App(backend)
  await app.computing.refresh()
  expect(app.computing.label).toBe('Processor, AVX2, 4 threads')
  backend.failDevice('NVIDIA device (cuda:0)', 'out of memory')
  await app.computing.refresh()
  await app.computing.refresh()
  expect(app.computing.label).toContain('Processor')
  expect(app.computing.label).toContain('failed')
  expect(app.messages.list.filter((m) => m.code === 'device')).toHaveLength(1)
  expect(app.messages.list[0]?.count).toBe(1)
})

test('another device is taken only when the application took it', async () => {
  const backend = new MockBackend()
  const app = new App(backend)
  expect(await app.computing.choose({ device: 'reference' })).toBe(false)
  await app.computing.refresh()
  expect(await app.computing.choose({ device: 'reference' })).toBe(true)
  expect(app.computing.overview?.choice).toEqual({ device: 'reference', compute_type: null, matrix_bits: null })
})
