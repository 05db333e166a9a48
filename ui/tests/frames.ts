import type { FrameInfo, ValueKindDto } from '../src/backend/types'

/** What a frame says of itself, CT-like where nothing else is asked for. */
export function infoOf(kind: ValueKindDto, rows: number, columns: number, samples = 1): FrameInfo {
  return {
    rows,
    columns,
    samples,
    kind,
    photometric: 'MONOCHROME2',
    modality: { kind: 'rescale', slope: 1, intercept: -1024 },
    voi: [],
    default_window: { center: 40, width: 400, function: 'LINEAR' },
    default_is_lut: false,
    inverted: false,
    spacing: null,
    pixel_aspect: 1,
    padding: null,
    instance_number: 1,
    position_mm: null,
    orientation: null,
    patient_orientation: null,
    frame: 1,
    pixel_hash: '',
  }
}
