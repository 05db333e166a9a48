//! The report of a run: what was trained, and how good it is. It lies beside the adapter.

use std::collections::BTreeSet;

use lucency_train::finetune::{Evaluation, FeatureSet, Gate, Method, ProbeChoice, Recalibration};
use serde::{Deserialize, Serialize};

use super::forgotten::ForgottenTask;
use super::pairs::PairsReport;
use crate::dto::ClassCount;

/// What was trained and how good it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrainReport {
    /// The adapter.
    pub adapter: String,
    /// How it was made.
    pub method: Method,
    /// Name of the pack.
    pub pack: String,
    /// Cases trained on, those that chose the step among them.
    pub trained_cases: usize,
    /// Their patients.
    pub trained_patients: usize,
    /// Their rows in the table, ascending; none of a report that was read back.
    #[serde(skip)]
    pub trained_rows: Option<BTreeSet<usize>>,
    /// Cases and patients of each class in the table.
    pub labels: Vec<ClassCount>,
    /// What a probe reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<FeatureSet>,
    /// Its strength.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
    /// What each feature set gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<ProbeChoice>,
    /// Steps of a run by gradients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// How the figures below were had.
    pub judged_on: String,
    /// Before and after; none if no case was left out.
    #[serde(flatten)]
    pub evaluation: Option<Evaluation>,
    /// What recalibration was worth on the judged cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalibration: Option<Recalibration>,
    /// After contrastive training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<PairsReport>,
    /// What its towers no longer know of the demo cases; nothing of a method that leaves the towers alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<ForgottenTask>,
    /// Whether it may go live.
    pub gate: Gate,
}
