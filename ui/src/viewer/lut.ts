/**
 * From stored values to the bytes of a screen: modality → VOI → polarity → 8 bit.
 *
 * The arithmetic is fixed to the bit by `tests/vectors/display/README.md`; the Rust side obeys the same file.
 * Source: DICOM PS3.3 C.11.1 (modality), C.11.2 (VOI), C.11.6 (presentation LUT shape).
 */

import type { FrameInfo, ModalityDto, ValueKindDto, VoiDto, WindowDto } from '../backend/types'

/** A VOI look-up table without its label. */
export type VoiTable = { kind: 'lut'; first: number; values: ArrayLike<number>; bits: number }
/** A window without its label. */
export type VoiWindow = { kind: 'window' } & WindowDto
/** One way from modality values to the display range. */
export type Voi = VoiWindow | VoiTable

/** All steps of one picture. */
export interface Pipeline {
  modality: ModalityDto
  voi: Voi
  inverted: boolean
}

/** Typed arrays that hold stored values. */
export type StoredValues =
  Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | Float32Array | Float64Array

/** An entry by position, positions outside taking the nearest end. */
function entry(values: ArrayLike<number>, position: number): number {
  const index = Math.min(Math.max(position, 0), values.length - 1)
  return values[Math.trunc(index)] ?? 0
}

/** The modality value of a stored value. */
export function modalityValue(modality: ModalityDto, stored: number): number {
  switch (modality.kind) {
    case 'identity':
      return stored
    case 'rescale':
      return stored * modality.slope + modality.intercept
    case 'lut':
      return entry(modality.values, stored - modality.first)
  }
}

/** The display fraction, 0 to 1, of a modality value. */
export function voiFraction(voi: Voi, x: number): number {
  if (voi.kind === 'lut') {
    const range = 2 ** voi.bits - 1
    return Math.min(entry(voi.values, Math.floor(x + 0.5) - voi.first) / range, 1)
  }
  const c = voi.center
  switch (voi.function) {
    case 'LINEAR': {
      const w = Math.max(voi.width, 1)
      if (x <= c - 0.5 - (w - 1) / 2) return 0
      if (x > c - 0.5 + (w - 1) / 2) return 1
      return (x - (c - 0.5)) / (w - 1) + 0.5
    }
    case 'LINEAR_EXACT': {
      const w = Math.max(voi.width, 0)
      if (x <= c - w / 2) return 0
      if (x > c + w / 2) return 1
      return (x - c) / w + 0.5
    }
    case 'SIGMOID':
      if (voi.width <= 0) return x > c ? 1 : 0
      return 1 / (1 + Math.exp((-4 * (x - c)) / voi.width))
  }
}

/** The byte of a display fraction; 0 for what is not a number. */
export function toByte(fraction: number): number {
  const byte = Math.floor(Math.min(Math.max(fraction, 0), 1) * 255 + 0.5)
  return Number.isNaN(byte) ? 0 : byte
}

/** The byte that shows a stored value. */
export function displayByte(pipeline: Pipeline, stored: number): number {
  const fraction = voiFraction(pipeline.voi, modalityValue(pipeline.modality, stored))
  return toByte(pipeline.inverted ? 1 - fraction : fraction)
}

/** Bits of the kinds whose every value fits a table. */
const TABLE_BITS: Partial<Record<ValueKindDto, 8 | 16>> = { u8: 8, i8: 8, u16: 16, i16: 16 }

/** True when every stored value of the kind has an entry in {@link displayTable}. */
export function hasTable(kind: ValueKindDto): boolean {
  return TABLE_BITS[kind] !== undefined
}

/**
 * The byte of every stored value of a kind, indexed by the value's bits read as unsigned.
 *
 * Returns 256 or 65536 bytes, or `undefined` for kinds too wide for a table.
 */
export function displayTable(pipeline: Pipeline, kind: ValueKindDto): Uint8Array | undefined {
  const bits = TABLE_BITS[kind]
  if (bits === undefined) return undefined
  const size = 1 << bits
  const signed = kind === 'i8' || kind === 'i16'
  const table = new Uint8Array(size)
  for (let raw = 0; raw < size; raw++) {
    const stored = signed && raw >= size / 2 ? raw - size : raw
    table[raw] = displayByte(pipeline, stored)
  }
  return table
}

/** Stored values as their kind says. The shell sends little endian, which every supported machine is. */
export function storedValues(kind: ValueKindDto, bytes: ArrayBuffer): StoredValues {
  switch (kind) {
    case 'u8':
      return new Uint8Array(bytes)
    case 'i8':
      return new Int8Array(bytes)
    case 'u16':
      return new Uint16Array(bytes)
    case 'i16':
      return new Int16Array(bytes)
    case 'u32':
      return new Uint32Array(bytes)
    case 'i32':
      return new Int32Array(bytes)
    case 'f32':
      return new Float32Array(bytes)
    case 'f64':
      return new Float64Array(bytes)
  }
}

/** The user's choice of grey levels: the file's own, or a window. */
export type Grey = { kind: 'file' } | { kind: 'window'; window: WindowDto }

/** The VOI step for a frame under the user's choice. */
export function voiOf(info: FrameInfo, grey: Grey): Voi {
  if (grey.kind === 'window') return { kind: 'window', ...grey.window }
  const first: VoiDto | undefined = info.voi[0]
  if (info.default_is_lut && first?.kind === 'lut') return first
  return { kind: 'window', ...info.default_window }
}

/** The pipeline for a frame; `invert` turns the file's polarity around. */
export function pipelineOf(info: FrameInfo, grey: Grey, invert: boolean): Pipeline {
  return { modality: info.modality, voi: voiOf(info, grey), inverted: info.inverted !== invert }
}

/** A text that is equal for equal pipelines of one frame's kind: the key of caches. */
export function pipelineKey(kind: ValueKindDto, pipeline: Pipeline): string {
  const { modality, voi, inverted } = pipeline
  const step = (part: ModalityDto | Voi): string => {
    if (part.kind !== 'lut') return JSON.stringify(part)
    let hash = 2166136261 // FNV-1a
    for (let i = 0; i < part.values.length; i++) hash = Math.imul(hash ^ (part.values[i] ?? 0), 16777619)
    return `lut:${part.first}:${part.values.length}:${hash >>> 0}`
  }
  return `${kind}|${step(modality)}|${step(voi)}|${inverted ? 1 : 0}`
}
