//! Adapters: what runs left, how good they are, and which is in use.
//!
//! The window's commands, with arguments as the window writes them:
//!
//! - `adapters()` → [`AdapterSummary`] list, newest first
//! - `adapter_report(name)` → [`AdapterReport`]
//! - `adapter_activate(name)` → [`AdapterSummary`]: errors with `gate_refused` and the reasons if it may not go live; findings and similar
//!   cases use it from then on
//! - `adapter_rollback(pack)` → [`AdapterSummary`] or null: the adapter before, or the pack itself, is in use again
//! - `adapter_remove(name)`: errors with `adapter_active` while it is in use
//! - `adapter_export(name, path)`: writes one folder that another workstation can import
//! - `adapter_import(path)` → [`AdapterSummary`]
//! - `adapter_judge(jobId, name, data, onProgress)` → [`AdapterReport`]: judges an adapter that has no report on cases of this site and keeps
//!   the verdict with it; a job that can be cancelled, after which nothing has changed
//! - `adapter_image(name, index)` → PNG bytes of `worst[index]`; its `path` can be given to `open_paths`

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{ClassCount, TrainingMethod};

/// An adapter, for a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct AdapterSummary {
    /// Its name.
    pub name: String,
    /// How it was made.
    pub method: TrainingMethod,
    /// The pack that it stands on.
    pub pack: String,
    /// Hash of that pack.
    pub pack_hash: String,
    /// False if that pack is not installed, or has changed since.
    pub fits: bool,
    /// True if it is in use.
    pub active: bool,
    /// When it was made, RFC 3339, UTC; empty for adapters of earlier versions.
    pub created: String,
    /// The user's remark.
    pub notes: String,
    /// Classes or findings; none after contrastive training.
    pub classes: Vec<String>,
    /// Cases trained on.
    pub cases: usize,
    /// Their patients.
    pub patients: usize,
    /// True if it has a report with figures: of training, or a later verdict.
    #[serde(default)]
    pub judged: bool,
    /// What the gate looked at: `auroc` or `recall@5`.
    pub metric: String,
    /// Its value with the adapter; none if there is no report.
    pub value: Option<f64>,
    /// Its value with the pack alone.
    pub base_value: Option<f64>,
    /// True if it may go live.
    pub passes: bool,
    /// Why it may not.
    pub reasons: Vec<String>,
    /// What should be known before it goes live, such as what its towers forgot.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Bytes of its folder.
    pub bytes: u64,
}

/// A figure with its 95 % interval over patients; none where these cases give no value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct FigureInterval {
    /// The value.
    pub value: Option<f64>,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// The figures of one class on one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct ClassFigures {
    /// Area under the ROC curve, one class against the rest.
    pub auroc: FigureInterval,
    /// Average precision.
    pub auprc: Option<f64>,
    /// Sensitivity at a specificity of 0.9.
    pub sensitivity_at_90_specificity: Option<f64>,
    /// Calibration error.
    pub ece: f64,
    /// Brier score.
    pub brier: f64,
}

/// A task of the demo cases, before and after: what an adapter's towers no longer know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ForgottenRow {
    /// What was asked.
    pub name: String,
    /// `auroc`, `accuracy` or `recall@5`.
    pub measure: String,
    /// Cases.
    pub cases: usize,
    /// The pack alone.
    pub before: f64,
    /// With the adapter.
    pub after: f64,
    /// 95 % interval of the change.
    pub low: Option<f64>,
    /// See `low`.
    pub high: Option<f64>,
    /// True if the whole interval lies below zero.
    pub forgotten: bool,
}

/// One line of the before/after table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ReportRow {
    /// The class or finding, or `macro` in the last row.
    pub name: String,
    /// Judged cases whose label is known; in the last row all.
    pub n: usize,
    /// Those that have it.
    pub positives: usize,
    /// With the adapter.
    pub after: ClassFigures,
    /// The pack alone.
    pub before: ClassFigures,
    /// Two-sided p of DeLong's test.
    pub delong_p: Option<f64>,
}

/// A point of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct PlotPoint {
    /// 1 − specificity, or the mean probability of a bin.
    pub x: f64,
    /// Sensitivity, or the share of a bin's cases that have the class.
    pub y: f64,
}

/// Plots of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ClassPlots {
    /// The class or finding.
    pub name: String,
    /// ROC curve with the adapter, from (0, 0) to (1, 1).
    pub roc_after: Vec<PlotPoint>,
    /// ROC curve of the pack alone.
    pub roc_before: Vec<PlotPoint>,
    /// Reliability with the adapter, one point a bin that has cases.
    pub reliability_after: Vec<PlotPoint>,
    /// Reliability of the pack alone.
    pub reliability_before: Vec<PlotPoint>,
}

/// Cases by true and by likeliest class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ConfusionTable {
    /// Order of rows and columns.
    pub classes: Vec<String>,
    /// Rows are true classes, columns the likeliest ones with the adapter.
    pub after: Vec<Vec<usize>>,
    /// The same of the pack alone.
    pub before: Vec<Vec<usize>>,
}

/// A judged case that the adapter gets wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct WorstCase {
    /// The image's file; may be gone since.
    pub path: String,
    /// What is true, such as `edema` or `no edema`.
    pub truth: String,
    /// What was said instead.
    pub said: String,
    /// Its probability.
    pub probability: f64,
}

/// Retrieval in one direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RecallRow {
    /// `image to report` or `report to image`.
    pub direction: String,
    /// Among how many nearest.
    pub k: usize,
    /// With the adapter.
    pub after: FigureInterval,
    /// The pack alone.
    pub before: FigureInterval,
}

/// Calibration error and Brier score before and after recalibration, on judged cases, means over the classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RecalibrationRow {
    /// `standard`, `temperature`, `platt` or `isotonic`.
    pub method: String,
    /// Cases that it was fitted on; none if nothing says how many.
    pub cases: Option<usize>,
    /// Calibration error without it.
    pub ece_before: f64,
    /// Calibration error with it.
    pub ece_after: f64,
    /// Brier score without it.
    pub brier_before: f64,
    /// Brier score with it.
    pub brier_after: f64,
}

/// How good an adapter is, beside its pack, on the same cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct AdapterReport {
    /// The adapter.
    pub adapter: AdapterSummary,
    /// How the judged cases were had, in words.
    pub judged_on: String,
    /// Judged cases.
    pub cases: usize,
    /// Their patients.
    pub patients: usize,
    /// Cases and patients of each class among those trained on.
    pub trained: Vec<ClassCount>,
    /// Before and after; empty after contrastive training.
    pub rows: Vec<ReportRow>,
    /// Difference of the gate's metric, after minus before.
    pub gain: FigureInterval,
    /// Share of cases whose likeliest class is theirs, after; exclusive classes alone.
    pub accuracy: Option<f64>,
    /// The same before.
    pub base_accuracy: Option<f64>,
    /// What recalibration was worth; none of an adapter without calibration.
    #[serde(default)]
    pub recalibration: Option<RecalibrationRow>,
    /// Plots of each class.
    pub plots: Vec<ClassPlots>,
    /// Exclusive classes alone.
    pub confusion: Option<ConfusionTable>,
    /// At most 12, worst first.
    pub worst: Vec<WorstCase>,
    /// Recall after contrastive training; else empty.
    pub retrieval: Vec<RecallRow>,
    /// What its towers no longer know of the demo cases; empty for a method that leaves them alone.
    #[serde(default)]
    pub forgotten: Vec<ForgottenRow>,
}
