// @vitest-environment node

import { expect, test, vi } from 'vitest'
import { FrameCache, neighbours } from '../src/viewer/cache'

interface Item {
  bytes: number
  name: string
}

function cacheOf(limit: number, bytes = 10) {
  const fetch = vi.fn((series: string, index: number) => Promise.resolve<Item>({ bytes, name: `${series}:${index}` }))
  return { fetch, cache: new FrameCache<Item>(limit, fetch) }
}

const settle = () => new Promise((resolve) => setTimeout(resolve))

test('the frame that was used longest ago goes first', async () => {
  const { cache } = cacheOf(30)
  for (const index of [0, 1, 2]) await cache.get('a', index)
  cache.peek('a', 0)
  await cache.get('a', 3)
  expect([0, 1, 2, 3].map((index) => cache.peek('a', index) !== undefined)).toEqual([true, false, true, true])
  expect(cache.bytes).toBe(30)
})

test('a frame larger than the limit is held while it is the newest', async () => {
  const { cache } = cacheOf(5)
  await cache.get('a', 0)
  expect([cache.size, cache.bytes]).toEqual([1, 10])
  await cache.get('a', 1)
  expect([cache.size, cache.bytes]).toEqual([1, 10])
})

test('a frame that has grown is counted anew', async () => {
  const { cache } = cacheOf(100)
  const item = await cache.get('a', 0)
  item.bytes = 25
  cache.peek('a', 0)
  expect(cache.bytes).toBe(25)
})

test('lowering the limit frees memory at once', async () => {
  const { cache } = cacheOf(100)
  for (const index of [0, 1, 2, 3]) await cache.get('a', index)
  cache.limit = 20
  expect(cache.bytes).toBe(20)
})

test('a frame that is asked for twice is fetched once', async () => {
  const { cache, fetch } = cacheOf(100)
  await Promise.all([cache.get('a', 0), cache.get('a', 0)])
  expect(fetch).toHaveBeenCalledTimes(1)
})

test('a fetch that failed is tried again', async () => {
  const fetch = vi.fn().mockRejectedValueOnce(new Error('no')).mockResolvedValue({ bytes: 1, name: '' })
  const cache = new FrameCache<Item>(10, fetch)
  await expect(cache.get('a', 0)).rejects.toThrow('no')
  await expect(cache.get('a', 0)).resolves.toBeDefined()
})

test('a new wish replaces what was still to be fetched ahead', async () => {
  const { cache, fetch } = cacheOf(1000)
  cache.prefetch('a', [1, 2, 3, 4])
  cache.prefetch('a', [9, 8])
  await settle()
  expect(fetch.mock.calls.map(([, index]) => index)).toEqual([1, 9, 8])
})

test('fetching ahead stops before it pushes out what it fetched', async () => {
  const { cache, fetch } = cacheOf(30)
  cache.prefetch('a', [1, 2, 3, 4, 5, 6])
  await settle()
  expect(fetch).toHaveBeenCalledTimes(3)
})

test('a closed series is forgotten, also when it was on its way', async () => {
  const { cache } = cacheOf(100)
  await cache.get('a', 0)
  await cache.get('ab', 0)
  const late = cache.get('a', 1)
  cache.drop('a')
  await late
  expect([cache.peek('a', 0), cache.peek('a', 1), cache.peek('ab', 0)?.name]).toEqual([undefined, undefined, 'ab:0'])
  expect(cache.bytes).toBe(10)
})

test('neighbours come nearest first, ahead before behind, inside the series', () => {
  expect(neighbours(5, 100, 1, 4)).toEqual([6, 7, 8, 9, 4, 3])
  expect(neighbours(1, 100, -1, 4)).toEqual([0, 2, 3])
  expect(neighbours(98, 100, 1, 4)).toEqual([99, 97, 96])
})
