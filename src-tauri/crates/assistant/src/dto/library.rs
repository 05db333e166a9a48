//! The department's case library as the window sees it: what there is, searches and their hits, imports.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::Provenance;

/// How much there is in the case library, and how much of it the current pack has embedded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct LibraryStatus {
    /// Cases.
    pub cases: u64,
    /// Patients with a pseudonym.
    pub patients: u64,
    /// Images.
    pub images: u64,
    /// Reports and captions.
    pub texts: u64,
    /// Questions with their answers.
    pub questions: u64,
    /// Images that the current pack has embedded.
    pub embedded_images: u64,
    /// Cases whose reports and captions the current pack has embedded.
    pub embedded_reports: u64,
    /// Images and reports that can be embedded and are not yet.
    pub to_embed: u64,
    /// Cases of each source.
    pub sources: Vec<LibraryCount>,
    /// Cases of each modality.
    pub modalities: Vec<LibraryCount>,
    /// Cases of each split.
    pub splits: Vec<LibraryCount>,
    /// Cases with each label present, the most frequent first, at most 100.
    pub labels: Vec<LibraryCount>,
    /// Cases that each reader labelled, the busiest first.
    pub readers: Vec<LibraryCount>,
}

/// How many cases have a property.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct LibraryCount {
    /// The property; empty where it is unknown.
    pub name: String,
    /// Cases.
    pub cases: u64,
}

/// How the words of a search are understood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum SearchBy {
    /// Texts that contain the words (BM25).
    Words,
    /// Images and texts whose embeddings are near (cosine).
    Meaning,
    /// Both rankings, fused.
    #[default]
    Both,
}

/// Which cases are wanted; every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct LibraryFilter {
    /// Name of a source.
    pub source: Option<String>,
    /// DICOM modality, such as `DX`.
    pub modality: Option<String>,
    /// Body part in DICOM's words, such as `CHEST`.
    pub body_part: Option<String>,
    /// View position, such as `PA`.
    pub view: Option<String>,
    /// `F`, `M` or `O`.
    pub sex: Option<String>,
    /// Youngest age, years.
    pub age_from: Option<u16>,
    /// Oldest age, years.
    pub age_to: Option<u16>,
    /// Earliest date, `YYYY-MM-DD` or the beginning of one.
    pub date_from: Option<String>,
    /// Latest date, `YYYY-MM-DD` or the beginning of one.
    pub date_to: Option<String>,
    /// Name of a label that is present.
    pub label: Option<String>,
    /// Part of a division of the data, such as `train`.
    pub split: Option<String>,
}

/// A search of the case library.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct LibraryQuery {
    /// Words to look for; may be empty where an image is searched with.
    pub text: String,
    /// How the words are understood.
    pub by: SearchBy,
    /// Most cases to return, 1 to 50.
    pub k: usize,
    /// Which cases are wanted.
    pub filter: LibraryFilter,
    /// True to show cases of the patient on the screen too, marked; they are left out otherwise.
    pub same_patient: bool,
}

/// Where a case stands in one ranking.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct RankDto {
    /// Counted from 1.
    pub rank: usize,
    /// BM25 or cosine.
    pub score: f64,
}

/// A piece of an excerpt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ExcerptPiece {
    /// The words.
    pub text: String,
    /// True for what was looked for.
    pub matched: bool,
}

/// What is known of a case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct CaseFacts {
    /// DICOM modality.
    pub modality: Option<String>,
    /// Body part in DICOM's words.
    pub body_part: Option<String>,
    /// View position.
    pub view: Option<String>,
    /// `F`, `M` or `O`.
    pub sex: Option<String>,
    /// Age at the examination, whole years.
    pub age: Option<u16>,
    /// Date of the examination: `YYYY-MM-DD`, `YYYY-MM` or `YYYY`.
    pub date: Option<String>,
    /// Part of a division of the data.
    pub split: Option<String>,
}

/// A case that a search found, with why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct LibraryHit {
    /// The case's identifier.
    pub case_id: String,
    /// Name of its source.
    pub source: String,
    /// The sum of 1 / (60 + rank) over the rankings that have the case.
    pub score: f64,
    /// Where it stands by words in its texts (BM25), if it does.
    pub by_words: Option<RankDto>,
    /// Where its nearest image stands (cosine), if it does.
    pub by_image: Option<RankDto>,
    /// Where its report stands by meaning (cosine), if it does.
    pub by_report: Option<RankDto>,
    /// True if it is of the patient on the screen.
    pub same_patient: bool,
    /// What is known of it.
    pub facts: CaseFacts,
    /// Labels that are present.
    pub labels: Vec<String>,
    /// Number of images.
    pub images: usize,
    /// Index of the image that was nearest, or 0.
    pub image: usize,
    /// The best passage of its texts; its report's beginning where words played no part; empty without texts.
    pub excerpt: Vec<ExcerptPiece>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct LibraryHits {
    /// The best first.
    pub hits: Vec<LibraryHit>,
    /// Cases that the filter lets through.
    pub cases: u64,
    /// What the reader has to know, such as that part of the library is not embedded yet; sentences.
    pub notes: Vec<String>,
    /// Where the query's embedding came from; none for a search by words alone.
    pub provenance: Option<Provenance>,
    /// Time of the search, milliseconds.
    pub elapsed_ms: f64,
}

/// A text of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct CaseText {
    /// `report` or `caption`.
    pub kind: String,
    /// The words.
    pub body: String,
}

