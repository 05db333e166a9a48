/** Pictures for the mock backend: rough shapes, enough to see a viewer work. No part of the product. */

import { displayByte } from '../../viewer/lut'

/** Side of a head slice. */
export const HEAD_SIDE = 256
/** Slices of the head. */
export const HEAD_SLICES = 40
/** Size of the radiograph. */
export const CHEST = { columns: 720, rows: 840 } as const

/** Reproducible noise, about −1 to 1. */
function noise(x: number, y: number, z: number): number {
  let h = Math.imul(x, 374761393) ^ Math.imul(y, 668265263) ^ Math.imul(z, 2147483647)
  h = Math.imul(h ^ (h >>> 13), 1274126177)
  return (((h ^ (h >>> 16)) >>> 0) / 0xffffffff) * 2 - 1
}

const inside = (x: number, y: number, cx: number, cy: number, rx: number, ry: number): number =>
  1 - Math.hypot((x - cx) / rx, (y - cy) / ry)

/** A slice of a head, stored as Hounsfield units plus 1024. */
export function headSlice(index: number): Int16Array<ArrayBuffer> {
  const values = new Int16Array(HEAD_SIDE * HEAD_SIDE)
  const level = (index / (HEAD_SLICES - 1)) * 2 - 1 // −1 at the base, 1 at the vertex
  const girth = Math.sqrt(Math.max(0.05, 1 - 0.75 * level * level))
  for (let y = 0; y < HEAD_SIDE; y++) {
    for (let x = 0; x < HEAD_SIDE; x++) {
      const u = (x / HEAD_SIDE) * 2 - 1
      const v = (y / HEAD_SIDE) * 2 - 1
      const skin = inside(u, v, 0, 0, 0.72 * girth, 0.88 * girth)
      let hu = -1000
      if (skin > 0) hu = 10
      if (skin > 0.05) hu = 900 + 200 * Math.sin(9 * Math.atan2(v, u))
      if (skin > 0.14) hu = 34 + 3 * Math.sin(26 * u + 8 * v) * Math.cos(22 * v - 6 * u)
      if (skin > 0.2 && Math.abs(u) < 0.008) hu = 48
      const horns = Math.max(
        inside(Math.abs(u), v, 0.1 * girth, -0.1, 0.07, 0.26 * girth),
        inside(Math.abs(u), v, 0.16 * girth, 0.22, 0.06, 0.16 * girth),
      )
      if (horns > 0 && Math.abs(level) < 0.45) hu = 8
      if (inside(u, v, 0.33, -0.05, 0.16, 0.22) > Math.abs(level - 0.1) * 1.4) hu = 68
      values[y * HEAD_SIDE + x] = Math.round(hu + 6 * noise(x, y, index) + 1024)
    }
  }
  return values
}

/** A chest radiograph, 12 bit. */
export function chestRadiograph(): Uint16Array<ArrayBuffer> {
  const { columns, rows } = CHEST
  const values = new Uint16Array(columns * rows)
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const u = (x / columns) * 2 - 1
      const v = (y / rows) * 2 - 1
      let through = 1.1 + 1.6 * Math.max(0, inside(u, v, 0, 0.35, 1.05, 1.6))
      const lung = Math.max(0, inside(u, v, -0.42, -0.05, 0.36, 0.62), inside(u, v, 0.42, -0.05, 0.36, 0.6))
      through -= 1.5 * Math.sqrt(lung)
      through += 1.4 * Math.sqrt(Math.max(0, inside(u, v, 0.13, 0.25, 0.34, 0.33)))
      through += 1.1 * Math.max(0, 1 - Math.abs(u) / 0.16) ** 0.5
      through += 1.8 / (1 + Math.exp(-14 * (v - 0.52 - 0.12 * Math.cos(3 * u))))
      const rib = Math.sin(17 * (v + 0.35 * u * u) + 0.4)
      through += 0.16 * Math.max(0, rib) * Math.max(0, 1 - Math.abs(v) * 0.9)
      through += 0.5 * Math.max(0, 1 - Math.abs(v + 0.72 - 0.25 * Math.abs(u)) / 0.035) * (Math.abs(u) < 0.75 ? 1 : 0)
      through += 0.9 * Math.max(0, inside(u, v, 0.5, 0.42, 0.24, 0.2))
      values[y * columns + x] = Math.max(0, Math.min(4095, Math.round(900 * through + 14 * noise(x, y, 7) - 250)))
    }
  }
  return values
}

/** A small grey picture of values under a window. */
export function preview(
  values: ArrayLike<number>,
  columns: number,
  rows: number,
  window: { center: number; width: number },
): { width: number; height: number; data: Uint8Array } {
  const step = Math.ceil(Math.max(columns, rows) / 128)
  const width = Math.floor(columns / step)
  const height = Math.floor(rows / step)
  const data = new Uint8Array(width * height)
  const voi = { kind: 'window', function: 'LINEAR', ...window } as const
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      data[y * width + x] = displayByte(
        { modality: { kind: 'identity' }, voi, inverted: false },
        values[y * step * columns + x * step]!,
      )
  return { width, height, data }
}

/** A grey 8-bit PNG, not compressed. Source: PNG specification, third edition; RFC 1950. */
export function greyPng(width: number, height: number, data: Uint8Array): ArrayBuffer {
  const raw = new Uint8Array((width + 1) * height)
  for (let y = 0; y < height; y++) raw.set(data.subarray(y * width, (y + 1) * width), y * (width + 1) + 1)
  const idat: number[] = [0x78, 0x01]
  for (let at = 0; at < raw.length; at += 65535) {
    const part = raw.subarray(at, at + 65535)
    const size = part.length
    idat.push(at + 65535 >= raw.length ? 1 : 0, size & 255, size >> 8, ~size & 255, (~size >> 8) & 255, ...part)
  }
  let [a, b] = [1, 0]
  for (const byte of raw) {
    a = (a + byte) % 65521
    b = (b + a) % 65521
  }
  idat.push(...word(((b << 16) | a) >>> 0))
  const header = [...word(width), ...word(height), 8, 0, 0, 0, 0]
  const bytes = [
    137,
    80,
    78,
    71,
    13,
    10,
    26,
    10,
    ...chunk('IHDR', header),
    ...chunk('IDAT', idat),
    ...chunk('IEND', []),
  ]
  return Uint8Array.from(bytes).buffer
}

const word = (n: number): number[] => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]

function chunk(name: string, body: number[]): number[] {
  const named = [...name].map((letter) => letter.charCodeAt(0)).concat(body)
  let crc = 0xffffffff
  for (const byte of named) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return [...word(body.length), ...named, ...word(~crc >>> 0)]
}
