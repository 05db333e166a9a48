//! What crosses from the use cases to a window or a terminal: plain records, serialised as JSON.
//!
//! Names are the product's words in snake_case. Rates and confidences are fractions of 1. The TypeScript side is generated
//! from these types (`bindings.rs`).

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

/// Relevance of each place of the image for one answer (Grad-CAM).
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

/// A failure, in a form that a program can switch on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ErrorDto {
    /// Stable, snake_case word for the cause.
    pub code: String,
    /// What, where, and what to do; never patient data.
    pub message: String,
}

/// How far a long job has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ProgressDto {
    /// What is being done.
    pub stage: String,
    /// Units done.
    pub done: u64,
    /// Units in all; 0 when unknown.
    pub total: u64,
    /// A detail for people.
    pub message: Option<String>,
    /// Estimated seconds left.
    pub eta_s: Option<f64>,
}

/// What the window needs at its start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct AppInfo {
    /// Version of the application.
    pub version: String,
    /// The pack in use; none while it loads or when it could not be loaded.
    pub pack: Option<PackSummary>,
    /// Why there is no pack.
    pub pack_error: Option<ErrorDto>,
    /// True when the demo study was found.
    pub demo_available: bool,
    /// The permanent notice.
    pub research_notice: String,
    /// Files that were given on the command line.
    pub startup_paths: Vec<String>,
    /// True when the window was started to show the demo study.
    pub startup_demo: bool,
}

/// One series of a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct SeriesDto {
    /// Identifier within this session of the application.
    pub id: String,
    /// DICOM modality, such as `CT`; `IMG` for an image file.
    pub modality: String,
    /// Series description.
    pub description: String,
    /// Body part examined.
    pub body_part: String,
    /// View position, such as `PA`; empty if none.
    pub view: String,
    /// Frames in all instances.
    pub frames: usize,
}

/// One study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct StudyDto {
    /// Identifier within this session of the application.
    pub id: String,
    /// Patient's name, for the overlay only.
    pub patient_name: String,
    /// Patient's identifier, for the overlay only.
    pub patient_id: String,
    /// `M`, `F`, `O` or empty.
    pub sex: String,
    /// Age as in DICOM, such as `054Y`; empty if none.
    pub age: String,
    /// Study date, `YYYY-MM-DD`; empty if none.
    pub date: String,
    /// Study description.
    pub description: String,
    /// True when the study is a phantom.
    pub synthetic: bool,
    /// The series, in order.
    pub series: Vec<SeriesDto>,
}

/// A file that was not opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RejectedDto {
    /// The file's name without its folder.
    pub path: String,
    /// Stable word for the cause.
    pub code: String,
    /// What is wrong with the file.
    pub message: String,
}

/// What came of opening files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct OpenReportDto {
    /// Studies that were opened.
    pub studies: Vec<StudyDto>,
    /// Files that were not.
    pub rejected: Vec<RejectedDto>,
    /// True when the user stopped it; what was read until then is in `studies`.
    pub cancelled: bool,
}

/// A VOI function, PS3.3 C.11.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub enum WindowFunctionDto {
    /// C.11.2.1.2.1, the default.
    #[serde(rename = "LINEAR")]
    Linear,
    /// C.11.2.1.3.2.
    #[serde(rename = "LINEAR_EXACT")]
    LinearExact,
    /// C.11.2.1.3.1.
    #[serde(rename = "SIGMOID")]
    Sigmoid,
}

/// A window with its function.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct WindowDto {
    /// Centre, in modality units.
    pub center: f64,
    /// Width, in modality units.
    pub width: f64,
    /// How values map.
    pub function: WindowFunctionDto,
}

/// Stored values to modality units, PS3.3 C.11.1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModalityDto {
    /// Stored values are modality values.
    Identity,
    /// A straight line.
    Rescale {
        /// Modality units per stored unit.
        slope: f64,
        /// Modality value of stored 0.
        intercept: f64,
    },
    /// A look-up table.
    Lut {
        /// First stored value mapped.
        first: i32,
        /// Modality values.
        values: Vec<u16>,
    },
}

/// A way from modality units to grey levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum VoiDto {
    /// A window.
    Window {
        /// Centre, in modality units.
        center: f64,
        /// Width, in modality units.
        width: f64,
        /// How values map.
        function: WindowFunctionDto,
        /// The file's explanation; may be empty.
        label: String,
    },
    /// A VOI look-up table.
    Lut {
        /// First modality value mapped.
        first: i32,
        /// Output values.
        values: Vec<u16>,
        /// Bits of an output value.
        bits: u16,
        /// The file's explanation; may be empty.
        label: String,
    },
}

/// The type of a stored value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ValueKindDto {
    /// Unsigned, 8 bit.
    U8,
    /// Signed, 8 bit.
    I8,
    /// Unsigned, 16 bit.
    U16,
    /// Signed, 16 bit.
    I16,
    /// Unsigned, 32 bit.
    U32,
    /// Signed, 32 bit.
    I32,
    /// Floating point, 32 bit.
    F32,
    /// Floating point, 64 bit.
    F64,
}

/// Where the pixel spacing holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum SpacingKindDto {
    /// In the patient.
    Calibrated,
    /// At the detector: lengths in the patient are smaller.
    AtDetector,
}

/// Distance of neighbouring pixel centres.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct SpacingDto {
    /// Between rows, millimetres.
    pub row_mm: f64,
    /// Between columns, millimetres.
    pub column_mm: f64,
    /// Where it holds.
    pub kind: SpacingKindDto,
}

/// Everything about a frame but its values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct FrameInfo {
    /// Height.
    pub rows: u32,
    /// Width.
    pub columns: u32,
    /// 1 for grey, 3 for RGB.
    pub samples: u8,
    /// Type of the values that `frame_pixels` returns.
    pub kind: ValueKindDto,
    /// Photometric interpretation as stored.
    pub photometric: String,
    /// To modality units.
    pub modality: ModalityDto,
    /// The file's windows and tables, in order.
    pub voi: Vec<VoiDto>,
    /// The window to begin with.
    pub default_window: WindowDto,
    /// True when the first entry of `voi` is a table and should be used until the user windows.
    pub default_is_lut: bool,
    /// True when low values are bright (MONOCHROME1); applied after the window.
    pub inverted: bool,
    /// Spacing, if the file states one.
    pub spacing: Option<SpacingDto>,
    /// Heights of a pixel in widths: 1 for square pixels.
    pub pixel_aspect: f64,
    /// Value that stands for no data, in stored units.
    pub padding: Option<f64>,
    /// Instance number; 0 if none.
    pub instance_number: i32,
    /// Position along the slice normal, millimetres.
    pub position_mm: Option<f64>,
    /// Direction of rows then columns in patient coordinates, six numbers.
    pub orientation: Option<Vec<f64>>,
    /// Where a row and a column lead, in letters (`L`, `F`), for projections without `orientation`.
    pub patient_orientation: Option<[String; 2]>,
    /// Frame within its file, counted from 1.
    pub frame: u32,
    /// SHA-256 of stored values and shape.
    pub pixel_hash: String,
}

/// A data element for the list of tags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct TagNode {
    /// `(gggg,eeee)`.
    pub tag: String,
    /// Value representation.
    pub vr: String,
    /// Keyword of the standard; empty for a private element.
    pub name: String,
    /// Value as text, shortened.
    pub value: String,
    /// Items' elements.
    pub children: Vec<TagNode>,
}
