//! Fine-tuning on a site's own cases: what is asked for, and how a run goes.
//!
//! A run is named by its user; its folder outlives the window. The window's commands, with arguments as the window writes them:
//!
//! - `training_presets()` → [`TrainingPreset`] list, in the order in which they are offered
//! - `training_table(path)` → [`TrainingTable`]: a table's columns, and which is probably what
//! - `training_library(conditions, columns)` → [`TrainingData`]: cases of the department's library that meet every `KEY=VALUE` condition, or
//!   `all`, `reader=NAME` for one reader's labels; `columns` is empty (a case's one label), `label=A+B` (its labels as findings) or `label=view`
//! - `training_preview(jobId, data, pack, onProgress)` → [`TrainingPreview`]: reads every image; a job that can be cancelled
//! - `training_estimate(jobId, request, onProgress)` → [`TrainingEstimate`]: some measured steps; a job that can be cancelled
//! - `training_start(request)` → [`TrainingRun`]: returns at once, the run goes on in the background
//! - `training_runs()` → [`TrainingRun`] list, newest first; `training_run(name)` → [`TrainingRunDetail`]; ask every second or so
//! - `training_pause(name)`, `training_resume(name)`, `training_cancel(name)` → [`TrainingRun`]; the change shows within a step
//! - `training_remove(name)`: deletes the folder of a run that is not running; its adapter stays
//! - `training_busy()`: tell it while the reader scrolls; training rests for the next second
//!
//! Those of adapters stand in `adapters.rs`.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::ErrorDto;

/// How a pack is adapted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum TrainingMethod {
    /// Logistic regression on frozen features: seconds.
    Probe,
    /// Low-rank updates of layers.
    Lora,
    /// Learned scales.
    Ia3,
    /// Learned keys and values before every block's own.
    Prefix,
    /// Learned context vectors before class names.
    Prompt,
    /// All weights.
    Full,
    /// All weights, on pairs of an image and its report.
    Contrastive,
}

/// What a method learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum TrainingNeed {
    /// A label column.
    Labels,
    /// A report column.
    Reports,
}

/// A choice that fits a situation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct TrainingPreset {
    /// Stable word, such as `few_labels`; goes into [`TrainingRequest::preset`].
    pub id: String,
    /// For people, such as "Few labels: probe".
    pub title: String,
    /// When to take it: a sentence or two.
    pub description: String,
    /// What it trains.
    pub method: TrainingMethod,
    /// What it learns from.
    pub needs: TrainingNeed,
    /// True for the first choice; the others are for those who know why.
    pub recommended: bool,
    /// Its numbers.
    pub options: TrainingOptions,
}

/// Numbers that may be changed; what is none is the preset's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingOptions {
    /// Passes over the training cases.
    pub epochs: Option<u64>,
    /// Cases a step.
    pub batch: Option<usize>,
    /// Highest learning rate.
    pub rate: Option<f64>,
    /// Rank of low-rank updates.
    pub rank: Option<usize>,
    /// Numerator of their scale.
    pub alpha: Option<f64>,
    /// Virtual tokens of a prefix or a prompt.
    pub tokens: Option<usize>,
    /// First blocks of each tower that stay as they are.
    pub frozen_blocks: Option<usize>,
    /// Whether the image tower stays as it is while the text tower learns to fit it, for contrastive training.
    pub locked_images: Option<bool>,
    /// Seed of division, batches and views.
    pub seed: Option<u64>,
    /// Whether blocks are computed again in the backward pass: less memory, longer steps. Not of a probe.
    pub checkpointing: Option<bool>,
    /// How logits become probabilities; none for a temperature and an offset a class, or Platt scaling of findings.
    pub calibration: Option<CalibrationMethod>,
    /// Types of numbers; none for f32.
    pub precision: Option<TrainingPrecision>,
}

/// In which types of numbers a run keeps weights and computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum TrainingPrecision {
    /// Everything in f32.
    F32,
    /// Weights and activations in bf16; on a graphics processor alone.
    Bf16,
    /// Activations in bf16, trained weights in f32; on a graphics processor alone.
    Mixed,
}

/// How logits become probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationMethod {
    /// One temperature.
    Temperature,
    /// A sigmoid for each class or finding.
    Platt,
    /// Isotonic regression for each class or finding.
    Isotonic,
}

/// Which columns of a table say what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingColumns {
    /// Path of the image below the folder.
    pub image: String,
    /// Key of the patient; without it every image counts as a patient of its own.
    pub patient: Option<String>,
    /// Report text.
    pub report: Option<String>,
    /// One column of class names, or one column of 1, 0, -1 and nothing for each finding.
    pub labels: Vec<String>,
    /// `train`, `validation` or `test`; without it cases are divided by patient.
    pub split: Option<String>,
}

