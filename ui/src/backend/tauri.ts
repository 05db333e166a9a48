import { Channel, invoke, type InvokeArgs } from '@tauri-apps/api/core'
import { listen } from '@tauri-apps/api/event'
import { getCurrentWebview } from '@tauri-apps/api/webview'
import { open } from '@tauri-apps/plugin-dialog'
import { type Backend, BackendError, type OnProgress } from './backend'
import type { ProgressDto } from './types'

async function call<T>(command: string, args?: InvokeArgs): Promise<T> {
  try {
    return await invoke<T>(command, args)
  } catch (reason) {
    throw BackendError.from(reason)
  }
}

/** Bytes, whichever way the web view delivered them. */
async function callBytes(command: string, args?: InvokeArgs): Promise<ArrayBuffer> {
  const reply = await call<ArrayBuffer | Uint8Array | number[]>(command, args)
  if (reply instanceof ArrayBuffer) return reply
  return Uint8Array.from(reply).buffer
}

function channel(onProgress: OnProgress): Channel<ProgressDto> {
  const progress = new Channel<ProgressDto>()
  progress.onmessage = onProgress
  return progress
}

/** The application behind the window, through the shell. */
export const tauriBackend: Backend = {
  appInfo: () => call('app_info'),
  openPaths: (jobId, paths, onProgress) => call('open_paths', { jobId, paths, onProgress: channel(onProgress) }),
  openDemo: (jobId, onProgress) => call('open_demo', { jobId, onProgress: channel(onProgress) }),
  closeStudy: (studyId) => call('close_study', { studyId }),
  frameInfo: (seriesId, index) => call('frame_info', { seriesId, index }),
  framePixels: (seriesId, index) => callBytes('frame_pixels', { seriesId, index }),
  thumbnail: (seriesId) => callBytes('thumbnail', { seriesId }),
  tags: (seriesId, index) => call('tags', { seriesId, index }),
  ask: (jobId, seriesId, index, question, onProgress) =>
    call('ask', { jobId, seriesId, index, question, onProgress: channel(onProgress) }),
  suggest: (seriesId, index) => call('suggest', { seriesId, index }),
  findings: (jobId, seriesId, index, onProgress) =>
    call('findings', { jobId, seriesId, index, onProgress: channel(onProgress) }),
  similar: (jobId, seriesId, index, k, onProgress) =>
    call('similar', { jobId, seriesId, index, k, onProgress: channel(onProgress) }),
  caseImage: (caseId) => callBytes('case_image', { caseId }),
  caseOpen: (jobId, caseId, onProgress) => call('case_open', { jobId, caseId, onProgress: channel(onProgress) }),
  packs: () => call('packs'),
  selectPack: (name) => call('select_pack', { name }),
  computing: () => call('computing'),
  computingChoose: (choice) => call('computing_choose', { choice }),
  checkRawPath: async (bytes) => {
    const reply = await call<unknown>('check_raw_path', { bytes })
    if (!(reply instanceof ArrayBuffer))
      throw new BackendError('raw_path', 'Pixels arrive as text instead of raw bytes; the viewer will be slow.')
    return reply
  },
  cancel: (jobId) => call('cancel', { jobId }),

  libraryStatus: () => call('library_status'),
  libraryFormats: () => call('library_formats'),
  libraryPreview: (request) => call('library_preview', { request }),
  libraryImport: (jobId, request, onProgress) =>
    call('library_import', { jobId, request, onProgress: channel(onProgress) }),
  libraryEmbed: (jobId, onProgress) => call('library_embed', { jobId, onProgress: channel(onProgress) }),
  librarySearch: (jobId, query, onProgress) =>
    call('library_search', { jobId, query, onProgress: channel(onProgress) }),
  librarySimilar: (jobId, seriesId, index, query, onProgress) =>
    call('library_similar', { jobId, seriesId, index, query, onProgress: channel(onProgress) }),
  libraryCase: (caseId) => call('library_case', { caseId }),
  libraryImage: (caseId, image, side) => callBytes('library_image', { caseId, image, side }),
  libraryOpen: (jobId, caseId, onProgress) => call('library_open', { jobId, caseId, onProgress: channel(onProgress) }),
  libraryDelete: (caseIds) => call('library_delete', { caseIds }),

  labelSets: () => call('label_sets'),
  labelSetKeep: (set) => call('label_set_keep', { set }),
  labelSetForget: (name) => call('label_set_forget', { name }),
  labelCaseOf: (seriesId, index) => call('label_case_of', { seriesId, index }),
  labelCase: (caseId, ask) => call('label_case', { caseId, ask }),
  labelGive: (caseId, ask, wanted) => call('label_give', { caseId, ask, wanted }),
  labelUndo: (ask) => call('label_undo', { ask }),
  labelRedo: (ask) => call('label_redo', { ask }),
  labelProgress: (ask) => call('label_progress', { ask }),
  labelNext: (jobId, request, onProgress) => call('label_next', { jobId, request, onProgress: channel(onProgress) }),
  labelAgreement: (set, first, second) => call('label_agreement', { set, first, second }),

  trainingPresets: () => call('training_presets'),
  trainingTable: (path) => call('training_table', { path }),
  trainingLibrary: (conditions, columns) => call('training_library', { conditions, columns }),
  trainingPreview: (jobId, data, pack, onProgress) =>
    call('training_preview', { jobId, data, pack, onProgress: channel(onProgress) }),
  trainingEstimate: (jobId, request, onProgress) =>
    call('training_estimate', { jobId, request, onProgress: channel(onProgress) }),
  trainingStart: (request) => call('training_start', { request }),
  trainingRuns: () => call('training_runs'),
  trainingRun: (name) => call('training_run', { name }),
  trainingPause: (name) => call('training_pause', { name }),
  trainingResume: (name) => call('training_resume', { name }),
  trainingCancel: (name) => call('training_cancel', { name }),
  trainingRemove: (name) => call('training_remove', { name }),
  trainingBusy: () => call('training_busy'),
  adapters: () => call('adapters'),
  adapterReport: (name) => call('adapter_report', { name }),
  adapterActivate: (name) => call('adapter_activate', { name }),
  adapterRollback: (pack) => call('adapter_rollback', { pack }),
  adapterRemove: (name) => call('adapter_remove', { name }),
  adapterExport: (name, path) => call('adapter_export', { name, path }),
  adapterImport: (path) => call('adapter_import', { path }),
  adapterJudge: (jobId, name, data, onProgress) =>
    call('adapter_judge', { jobId, name, data, onProgress: channel(onProgress) }),
  adapterImage: (name, index) => callBytes('adapter_image', { name, index }),

  choosePaths: async (choice) => {
    const chosen = await open({ multiple: choice === 'files', directory: choice === 'folder' })
    if (chosen === null) return []
    return typeof chosen === 'string' ? [chosen] : chosen
  },
  onOpenFiles: (handler) => listen<{ paths: string[] }>('open-files', (event) => handler(event.payload.paths)),
  onDrop: (handler) =>
    getCurrentWebview().onDragDropEvent(({ payload }) => {
      if (payload.type === 'drop') handler({ kind: 'drop', paths: payload.paths })
      else if (payload.type === 'leave') handler({ kind: 'leave' })
      else handler({ kind: 'over' })
    }),
}