/// A question about a case and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct CaseQuestion {
    /// The question.
    pub question: String,
    /// The reference answer, where it is known.
    pub answer: Option<String>,
}

/// A label of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct CaseLabel {
    /// As the source names it.
    pub name: String,
    /// 1 present, 0 absent, -1 uncertain.
    pub value: i8,
    /// Who says so; none if it came with the case.
    pub reader: Option<String>,
}

/// A case of the library, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct LibraryCase {
    /// The case's identifier.
    pub case_id: String,
    /// Name of its source.
    pub source: String,
    /// What is known of it.
    pub facts: CaseFacts,
    /// Number of images.
    pub images: usize,
    /// Reports and captions.
    pub texts: Vec<CaseText>,
    /// Labels.
    pub labels: Vec<CaseLabel>,
    /// Questions and answers.
    pub questions: Vec<CaseQuestion>,
}

/// A layout that can be imported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ImportFormat {
    /// The word for it, such as `chexpert`.
    pub word: String,
    /// What it is, for a list.
    pub title: String,
    /// True if a table and the map of its columns have to be given.
    pub needs_table: bool,
}

/// A column of a table and what it says of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ColumnRole {
    /// The column's name.
    pub column: String,
    /// What it says, such as `image`, `patient` or `report`.
    pub role: String,
}

/// What to import and how.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct ImportRequest {
    /// See [`ImportFormat::word`].
    pub format: String,
    /// The data set's folder.
    pub data: String,
    /// The table, where the format does not know its name.
    pub table: Option<String>,
    /// Which column says what; for the format `table` alone.
    pub columns: Vec<ColumnRole>,
    /// What becomes of uncertain labels: `keep`, `ones`, `zeros` or `ignore`.
    pub policy: Option<String>,
    /// Modality of cases that name none.
    pub modality: Option<String>,
    /// Body part of cases that name none.
    pub body_part: Option<String>,
    /// The split of cases that name none.
    pub split: Option<String>,
    /// Name of the source in the library; the folder's name if none.
    pub source: Option<String>,
    /// Encoding of tables and texts, such as `latin1`.
    pub encoding: Option<String>,
    /// What becomes of reports with a line that names a patient: `redact` or `refuse`.
    pub identifying: Option<String>,
}

/// A column of a table that is looked at before an import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct PreviewColumn {
    /// The column's name.
    pub name: String,
    /// What it probably says; none if nothing fits.
    pub suggested: Option<String>,
    /// Its values in the first rows.
    pub examples: Vec<String>,
}

/// A row as it would be imported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct PreviewRow {
    /// Number of the row, from 1.
    pub row: u64,
    /// What is known of the case.
    pub facts: CaseFacts,
    /// Number of images that were found.
    pub images: usize,
    /// Labels.
    pub labels: Vec<CaseLabel>,
    /// The beginning of its text.
    pub text: String,
    /// Number of questions.
    pub questions: usize,
    /// Why it would be refused.
    pub refused: Option<String>,
}

/// What an import would do; nothing was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ImportPreview {
    /// Columns of the table; empty for a format that knows its own.
    pub columns: Vec<PreviewColumn>,
    /// Every word for what a column can say.
    pub roles: Vec<String>,
    /// The first rows.
    pub rows: Vec<PreviewRow>,
    /// Rows in all, where that is known.
    pub total: Option<u64>,
    /// True if an earlier import of the same data was interrupted and would go on.
    pub resumes: bool,
    /// Why it cannot be imported as it stands, such as a column map without images.
    pub problem: Option<String>,
}

/// How many rows were refused for one cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RejectCause {
    /// Stable word for the cause.
    pub code: String,
    /// Rows.
    pub rows: u64,
}

/// A row that was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RejectedRow {
    /// Number of the row, from 1.
    pub row: u64,
    /// Stable word for the cause.
    pub code: String,
    /// What was wrong; never patient data.
    pub reason: String,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ImportOutcome {
    /// Name of the source in the library.
    pub source: String,
    /// Rows read.
    pub rows: u64,
    /// Cases that were new.
    pub taken: u64,
    /// Rows about cases that were there.
    pub joined: u64,
    /// Rows that were refused.
    pub rejected: u64,
    /// Causes, the most frequent first.
    pub causes: Vec<RejectCause>,
    /// The first refused rows, at most 100.
    pub rejects: Vec<RejectedRow>,
    /// Lines of reports that were taken out because they named a patient.
    pub redacted: u64,
    /// The row that this run began with: more than 1 if it went on with an earlier one.
    pub began_with: u64,
    /// True if it was paused: the same import goes on where it was.
    pub paused: bool,
    /// What would let a test see what training saw; sentences.
    pub leaks: Vec<String>,
    /// Time, seconds.
    pub elapsed_s: f64,
}

/// What was deleted, and what cannot forget it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct LibraryDeleted {
    /// Cases that were deleted.
    pub deleted: u64,
    /// Adapters that learned from one of them: their weights keep what they learned until they are removed.
    pub adapters: Vec<String>,
    /// Runs that are not finished and that one of them was part of: they have to be begun anew.
    pub runs: Vec<String>,
    /// Entries of reports of finished runs that showed one of their images and were taken out.
    pub report_entries: u64,
}

/// What an embedding job did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct EmbedOutcome {
    /// Images that were embedded.
    pub images: u64,
    /// Reports that were embedded.
    pub reports: u64,
    /// Images that could not be read; searches do not find them by image.
    pub unreadable: u64,
    /// Time, seconds.
    pub elapsed_s: f64,
}
