/** Frames in memory, least recently used out first, and the fetching of neighbours before they are asked for. */

/** What the cache keeps. */
export interface Sized {
  readonly bytes: number
}

/** Gets a frame that is not in memory. */
export type Fetch<T> = (series: string, index: number) => Promise<T>

interface Entry<T> {
  value: T
  bytes: number
}

const key = (series: string, index: number): string => `${series}:${index}`

/** A cache of frames with a limit in bytes. One fetch a frame at a time, however many ask for it. */
export class FrameCache<T extends Sized> {
  readonly #fetch: Fetch<T>
  readonly #entries = new Map<string, Entry<T>>()
  readonly #pending = new Map<string, Promise<T>>()
  #limit: number
  #bytes = 0
  #wish: { series: string; indices: number[] } | undefined
  #prefetching = false

  constructor(limitBytes: number, fetch: Fetch<T>) {
    this.#limit = limitBytes
    this.#fetch = fetch
  }

  /** Bytes held now. */
  get bytes(): number {
    return this.#bytes
  }

  /** Frames held now. */
  get size(): number {
    return this.#entries.size
  }

  set limit(bytes: number) {
    this.#limit = bytes
    this.#evict()
  }

  /** The frame if it is in memory; counts as a use. */
  peek(series: string, index: number): T | undefined {
    const name = key(series, index)
    const entry = this.#entries.get(name)
    if (!entry) return undefined
    this.#entries.delete(name)
    this.#entries.set(name, entry)
    const bytes = entry.value.bytes // a frame grows when a reduced level of it is made
    this.#bytes += bytes - entry.bytes
    entry.bytes = bytes
    return entry.value
  }

  /** The frame, fetched if need be. */
  get(series: string, index: number): Promise<T> {
    const held = this.peek(series, index)
    if (held) return Promise.resolve(held)
    const name = key(series, index)
    const pending = this.#pending.get(name)
    if (pending) return pending
    const fetching = this.#fetch(series, index).then(
      (value) => {
        // A series that was closed meanwhile is no longer pending and stays out.
        if (this.#pending.delete(name)) this.#insert(name, value)
        return value
      },
      (reason: unknown) => {
        this.#pending.delete(name)
        throw reason
      },
    )
    this.#pending.set(name, fetching)
    return fetching
  }

  /** Fetches frames in this order, one at a time; a later call replaces what is still to come. */
  prefetch(series: string, indices: number[]): void {
    this.#wish = { series, indices: [...indices] }
    if (!this.#prefetching) void this.#work()
  }

  /** Forgets every frame of a series. */
  drop(series: string): void {
    for (const [name, entry] of this.#entries) {
      if (!name.startsWith(`${series}:`)) continue
      this.#entries.delete(name)
      this.#bytes -= entry.bytes
    }
    for (const name of this.#pending.keys()) if (name.startsWith(`${series}:`)) this.#pending.delete(name)
    if (this.#wish?.series === series) this.#wish = undefined
  }

  async #work(): Promise<void> {
    this.#prefetching = true
    try {
      for (;;) {
        const wish = this.#wish
        const index = wish?.indices.shift()
        if (!wish || index === undefined) return
        if (this.#entries.has(key(wish.series, index))) continue
        // A prefetch that fails says nothing: the frame will be asked for, and fail, when it is to be shown.
        const frame = await this.get(wish.series, index).catch(() => undefined)
        // What would push out the frames just fetched is not worth fetching.
        if (frame && this.#bytes + frame.bytes > this.#limit) return
      }
    } finally {
      this.#prefetching = false
    }
  }

  #insert(name: string, value: T): void {
    const bytes = value.bytes
    this.#entries.set(name, { value, bytes })
    this.#bytes += bytes
    this.#evict()
  }

  /** Keeps at least the newest frame, whatever its size. */
  #evict(): void {
    for (const [name, entry] of this.#entries) {
      if (this.#bytes <= this.#limit || this.#entries.size <= 1) return
      this.#entries.delete(name)
      this.#bytes -= entry.bytes
    }
  }
}

/**
 * The neighbours worth having, nearest first, those in the direction of travel before the others.
 *
 * - `direction`: +1 or −1, the last step of scrolling
 */
export function neighbours(index: number, count: number, direction: 1 | -1, reach: number): number[] {
  const found: number[] = []
  for (let step = 1; step <= reach; step++) found.push(index + direction * step)
  for (let step = 1; step <= Math.ceil(reach / 2); step++) found.push(index - direction * step)
  return found.filter((candidate) => candidate >= 0 && candidate < count)
}
