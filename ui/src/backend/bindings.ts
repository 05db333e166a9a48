// Generated from the Rust types: `LUCENCY_WRITE_BINDINGS=1 cargo test -p lucency-assistant bindings`.
// Do not edit.

export type Provenance = { app_version: string, pack_name: string, pack_hash: string, pixel_hash: string, frame: number, preprocessing: string, created: string, elapsed_ms: number, };

export type RegionDto = { x: number, y: number, width: number, height: number, };

export type HeatMap = { rows: number, columns: number, values: Array<number>, region: RegionDto, };

export type Alternative = { answer: string, confidence: number, };

export type Answer = { question: string, answer: string, confidence: number, abstained: boolean, threshold: number, alternatives: Array<Alternative>, image_made_no_difference: boolean, blank_answer: string, blank_confidence: number, heat_map: HeatMap | null, provenance: Provenance, };

export type FindingScore = { label: string, score: number, present: boolean, operating_point: number, };

export type Findings = { label_set: string, findings: Array<FindingScore>, calibrated: boolean, note: string, provenance: Provenance, };

export type SimilarCase = { case_id: string, score: number, labels: Array<string>, report: string, modality: string, synthetic: boolean, };

export type SimilarCases = { cases: Array<SimilarCase>, library: string, library_size: number, provenance: Provenance, };

export type FigureDto = { measure: string, value: number, data: string, };

export type PackSummary = { name: string, title: string, version: string, hash: string, licence: string, intended_use: string, bundled: boolean, answers: boolean, figures: Array<FigureDto>, };

export type ErrorDto = { code: string, message: string, };

export type ProgressDto = { stage: string, done: number, total: number, message: string | null, eta_s: number | null, };

export type AppInfo = { version: string, pack: PackSummary | null, pack_error: ErrorDto | null, demo_available: boolean, research_notice: string, startup_paths: Array<string>, startup_demo: boolean, };

export type SeriesDto = { id: string, modality: string, description: string, body_part: string, view: string, frames: number, };

export type StudyDto = { id: string, patient_name: string, patient_id: string, sex: string, age: string, date: string, description: string, synthetic: boolean, series: Array<SeriesDto>, };

export type RejectedDto = { path: string, code: string, message: string, };

export type OpenReportDto = { studies: Array<StudyDto>, rejected: Array<RejectedDto>, cancelled: boolean, };

export type WindowFunctionDto = "LINEAR" | "LINEAR_EXACT" | "SIGMOID";

export type WindowDto = { center: number, width: number, function: WindowFunctionDto, };

export type ModalityDto = { "kind": "identity" } | { "kind": "rescale", slope: number, intercept: number, } | { "kind": "lut", first: number, values: Array<number>, };

export type VoiDto = { "kind": "window", center: number, width: number, function: WindowFunctionDto, label: string, } | { "kind": "lut", first: number, values: Array<number>, bits: number, label: string, };

export type ValueKindDto = "u8" | "i8" | "u16" | "i16" | "u32" | "i32" | "f32" | "f64";

export type SpacingKindDto = "calibrated" | "at_detector";

export type SpacingDto = { row_mm: number, column_mm: number, kind: SpacingKindDto, };

export type FrameInfo = { rows: number, columns: number, samples: number, kind: ValueKindDto, photometric: string, modality: ModalityDto, voi: Array<VoiDto>, default_window: WindowDto, default_is_lut: boolean, inverted: boolean, spacing: SpacingDto | null, padding: number | null, instance_number: number, position_mm: number | null, orientation: Array<number> | null, frame: number, pixel_hash: string, };

export type TagNode = { tag: string, vr: string, name: string, value: string, children: Array<TagNode>, };
