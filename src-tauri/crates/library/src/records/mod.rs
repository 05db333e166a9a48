//! What the case library keeps of an examination, and what a search may ask for.

mod embeddings;
mod labels;
mod runs;

use serde::{Deserialize, Serialize};

pub use embeddings::{
    Coverage, Embedded, EmbeddingKind, NewEmbedding, Space, SpaceState, StoredEmbedding,
    Unembedded, UnembeddedImage, Unreadable,
};
pub use labels::{Label, LabelAction, LabelScheme, LabelValue, Reading, Wanted, reader_name};
pub use runs::{AdapterRecord, CasePart, Run, RunKind, RunRecord, SeenBy};

/// Where cases came from: a data set, a folder, an archive of the department.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Short name, unique in the library: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// The importer's word for the layout, such as `chexpert`.
    pub format: String,
    /// The folder that image paths are relative to.
    pub root: String,
}

/// What is known of a case beside its images and texts. Every field may be unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// DICOM modality, such as `DX` or `CT`, upper case.
    pub modality: Option<String>,
    /// Body part in DICOM's words, such as `CHEST`, upper case.
    pub body_part: Option<String>,
    /// View position, such as `PA` or `MLO`, upper case.
    pub view: Option<String>,
    /// `F`, `M` or `O`, as in DICOM's Patient's Sex (0010,0040).
    pub sex: Option<String>,
    /// Age at the examination, whole years.
    pub age: Option<u16>,
    /// Date of the examination: `YYYY-MM-DD`, `YYYY-MM` or `YYYY`.
    pub date: Option<String>,
    /// Part of a division of the data, such as `train` or `test`.
    pub split: Option<String>,
}

impl Facts {
    /// Takes over what is known in `other` and not here.
    pub(crate) fn fill_from(&mut self, other: &Self) {
        let fill = |mine: &mut Option<String>, theirs: &Option<String>| {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        };
        fill(&mut self.modality, &other.modality);
        fill(&mut self.body_part, &other.body_part);
        fill(&mut self.view, &other.view);
        fill(&mut self.sex, &other.sex);
        fill(&mut self.date, &other.date);
        fill(&mut self.split, &other.split);
        self.age = self.age.or(other.age);
    }
}

/// An image file that a case refers to; the library keeps no copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageReference {
    /// Path below the source's folder, parts divided by `/`.
    pub path: String,
    /// Length of the file.
    pub bytes: u64,
    /// Time of the file's last change, nanoseconds since 1970, 0 if unknown.
    pub modified_ns: i64,
    /// SHA-256 of the file.
    #[serde(with = "hexadecimal")]
    pub sha256: [u8; 32],
    /// Difference hash of the displayed image, see `import::image`; none without decoded pixels.
    #[serde(with = "optional_hexadecimal")]
    pub perceptual: Option<[u8; 32]>,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Number of frames.
    pub frames: u32,
    /// View position of this image, where the case has several.
    pub view: Option<String>,
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextKind {
    /// A radiology report.
    Report,
    /// A figure's caption.
    Caption,
    /// A question with its answer.
    Question,
}

impl TextKind {
    /// The word in the database and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Caption => "caption",
            Self::Question => "question",
        }
    }

    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "caption" => Self::Caption,
            "question" => Self::Question,
            _ => Self::Report,
        }
    }
}

/// A report or a caption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// What it is; never [`TextKind::Question`].
    pub kind: TextKind,
    /// The words.
    pub body: String,
}

/// A question about a case and its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The question.
    pub question: String,
    /// The reference answer; none where the source holds it back.
    pub answer: Option<String>,
    /// `OPEN` or `CLOSED`.
    pub answer_type: Option<String>,
    /// Kind of question as the source names it, such as `PRES` or `modality`.
    pub question_type: Option<String>,
    /// ISO 639-1 code, such as `en` or `zh`.
    pub language: Option<String>,
    /// Number of the question in the source.
    pub reference: Option<String>,
    /// Part of a division of the questions, which can divide those of one image.
    pub split: Option<String>,
}

/// A rectangle on an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Index of the image among the case's.
    pub image: usize,
    /// What is inside.
    pub label: String,
    /// Left edge, pixels from the image's left.
    pub x: f64,
    /// Upper edge, pixels from the image's top.
    pub y: f64,
    /// Pixels.
    pub width: f64,
    /// Pixels.
    pub height: f64,
}