/// A table as it was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct TrainingTable {
    /// Its columns.
    pub columns: Vec<String>,
    /// Rows below the header.
    pub rows: usize,
    /// Which is probably what; an empty `image` if none looks like it.
    pub guess: TrainingColumns,
}

/// Cases: a folder of images and the table that describes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct TrainingData {
    /// Folder with the images.
    pub folder: String,
    /// Path of the CSV file.
    pub table: String,
    /// What its columns are.
    pub columns: TrainingColumns,
    /// Labels that are read as another one: from, to.
    #[serde(default)]
    pub renamed: Vec<(String, String)>,
    /// Cases of the library that are not in the table, since readers differ on their labels.
    #[serde(default)]
    pub left_out: usize,
}

/// A class with its cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ClassCount {
    /// The class or finding.
    pub name: String,
    /// Cases that have it.
    pub cases: usize,
    /// Patients that have it.
    pub patients: usize,
}

/// What speaks against training on a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct TrainingProblem {
    /// Stable word for the cause, such as `contradictory_labels`.
    pub code: String,
    /// What, which row, and what to do; never a patient.
    pub message: String,
    /// False for a warning.
    pub blocking: bool,
}

/// What a table holds, before anything is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct TrainingPreview {
    /// Rows of the table.
    pub cases: usize,
    /// Patients; copies of one film count as one patient's.
    pub patients: usize,
    /// True if the table says who the patients are.
    pub patients_known: bool,
    /// True if classes exclude each other; false for findings.
    pub exclusive: bool,
    /// Cases and patients of each class.
    pub classes: Vec<ClassCount>,
    /// Cases without a label.
    pub unlabelled: usize,
    /// Cases with a report.
    pub reports: usize,
    /// What speaks against it; training is possible if none blocks.
    pub problems: Vec<TrainingProblem>,
}

/// A run that is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct TrainingRequest {
    /// Name of the run and of its adapter: up to 64 letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Identifier of a preset.
    pub preset: String,
    /// The cases.
    pub data: TrainingData,
    /// Name of the pack; none for the default one.
    pub pack: Option<String>,
    /// Numbers other than the preset's.
    #[serde(default)]
    pub options: TrainingOptions,
    /// Cores at most; none for half of them.
    pub cores: Option<usize>,
    /// A remark that is kept with the adapter.
    #[serde(default)]
    pub notes: String,
}

/// What a run will cost, from measured steps on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct TrainingEstimate {
    /// Steps in all.
    pub steps: u64,
    /// Seconds of one step.
    pub step_s: f64,
    /// Seconds of the whole run.
    pub total_s: f64,
    /// Memory above what the application has now, MiB.
    pub memory_mib: f64,
    /// Bytes that the run's folder will take at most.
    pub disk_bytes: u64,
}

/// How a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum TrainingState {
    /// It works.
    Running,
    /// It was paused, or its program was closed or killed; it can be resumed.
    Paused,
    /// It left an adapter.
    Finished,
    /// It stopped on an error; `error` says which. It can be resumed when the cause is gone.
    Failed,
    /// It was cancelled and will not go on.
    Cancelled,
}

/// A run, for a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct TrainingRun {
    /// Its name.
    pub name: String,
    /// What it trains.
    pub method: TrainingMethod,
    /// The preset that it began with.
    pub preset: String,
    /// The pack that it adapts.
    pub pack: String,
    /// How it is.
    pub state: TrainingState,
    /// What it is doing, such as "training" or "judging"; empty if it is not running.
    pub stage: String,
    /// Steps done, of this stage while it runs.
    pub done: u64,
    /// Steps in all; 0 if not known yet.
    pub total: u64,
    /// Seconds left.
    pub eta_s: Option<f64>,
    /// Cases a second, of the last step.
    pub cases_per_s: Option<f64>,
    /// Why it failed.
    pub error: Option<ErrorDto>,
    /// When it was asked for, RFC 3339, UTC.
    pub created: String,
    /// Cases and patients it learns from and is judged on; 0 until they were read.
    pub cases: usize,
    /// Name of the adapter that it left.
    pub adapter: Option<String>,
}

/// One step of a run's curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct CurvePoint {
    /// Step counted from 1.
    pub step: u64,
    /// Training loss.
    pub loss: f64,
    /// The figure on validation cases, where this step was judged.
    pub figure: Option<f64>,
}

/// A run with its curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct TrainingRunDetail {
    /// The run.
    pub run: TrainingRun,
    /// At most 400 points; a probe has none.
    pub curve: Vec<CurvePoint>,
    /// What [`CurvePoint::figure`] is: `auroc` or `recall@5`.
    pub figure: String,
    /// What was asked for.
    pub request: TrainingRequest,
}
