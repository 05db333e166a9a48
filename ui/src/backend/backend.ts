import type {
  AdapterReport,
  AdapterSummary,
  Answer,
  AppInfo,
  ComputingChoice,
  ComputingOverview,
  EmbedOutcome,
  Findings,
  FrameInfo,
  ImportFormat,
  ImportOutcome,
  ImportPreview,
  ImportRequest,
  LabelAgreement,
  LabelAsk,
  LabelledCase,
  LabelNext,
  LabelNextRequest,
  LabelProgress,
  LabelSetDto,
  LabelWanted,
  LibraryCase,
  LibraryDeleted,
  LibraryHits,
  LibraryQuery,
  LibraryStatus,
  OpenReportDto,
  PackSummary,
  ProgressDto,
  SimilarCases,
  Suggestions,
  TagNode,
  TrainingData,
  TrainingEstimate,
  TrainingPreset,
  TrainingPreview,
  TrainingRequest,
  TrainingRun,
  TrainingRunDetail,
  TrainingTable,
} from './types'

/** Called while a long job runs. */
export type OnProgress = (progress: ProgressDto) => void

/** Undoes a subscription. */
export type Unsubscribe = () => void

/** What happens to files that are dragged over the window. */
export type DropEvent = { kind: 'over' } | { kind: 'leave' } | { kind: 'drop'; paths: string[] }

/** What a file dialog may choose. */
export type DialogChoice = 'file' | 'files' | 'folder'

/**
 * Everything that the window asks of the application behind it.
 *
 * Every method rejects with a {@link BackendError}. Series frames are counted from 0.
 */
export interface Backend {
  appInfo(): Promise<AppInfo>
  openPaths(jobId: string, paths: string[], onProgress: OnProgress): Promise<OpenReportDto>
  openDemo(jobId: string, onProgress: OnProgress): Promise<OpenReportDto>
  closeStudy(studyId: string): Promise<void>
  frameInfo(seriesId: string, index: number): Promise<FrameInfo>
  /** Stored values: little endian, row by row, samples interleaved; colour frames are RGB, 8 bit. */
  framePixels(seriesId: string, index: number): Promise<ArrayBuffer>
  /** A PNG file. */
  thumbnail(seriesId: string): Promise<ArrayBuffer>
  tags(seriesId: string, index: number): Promise<TagNode[]>
  ask(jobId: string, seriesId: string, index: number, question: string, onProgress: OnProgress): Promise<Answer>
  /** Questions that fit what a frame shows. */
  suggest(seriesId: string, index: number): Promise<Suggestions>
  findings(jobId: string, seriesId: string, index: number, onProgress: OnProgress): Promise<Findings>
  similar(jobId: string, seriesId: string, index: number, k: number, onProgress: OnProgress): Promise<SimilarCases>
  /** A PNG file. */
  caseImage(caseId: string): Promise<ArrayBuffer>
  /** Opens the image of a case as a study. */
  caseOpen(jobId: string, caseId: string, onProgress: OnProgress): Promise<OpenReportDto>
  packs(): Promise<PackSummary[]>
  selectPack(name: string): Promise<PackSummary>
  /** The device that networks compute on, and those that can be chosen. */
  computing(): Promise<ComputingOverview>
  /** Takes another device, tested first; the one before it stays in use if that fails. */
  computingChoose(choice: ComputingChoice): Promise<ComputingOverview>
  /** `bytes` bytes, byte i is i % 251: shows that pixels can travel as they are. */
  checkRawPath(bytes: number): Promise<ArrayBuffer>
  cancel(jobId: string): Promise<void>

  /** How much the department's case library holds. */
  libraryStatus(): Promise<LibraryStatus>
  /** The layouts that can be imported. */
  libraryFormats(): Promise<ImportFormat[]>
  /** What an import would do; writes nothing. */
  libraryPreview(request: ImportRequest): Promise<ImportPreview>
  /** Cancelling pauses: what was taken stays, and the same request goes on where it was. */
  libraryImport(jobId: string, request: ImportRequest, onProgress: OnProgress): Promise<ImportOutcome>
  /** Embeds what the current pack has not embedded yet. Cancelling pauses: what was embedded stays. */
  libraryEmbed(jobId: string, onProgress: OnProgress): Promise<EmbedOutcome>
  librarySearch(jobId: string, query: LibraryQuery, onProgress: OnProgress): Promise<LibraryHits>
  librarySimilar(
    jobId: string,
    seriesId: string,
    index: number,
    query: LibraryQuery,
    onProgress: OnProgress,
  ): Promise<LibraryHits>
  libraryCase(caseId: string): Promise<LibraryCase>
  /** A PNG file of a case's image, counted from 0, whose longer side is at most `side` pixels. */
  libraryImage(caseId: string, image: number, side: number): Promise<ArrayBuffer>
  /** Opens the images of a case as a study. */
  libraryOpen(jobId: string, caseId: string, onProgress: OnProgress): Promise<OpenReportDto>
  /** Deletes cases and every trace of them, but for what adapters learned, which it names. */
  libraryDelete(caseIds: string[]): Promise<LibraryDeleted>

