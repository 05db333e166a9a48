/** Studies and their frames, made up. */

import type { OnProgress } from '../backend'
import type { FrameInfo, OpenReportDto, StudyDto, TagNode } from '../types'
import { HEX, MockCore } from './core'
import { CHEST, chestRadiograph, greyPng, HEAD_SIDE, HEAD_SLICES, headSlice, preview } from './images'

const STUDIES: StudyDto[] = [
  {
    id: 'study-head',
    patient_name: 'Phantom, Alpha',
    patient_id: 'LUC-0001',
    sex: 'F',
    age: '064Y',
    date: '2024-03-18',
    description: 'CT head without contrast',
    synthetic: true,
    series: [
      {
        id: 'head-axial',
        modality: 'CT',
        description: 'Axial 5 mm',
        body_part: 'HEAD',
        view: '',
        frames: HEAD_SLICES,
      },
    ],
  },
  {
    id: 'study-chest',
    patient_name: 'Phantom, Beta',
    patient_id: 'LUC-0002',
    sex: 'M',
    age: '057Y',
    date: '2024-03-18',
    description: 'Chest, two views',
    synthetic: true,
    series: [{ id: 'chest-pa', modality: 'DX', description: 'Chest PA', body_part: 'CHEST', view: 'PA', frames: 1 }],
  },
]

const tag = (name: string, number: string, vr: string, value: string, children: TagNode[] = []): TagNode => ({
  tag: number,
  vr,
  name,
  value,
  children,
})

/** Pictures are made once for all mocks: tests make many. */
const PIXELS = new Map<string, ArrayBuffer>()
const THUMBNAILS = new Map<string, ArrayBuffer>()

/** Opens the same two studies, whatever it is given. */
export class MockStudies extends MockCore {
  /** What opening paths returns; the demo studies if unset. */
  report: OpenReportDto | undefined

  async openPaths(jobId: string, paths: string[], onProgress: OnProgress): Promise<OpenReportDto> {
    this.note('openPaths', paths.join(','))
    await this.work(jobId, 'Reading files', onProgress)
    return this.report ?? { studies: STUDIES, rejected: [], cancelled: false }
  }

  async openDemo(jobId: string, onProgress: OnProgress): Promise<OpenReportDto> {
    this.note('openDemo')
    await this.work(jobId, 'Reading files', onProgress)
    return { studies: STUDIES, rejected: [], cancelled: false }
  }

  async closeStudy(studyId: string): Promise<void> {
    this.note('closeStudy', studyId)
  }

  async frameInfo(seriesId: string, index: number): Promise<FrameInfo> {
    this.note('frameInfo', seriesId, index)
    const shared = {
      samples: 1,
      pixel_aspect: 1,
      photometric: 'MONOCHROME2',
      default_is_lut: false,
      inverted: false,
      padding: null,
      instance_number: index + 1,
      frame: 1,
      pixel_hash: HEX,
    }
    if (seriesId === 'chest-pa')
      return {
        ...shared,
        rows: CHEST.rows,
        columns: CHEST.columns,
        kind: 'u16',
        modality: { kind: 'identity' },
        voi: [{ kind: 'window', center: 2000, width: 3600, function: 'LINEAR', label: 'Normal' }],
        default_window: { center: 2000, width: 3600, function: 'LINEAR' },
        spacing: { row_mm: 0.5, column_mm: 0.5, kind: 'at_detector' },
        position_mm: null,
        orientation: null,
        patient_orientation: ['L', 'F'],
      }
    return {
      ...shared,
      rows: HEAD_SIDE,
      columns: HEAD_SIDE,
      kind: 'i16',
      modality: { kind: 'rescale', slope: 1, intercept: -1024 },
      voi: [{ kind: 'window', center: 40, width: 80, function: 'LINEAR', label: 'Brain' }],
      default_window: { center: 40, width: 80, function: 'LINEAR' },
      spacing: { row_mm: 0.94, column_mm: 0.94, kind: 'calibrated' },
      position_mm: index * 5 - 80,
      orientation: [1, 0, 0, 0, 1, 0],
      patient_orientation: null,
    }
  }

  async framePixels(seriesId: string, index: number): Promise<ArrayBuffer> {
    this.note('framePixels', seriesId, index)
    const key = `${seriesId}:${index}`
    let bytes = PIXELS.get(key)
    if (!bytes) {
      bytes = seriesId === 'chest-pa' ? chestRadiograph().buffer : headSlice(index).buffer
      PIXELS.set(key, bytes)
    }
    return bytes.slice(0)
  }

  async thumbnail(seriesId: string): Promise<ArrayBuffer> {
    this.note('thumbnail', seriesId)
    let png = THUMBNAILS.get(seriesId)
    if (png) return png
    const { width, height, data } =
      seriesId === 'chest-pa'
        ? preview(chestRadiograph(), CHEST.columns, CHEST.rows, { center: 2000, width: 3600 })
        : preview(headSlice(HEAD_SLICES / 2), HEAD_SIDE, HEAD_SIDE, { center: 1064, width: 80 })
    png = greyPng(width, height, data)
    THUMBNAILS.set(seriesId, png)
    return png
  }

  async tags(seriesId: string, index: number): Promise<TagNode[]> {
    this.note('tags', seriesId, index)
    return [
      tag('SOPClassUID', '(0008,0016)', 'UI', 'CT Image Storage'),
      tag('Modality', '(0008,0060)', 'CS', seriesId === 'chest-pa' ? 'DX' : 'CT'),
      tag('PatientName', '(0010,0010)', 'PN', 'Phantom^Alpha'),
      tag('InstanceNumber', '(0020,0013)', 'IS', String(index + 1)),
      tag('AnatomicRegionSequence', '(0008,2218)', 'SQ', '1 item', [
        tag('CodeValue', '(0008,0100)', 'SH', 'T-D1100'),
        tag('CodeMeaning', '(0008,0104)', 'LO', 'Head'),
      ]),
      tag('Rows', '(0028,0010)', 'US', String(HEAD_SIDE)),
      tag('WindowCenter', '(0028,1050)', 'DS', '40'),
      tag('WindowWidth', '(0028,1051)', 'DS', '80'),
    ]
  }
}