/// What is to be put into the library: a case, or more about one that is there.
///
/// Records with the same source and key are one case; what they say is joined.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewRecord {
    /// The case's key in its source. Only a keyed hash of it is kept.
    pub key: String,
    /// The patient's identifier, from [`patient_in`](crate::import::patient_in). Only a keyed hash of it is kept.
    pub patient: Option<String>,
    /// What is known of the case.
    pub facts: Facts,
    /// Images, in order.
    pub images: Vec<ImageReference>,
    /// Reports and captions.
    pub texts: Vec<Text>,
    /// Labels.
    pub labels: Vec<Label>,
    /// Questions and answers.
    pub questions: Vec<Question>,
    /// Rectangles on the images.
    pub regions: Vec<Region>,
}

/// A case as the library has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseRecord {
    /// Identifier in this library: the source's name and a keyed hash.
    pub id: String,
    /// Where it came from.
    pub source: Source,
    /// Pseudonym of the patient, a keyed hash; none if the source names no patient.
    pub patient: Option<String>,
    /// What is known of the case.
    #[serde(flatten)]
    pub facts: Facts,
    /// Images, in order.
    pub images: Vec<ImageReference>,
    /// Reports and captions.
    pub texts: Vec<Text>,
    /// Labels, by name and reader; those that came with the case first.
    pub labels: Vec<Label>,
    /// Questions and answers.
    pub questions: Vec<Question>,
    /// Rectangles on the images.
    pub regions: Vec<Region>,
}

/// A line of a list of cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaseSummary {
    /// See [`CaseRecord::id`].
    pub id: String,
    /// Name of the source.
    pub source: String,
    /// Pseudonym of the patient.
    pub patient: Option<String>,
    /// What is known of the case.
    #[serde(flatten)]
    pub facts: Facts,
    /// How many images it has.
    pub images: u64,
    /// How many reports and captions it has.
    pub texts: u64,
    /// How many questions it has.
    pub questions: u64,
    /// Names of the labels that are present, whoever gave them.
    pub labels: Vec<String>,
}

/// Which cases are wanted; every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// See [`Source::name`].
    pub source: Option<String>,
    /// See [`Facts::modality`]; upper and lower case are the same.
    pub modality: Option<String>,
    /// See [`Facts::body_part`]; upper and lower case are the same.
    pub body_part: Option<String>,
    /// See [`Facts::view`]; upper and lower case are the same.
    pub view: Option<String>,
    /// See [`Facts::sex`].
    pub sex: Option<String>,
    /// Youngest age, years.
    pub age_from: Option<u16>,
    /// Oldest age, years.
    pub age_to: Option<u16>,
    /// Earliest date, `YYYY-MM-DD` or the beginning of one.
    pub date_from: Option<String>,
    /// Latest date, `YYYY-MM-DD` or the beginning of one: `2020` takes in all of 2020.
    pub date_to: Option<String>,
    /// Name of a label that is present, whoever gave it; upper and lower case are the same.
    pub label: Option<String>,
    /// A reader who gave the case a label; upper and lower case are the same.
    pub reader: Option<String>,
    /// See [`Facts::split`].
    pub split: Option<String>,
    /// Pseudonym of the patient whose cases are wanted.
    pub patient: Option<String>,
    /// Pseudonym of a patient whose cases are left out.
    pub not_patient: Option<String>,
}

/// A stretch of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Cases to pass over.
    pub offset: u64,
    /// Most cases to return.
    pub limit: u64,
}

/// How much there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Cases.
    pub cases: u64,
    /// Patients with a pseudonym.
    pub patients: u64,
    /// Images.
    pub images: u64,
    /// Reports and captions.
    pub texts: u64,
    /// Questions.
    pub questions: u64,
    /// Rectangles.
    pub regions: u64,
    /// Embeddings over all packs.
    pub embeddings: u64,
    /// Cases of each source.
    pub sources: Vec<Count>,
    /// Cases of each modality.
    pub modalities: Vec<Count>,
    /// Cases of each split.
    pub splits: Vec<Count>,
    /// Cases with each label present, the most frequent first.
    pub labels: Vec<Count>,
    /// Cases that each reader labelled, the busiest first.
    pub readers: Vec<Count>,
    /// Bytes of the database.
    pub bytes: u64,
    /// See [`Storage::generation`](crate::Storage::generation).
    pub generation: u64,
}

/// How many cases have a property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The property; empty where it is unknown.
    pub name: String,
    /// Cases.
    pub cases: u64,
}

mod hexadecimal {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&crate::files::hex(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        crate::files::unhex(&text).ok_or_else(|| D::Error::custom("no 64 hexadecimal digits"))
    }
}

mod optional_hexadecimal {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(
        bytes: &Option<[u8; 32]>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => to.serialize_some(&crate::files::hex(bytes)),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<[u8; 32]>, D::Error> {
        let wrong = || D::Error::custom("no 64 hexadecimal digits");
        Option::<String>::deserialize(from)?
            .map(|text| crate::files::unhex(&text).ok_or_else(wrong))
            .transpose()
    }
}
