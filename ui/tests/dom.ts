/** What jsdom lacks and the window needs: canvases, image data, observers of size, object URLs. */

import { configure } from '@testing-library/svelte'
import { vi } from 'vitest'

// A busy machine takes its time.
configure({ asyncUtilTimeout: 30_000 })

/** Calls that reached a canvas, newest last. */
export interface FakeContext {
  canvas: HTMLCanvasElement
  drawn: unknown[][]
  transforms: number[][]
  lastImage: ImageData | undefined
}

class FakeImageData {
  readonly width: number
  readonly height: number
  readonly data: Uint8ClampedArray

  constructor(first: Uint8ClampedArray | number, second: number, third?: number) {
    if (typeof first === 'number') {
      this.width = first
      this.height = second
      this.data = new Uint8ClampedArray(first * second * 4)
    } else {
      this.data = first
      this.width = second
      this.height = third ?? first.length / 4 / second
    }
  }
}

vi.stubGlobal('ImageData', FakeImageData)

const contexts = new WeakMap<HTMLCanvasElement, object>()

/** A 2D context that remembers what it was told. */
function fakeContext(canvas: HTMLCanvasElement): object {
  const context = {
    canvas,
    drawn: [] as unknown[][],
    transforms: [] as number[][],
    lastImage: undefined as ImageData | undefined,
    setTransform(...map: number[]) {
      context.transforms.push(map)
    },
    drawImage(...what: unknown[]) {
      context.drawn.push(what)
    },
    putImageData(image: ImageData) {
      context.lastImage = image
    },
    createImageData: (width: number, height: number) => new FakeImageData(width, height),
    getImageData: (_x: number, _y: number, width: number, height: number) => new FakeImageData(width, height),
    clearRect: () => undefined,
    save: () => undefined,
    restore: () => undefined,
  }
  return context
}

HTMLCanvasElement.prototype.getContext = function (this: HTMLCanvasElement, kind: string) {
  if (kind !== '2d') return null
  if (!contexts.has(this)) contexts.set(this, fakeContext(this))
  return contexts.get(this)
} as typeof HTMLCanvasElement.prototype.getContext

vi.stubGlobal(
  'ResizeObserver',
  class {
    observe(): void {}
    unobserve(): void {}
    disconnect(): void {}
  },
)

Object.defineProperties(HTMLElement.prototype, {
  clientWidth: { configurable: true, get: () => 640 },
  clientHeight: { configurable: true, get: () => 640 },
})

URL.createObjectURL = () => 'blob:picture'
URL.revokeObjectURL = () => undefined
