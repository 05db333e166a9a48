//! Labelling: which labels a reader gives a case, which case is next, how two readers agree.
//!
//! The window's commands, with arguments as the window writes them:
//!
//! - `label_sets()` → [`LabelSetDto`] list; `label_set_keep(set)` and `label_set_forget(name)` → the list as it is then
//! - `label_case_of(seriesId, index)` → the library's case with that image file, or none
//! - `label_case(caseId, ask)` → [`LabelledCase`]: what the reader may see of its labels
//! - `label_give(caseId, ask, wanted)` → [`LabelledCase`]; `label_undo(ask)`, `label_redo(ask)` → [`LabelledCase`] or none
//! - `label_progress(ask)` → [`LabelProgress`]
//! - `label_next(jobId, request, onProgress)` → [`LabelNext`]: a job that can be cancelled
//! - `label_agreement(set, first, second)` → [`LabelAgreement`]

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::CaseLabel;

/// Labels that are given together, on keys 1 to 9.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct LabelSetDto {
    /// Its name, unique in the library.
    pub name: String,
    /// True if exactly one of the classes holds; false for findings, each of which is present, absent or uncertain.
    pub exclusive: bool,
    /// The classes or findings, the first on key 1.
    pub classes: Vec<String>,
}

/// Who labels with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct LabelAsk {
    /// Name of the set of labels.
    pub set: String,
    /// The reader's name.
    pub reader: String,
    /// True for a reader who is to know nothing of what others, or the source, say.
    #[serde(default)]
    pub blind: bool,
}

/// A label as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct LabelWanted {
    /// One of the set's labels.
    pub name: String,
    /// 1 present, 0 absent, -1 uncertain; none takes it away.
    pub value: Option<i8>,
}

/// A case with the labels of one set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct LabelledCase {
    /// The case.
    pub case_id: String,
    /// The reader's own, in the order of the set.
    pub own: Vec<CaseLabel>,
    /// What others, and the source, say of the set's labels; nothing for a blind reader.
    pub others: Vec<CaseLabel>,
    /// True if there is something that a blind reader does not see.
    pub hidden: bool,
}

/// How often a reader gave a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct LabelCount {
    /// The label.
    pub name: String,
    /// Cases where it is present.
    pub present: usize,
    /// Cases where it is absent.
    pub absent: usize,
    /// Cases where the reader did not decide.
    pub uncertain: usize,
}

/// A reader of a set of labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct LabelReader {
    /// The reader's name.
    pub name: String,
    /// Cases with a label.
    pub cases: u64,
}

/// How far a reader has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct LabelProgress {
    /// Cases of the library with an image.
    pub cases: usize,
    /// Cases that the reader gave a label of the set.
    pub read: usize,
    /// Each label of the set.
    pub classes: Vec<LabelCount>,
    /// Everybody who gave a label of the set, the busiest first.
    pub readers: Vec<LabelReader>,
    /// True if there is something to take back.
    pub can_undo: bool,
    /// True if something was taken back that can be done again.
    pub can_redo: bool,
}

/// How the next case is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum LabelStrategy {
    /// Each case is as likely as any other.
    Random,
    /// The case on which the probabilities of all classes say least.
    #[default]
    Entropy,
    /// The case whose two likeliest classes are closest.
    Margin,
    /// The case least like everything that is labelled.
    CoreSet,
}

/// What is asked of the next case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct LabelNextRequest {
    /// Name of the set of labels.
    pub set: String,
    /// The reader's name; cases that this reader labelled are not asked for again.
    pub reader: String,
    /// How it is chosen.
    #[serde(default)]
    pub strategy: LabelStrategy,
    /// `KEY=VALUE`, as lists of the library are narrowed.
    #[serde(default)]
    pub conditions: Vec<String>,
    /// Only cases that this other reader labelled: a second reading.
    #[serde(default)]
    pub read_by: Option<String>,
    /// Cases that were passed over.
    #[serde(default)]
    pub skip: Vec<String>,
    /// Most cases to name, best first.
    #[serde(default = "one")]
    pub count: usize,
}

fn one() -> usize {
    1
}

/// What a choice rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum LabelBasis {
    /// Chance.
    Chance,
    /// A probe on the cases that the reader labelled so far.
    Probe,
    /// The pack's comparison with the words of the labels; too few cases are labelled for a probe.
    ZeroShot,
    /// Distances of embeddings.
    Embeddings,
}

/// A case that is worth a label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct LabelCandidate {
    /// The case.
    pub case_id: String,
    /// 0 to 1 for uncertainty, cosine distance for the core-set, none for chance.
    pub score: Option<f64>,
}

/// The next cases to label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct LabelNext {
    /// Best first; empty if nothing is left.
    pub cases: Vec<LabelCandidate>,
    /// What the choice rests on.
    pub basis: LabelBasis,
    /// Cases that the reader has not labelled yet, of those that were asked for.
    pub left: usize,
    /// Of these, cases without an embedding: only chance can choose them.
    pub unembedded: usize,
    /// Cases that a probe learned from.
    pub learned_from: usize,
}

/// Agreement of two readers on one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct AgreementRow {
    /// A label, or the set for all its classes together.
    pub name: String,
    /// Cases that both read.
    pub cases: usize,
    /// Share of them on which they agree.
    pub agreement: f64,
    /// Cohen's kappa; none where both gave one and the same answer throughout.
    pub kappa: Option<f64>,
    /// Its 95 % interval; none where they agree throughout.
    pub low: Option<f64>,
    /// See `low`.
    pub high: Option<f64>,
    /// In words, after Landis and Koch 1977.
    pub words: String,
}

/// A case on which two readers differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct LabelDisagreement {
    /// The case.
    pub case_id: String,
    /// What it is about: a finding, or the set.
    pub name: String,
    /// What the first reader says.
    pub first: String,
    /// What the second reader says.
    pub second: String,
}

/// How two readers agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct LabelAgreement {
    /// Name of the set of labels.
    pub set: String,
    /// The first reader.
    pub first: String,
    /// The second reader.
    pub second: String,
    /// Cases that the first read.
    pub first_cases: usize,
    /// Cases that the second read.
    pub second_cases: usize,
    /// Cases that both read.
    pub both: usize,
    /// All classes together, then each against the rest; or each finding.
    pub rows: Vec<AgreementRow>,
    /// Answers, as the table has them.
    pub answers: Vec<String>,
    /// Cases by the first reader's answer (rows) and the second's (columns); of findings, all of them together.
    pub table: Vec<Vec<usize>>,
    /// Where they differ, in the order of the library.
    pub disagreements: Vec<LabelDisagreement>,
}