  /** Sets of labels, by name. */
  labelSets(): Promise<LabelSetDto[]>
  /** Keeps a set in place of an earlier one of its name. Returns all. */
  labelSetKeep(set: LabelSetDto): Promise<LabelSetDto[]>
  /** Forgets a set; labels that were given stay. Returns the others. */
  labelSetForget(name: string): Promise<LabelSetDto[]>
  /** The library's case with the image file of a frame; null if the library does not have it. */
  labelCaseOf(seriesId: string, index: number): Promise<string | null>
  labelCase(caseId: string, ask: LabelAsk): Promise<LabelledCase>
  labelGive(caseId: string, ask: LabelAsk, wanted: LabelWanted[]): Promise<LabelledCase>
  /** Takes back what the reader did last; null if there is nothing. */
  labelUndo(ask: LabelAsk): Promise<LabelledCase | null>
  labelRedo(ask: LabelAsk): Promise<LabelledCase | null>
  labelProgress(ask: LabelAsk): Promise<LabelProgress>
  labelNext(jobId: string, request: LabelNextRequest, onProgress: OnProgress): Promise<LabelNext>
  labelAgreement(set: string, first: string, second: string): Promise<LabelAgreement>

  /** The choices of method, in the order in which they are offered. */
  trainingPresets(): Promise<TrainingPreset[]>
  /** A table's columns, and which is probably what. */
  trainingTable(path: string): Promise<TrainingTable>
  /**
   * Cases of the department's library, as a table that the other commands take.
   *
   * - `conditions`: `KEY=VALUE`, all of which are met; `all` for every case
   * - `columns`: empty for a case's one label, `label=A+B` for labels as findings
   */
  trainingLibrary(conditions: string[], columns: string): Promise<TrainingData>
  /** What a table holds and what speaks against training on it; reads every image. */
  trainingPreview(
    jobId: string,
    data: TrainingData,
    pack: string | null,
    onProgress: OnProgress,
  ): Promise<TrainingPreview>
  /** What a run would cost, from some measured steps. */
  trainingEstimate(jobId: string, request: TrainingRequest, onProgress: OnProgress): Promise<TrainingEstimate>
  /** Returns at once; the run goes on in the background. */
  trainingStart(request: TrainingRequest): Promise<TrainingRun>
  /** Newest first. */
  trainingRuns(): Promise<TrainingRun[]>
  trainingRun(name: string): Promise<TrainingRunDetail>
  /** The change shows within a step. */
  trainingPause(name: string): Promise<TrainingRun>
  trainingResume(name: string): Promise<TrainingRun>
  /** Ends a run for good. */
  trainingCancel(name: string): Promise<TrainingRun>
  /** Deletes a run that is not running; its adapter stays. */
  trainingRemove(name: string): Promise<void>
  /** The reader is at work: training rests for the next second. */
  trainingBusy(): Promise<void>
  /** Newest first. */
  adapters(): Promise<AdapterSummary[]>
  adapterReport(name: string): Promise<AdapterReport>
  /** Rejects with `gate_refused` and the reasons if the adapter may not go live. */
  adapterActivate(name: string): Promise<AdapterSummary>
  /** Back to the adapter before, or to the pack alone (null). */
  adapterRollback(pack: string | null): Promise<AdapterSummary | null>
  adapterRemove(name: string): Promise<void>
  /** Writes a folder that must not be there yet. */
  adapterExport(name: string, path: string): Promise<void>
  adapterImport(path: string): Promise<AdapterSummary>
  /** Judges an adapter without a report on cases of this site and keeps the verdict with it; nothing changes if it is cancelled. */
  adapterJudge(jobId: string, name: string, data: TrainingData, onProgress: OnProgress): Promise<AdapterReport>
  /** A PNG file of one of a report's worst errors. */
  adapterImage(name: string, index: number): Promise<ArrayBuffer>

  /** Asks the user for paths; empty if none was chosen. */
  choosePaths(choice: DialogChoice): Promise<string[]>
  /** Another start of the application passes its files on. */
  onOpenFiles(handler: (paths: string[]) => void): Promise<Unsubscribe>
  onDrop(handler: (event: DropEvent) => void): Promise<Unsubscribe>
}

/** A failure with a stable word for its cause. */
export class BackendError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.name = 'BackendError'
    this.code = code
  }

  /** True when the user stopped the job: an outcome, not a failure. */
  get cancelled(): boolean {
    return this.code === 'cancelled'
  }

  /** Makes a failure of whatever was thrown. */
  static from(reason: unknown): BackendError {
    if (reason instanceof BackendError) return reason
    if (typeof reason === 'object' && reason !== null) {
      const { code, message } = reason as { code?: unknown; message?: unknown }
      if (typeof message === 'string') return new BackendError(typeof code === 'string' ? code : 'internal', message)
    }
    return new BackendError('internal', String(reason))
  }
}
