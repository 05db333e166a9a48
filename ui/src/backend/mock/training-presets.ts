/** The choices of method, as the application words them. */

import type { TrainingMethod, TrainingOptions, TrainingPreset } from '../types'

/** Numbers of which none is set. */
export const NO_OPTIONS: TrainingOptions = {
  epochs: null,
  batch: null,
  rate: null,
  rank: null,
  alpha: null,
  tokens: null,
  frozen_blocks: null,
  locked_images: null,
  seed: null,
  checkpointing: null,
  calibration: null,
  precision: null,
}

function preset(
  id: string,
  title: string,
  description: string,
  method: TrainingMethod,
  options: Partial<TrainingOptions>,
): TrainingPreset {
  return {
    id,
    title,
    description,
    method,
    needs: method === 'contrastive' ? 'reports' : 'labels',
    recommended: ['few_labels', 'hundreds', 'reports'].includes(id),
    options: { ...NO_OPTIONS, ...options },
  }
}

/** Some of the application's. */
export const PRESETS: TrainingPreset[] = [
  preset(
    'few_labels',
    'Few labels: probe',
    'Learns from what the model already sees. Seconds, and hard to spoil. Begin here.',
    'probe',
    { seed: 0 },
  ),
  preset(
    'hundreds',
    'Hundreds: LoRA',
    'Small updates of every layer. For some hundred labelled cases of many patients.',
    'lora',
    { epochs: 20, batch: 16, rate: 0.001, rank: 8, alpha: 16, seed: 0, checkpointing: false },
  ),
  preset(
    'reports',
    'Reports: linear heads',
    'Learns which words of your reports go with which texture of images, for search. Seconds; the towers stay as they are.',
    'contrastive',
    { seed: 0 },
  ),
  preset(
    'text_tower',
    'Reports: text tower',
    'Contrastive training of the text tower. For thousands of reports. The image tower stays as it is.',
    'contrastive',
    { epochs: 40, batch: 64, rate: 0.001, frozen_blocks: 0, locked_images: true, seed: 0, checkpointing: false },
  ),
  preset(
    'prompt',
    'Words: prompt context',
    'Learns a few vectors before the class names. The towers stay as they are.',
    'prompt',
    { epochs: 20, batch: 32, rate: 0.002, tokens: 8, seed: 0, checkpointing: false },
  ),
  preset(
    'full',
    'All weights',
    'Changes the whole model. For thousands of cases; slow, and it forgets the most.',
    'full',
    { epochs: 10, batch: 16, rate: 0.00001, frozen_blocks: 0, seed: 0, checkpointing: false },
  ),
]
