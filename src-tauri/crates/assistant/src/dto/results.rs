//! What the use cases find out: answers, findings, similar cases, packs.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::kind::QuestionKind;

/// Where a result came from, so that it can be reproduced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Provenance {
    /// Version of the application.
    pub app_version: String,
    /// Name of the model pack.
    pub pack_name: String,
    /// Hash of the pack's manifest, which names the hash of every file of the pack.
    pub pack_hash: String,
    /// Name of the adapter that gave the result; none if it is the pack's own.
    #[serde(default)]
    pub adapter: Option<String>,
    /// SHA-256 of the frame's stored values and shape.
    pub pixel_hash: String,
    /// Frame within its file, counted from 1.
    pub frame: u32,
    /// How the frame became the network's input.
    pub preprocessing: String,
    /// When the result was made, RFC 3339, UTC.
    pub created: String,
    /// How long it took, milliseconds.
    pub elapsed_ms: f64,
}

/// A rectangle in pixels of the source frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct RegionDto {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// Relevance of each place of the image for one answer: Grad-CAM, or how much the answer's probability falls when the place is covered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct HeatMap {
    /// Cells from top to bottom.
    pub rows: usize,
    /// Cells from left to right.
    pub columns: usize,
    /// Relevance of each cell, 0 to 1, row by row.
    pub values: Vec<f32>,
    /// The part of the frame that the cells cover: what the network saw.
    pub region: RegionDto,
}

/// One of the answers that were considered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Alternative {
    /// The answer's words.
    pub answer: String,
    /// Calibrated probability, 0 to 1.
    pub confidence: f64,
}

/// Why the assistant gives no answer although the model has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum CautionReason {
    /// Most words of the question are unknown to the model.
    UnknownWords,
    /// The question is not about a radiology image.
    OffTopic,
    /// The question contradicts itself.
    Contradictory,
    /// The question is about another part of the body than the image shows.
    OtherRegion,
    /// The image is no radiograph, CT or MR image.
    NotARadiograph,
    /// The image lies far from those that the model was trained on.
    UnlikeTraining,
}

/// A reason to abstain, in plain words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Caution {
    /// For programs.
    pub reason: CautionReason,
    /// For people: one sentence or two.
    pub message: String,
}

/// Questions that fit an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Suggestions {
    /// The part of the body that is shown; empty if it is not known.
    pub region: String,
    /// The model's probability of `region`; none when the file states the body part.
    pub recognised: Option<f64>,
    /// The questions.
    pub questions: Vec<String>,
}

/// An answer to a question about one frame, with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Answer {
    /// The question as asked.
    pub question: String,
    /// What the question asks for, read off its words.
    pub kind: QuestionKind,
    /// True when the question offers its answers: yes or no, or a choice.
    pub closed: bool,
    /// The most probable answer; not to be shown as an answer when `abstained`.
    pub answer: String,
    /// Calibrated probability of `answer`, 0 to 1.
    pub confidence: f64,
    /// True when `confidence` is below `threshold` or there are `cautions`: the assistant says that it does not know.
    pub abstained: bool,
    /// Reasons to abstain whatever the confidence is; empty if there are none.
    pub cautions: Vec<Caution>,
    /// The pack's threshold on the confidence, 0 to 1.
    pub threshold: f64,
    /// The most probable answers, best first, `answer` included.
    pub alternatives: Vec<Alternative>,
    /// True when a blank image gets the same answer with about the same confidence.
    pub image_made_no_difference: bool,
    /// What a blank image would be answered.
    pub blank_answer: String,
    /// Confidence of `blank_answer`, 0 to 1.
    pub blank_confidence: f64,
    /// Where the answer's score depends on the image; none with `cautions`, and when its gradient vanishes everywhere.
    pub heat_map: Option<HeatMap>,
    /// Where the answer came from.
    pub provenance: Provenance,
}

/// A label with its score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct FindingScore {
    /// The label.
    pub label: String,
    /// Calibrated probability, 0 to 1; uncalibrated when `Findings::calibrated` is false.
    pub score: f64,
    /// True when `score` reaches the label's operating point.
    pub present: bool,
    /// The label's operating point, 0 to 1.
    pub operating_point: f64,
}

/// Zero-shot findings of one frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Findings {
    /// The label set that was scored.
    pub label_set: String,
    /// Each label of the set, highest score first.
    pub findings: Vec<FindingScore>,
    /// True when the scores were calibrated on held-out cases.
    pub calibrated: bool,
    /// What the reader has to know about this label set; empty if nothing.
    pub note: String,
    /// Where the scores came from.
    pub provenance: Provenance,
}

/// A past case that looks alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct SimilarCase {
    /// The case's identifier in its library.
    pub case_id: String,
    /// Cosine similarity of the image embeddings, −1 to 1.
    pub score: f64,
    /// The case's labels.
    pub labels: Vec<String>,
    /// The case's report.
    pub report: String,
    /// DICOM modality, such as `DX`.
    pub modality: String,
    /// True when the case is a phantom.
    pub synthetic: bool,
}

/// The cases of the library that look most alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct SimilarCases {
    /// Most similar first.
    pub cases: Vec<SimilarCase>,
    /// Name of the library that was searched.
    pub library: String,
    /// Number of cases in that library.
    pub library_size: usize,
    /// Where the embedding came from.
    pub provenance: Provenance,
}

/// A figure that was measured for a pack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct FigureDto {
    /// What was measured.
    pub measure: String,
    /// Its value.
    pub value: f64,
    /// On which data.
    pub data: String,
}

/// A model pack, for a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct PackSummary {
    /// Short name.
    pub name: String,
    /// Title for people.
    pub title: String,
    /// The pack's own version.
    pub version: String,
    /// Hash of the manifest.
    pub hash: String,
    /// Licence of the weights.
    pub licence: String,
    /// What the pack is meant for.
    pub intended_use: String,
    /// True when the pack came with the application.
    pub bundled: bool,
    /// True when the pack can answer questions.
    pub answers: bool,
    /// Measured figures.
    pub figures: Vec<FigureDto>,
}
