/** Answers, findings and similar cases, made up. */

import type { OnProgress } from '../backend'
import type { Answer, Findings, SimilarCases, Suggestions } from '../types'
import { HEAD_SIDE } from './images'
import { MockStudies } from './studies'

/** Says the same of every image. */
export class MockAssistant extends MockStudies {
  async ask(jobId: string, seriesId: string, index: number, question: string, onProgress: OnProgress): Promise<Answer> {
    this.note('ask', seriesId, index, question)
    await this.work(jobId, 'Looking at the image', onProgress)
    const unsure = /nodule|infarct|organ/i.test(question)
    const blind = /modality/i.test(question)
    const yes = /effusion|haemorrhage/i.test(question)
    const answer = blind ? 'CT' : yes ? 'yes' : 'no'
    const confidence = unsure ? 0.41 : yes ? 0.94 : 0.82
    const chest = seriesId === 'chest-pa'
    const side = 8
    const [cx, cy] = chest ? [5.9, 5.6] : [5.4, 3.6]
    const values = Array.from({ length: side * side }, (_, i) =>
      Math.exp(-(((i % side) + 0.5 - cx) ** 2 + (Math.floor(i / side) + 0.5 - cy) ** 2) / 1.6),
    )
    const region = chest
      ? { x: 0, y: 60, width: 720, height: 720 }
      : { x: 0, y: 0, width: HEAD_SIDE, height: HEAD_SIDE }
    const elsewhere = /liver/i.test(question)
    return {
      question,
      kind: blind ? 'modality' : 'presence',
      closed: !blind,
      cautions: elsewhere
        ? [{ reason: 'other_region', message: 'The question is about the abdomen, but the file shows the head.' }]
        : [],
      answer,
      confidence,
      abstained: unsure || elsewhere,
      threshold: 0.55,
      alternatives: [
        { answer, confidence },
        { answer: answer === 'yes' ? 'no' : 'yes', confidence: (1 - confidence) * 0.9 },
        { answer: 'left', confidence: (1 - confidence) * 0.1 },
      ],
      image_made_no_difference: blind,
      blank_answer: blind ? answer : 'no',
      blank_confidence: blind ? 0.8 : 0.55,
      heat_map: elsewhere ? null : { rows: side, columns: side, values, region },
      provenance: this.provenance(),
    }
  }

  async suggest(seriesId: string, index: number): Promise<Suggestions> {
    this.note('suggest', seriesId, index)
    return seriesId === 'chest-pa'
      ? { region: 'chest', recognised: 0.97, questions: ['Is there a pleural effusion?', 'Is the heart enlarged?'] }
      : { region: 'head', recognised: null, questions: ['Is there a haemorrhage?', 'Is there an infarct?'] }
  }

  async findings(jobId: string, seriesId: string, index: number, onProgress: OnProgress): Promise<Findings> {
    this.note('findings', seriesId, index)
    await this.work(jobId, 'Scoring', onProgress)
    const chest = {
      'pleural effusion': 0.93,
      cardiomegaly: 0.61,
      consolidation: 0.22,
      nodule: 0.09,
      pneumothorax: 0.004,
    }
    const head = { haemorrhage: 0.97, mass: 0.31, infarct: 0.06 }
    return {
      label_set: seriesId === 'chest-pa' ? 'chest radiograph' : 'head CT',
      findings: Object.entries<number>(seriesId === 'chest-pa' ? chest : head).map(([label, score]) => ({
        label,
        score,
        present: score >= 0.5,
        operating_point: 0.5,
      })),
      calibrated: true,
      note: 'Trained on synthetic studies: scores of real studies mean little.',
      provenance: this.provenance(),
    }
  }

  async similar(
    jobId: string,
    seriesId: string,
    index: number,
    k: number,
    onProgress: OnProgress,
  ): Promise<SimilarCases> {
    this.note('similar', seriesId, index, k)
    await this.work(jobId, 'Searching', onProgress)
    return {
      cases: Array.from({ length: k }, (_, i) => ({
        case_id: `${seriesId}-${i + 1}`,
        score: 0.97 - 0.04 * i,
        labels: i % 2 === 0 ? ['pleural effusion', 'left'] : ['no finding'],
        report:
          'Findings: Blunting of the left costophrenic angle with a meniscus, in keeping with a moderate pleural effusion. ' +
          'The heart is of normal size. No pneumothorax.\nImpression: Left pleural effusion.',
        modality: seriesId === 'chest-pa' ? 'DX' : 'CT',
        synthetic: true,
      })),
      library: 'demo library',
      library_size: 240,
      provenance: this.provenance(),
    }
  }

  async caseImage(caseId: string): Promise<ArrayBuffer> {
    this.note('caseImage', caseId)
    return this.thumbnail(caseId.startsWith('chest') ? 'chest-pa' : 'head-axial')
  }
}
