//! What one row of a data set says, before its image files are looked at.

use std::path::PathBuf;

use crate::records::{Facts, Label, Question, Region, Text};

/// Why a row is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Stable, snake_case word for the cause.
    pub code: &'static str,
    /// The cause in words, without patient data.
    pub reason: String,
}

impl Refusal {
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }
}

/// A row that is taken, or why it is not.
pub(crate) type Taken<T> = std::result::Result<T, Refusal>;

/// An image that a row names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DraftImage {
    /// Paths below the data set's folder; the first that exists is it.
    pub candidates: Vec<String>,
    /// View position, if the row names one for this image.
    pub view: Option<String>,
}

impl DraftImage {
    pub fn at(candidates: impl IntoIterator<Item = String>) -> Self {
        Self {
            candidates: candidates.into_iter().collect(),
            view: None,
        }
    }
}

/// What one row says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Draft {
    /// The case's key in its source; empty where the DICOM study decides.
    pub key: String,
    /// The patient's identifier in the source.
    pub patient: Option<String>,
    pub facts: Facts,
    pub images: Vec<DraftImage>,
    pub texts: Vec<Text>,
    pub labels: Vec<Label>,
    pub questions: Vec<Question>,
    /// Rectangles; those that lie outside their image refuse the row.
    pub regions: Vec<Region>,
    /// Reports as plain text or PDF.
    pub report_files: Vec<PathBuf>,
    /// A DICOM file: an image, or a structured report.
    pub dicom_file: Option<PathBuf>,
}
