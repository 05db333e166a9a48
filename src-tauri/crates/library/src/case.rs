//! One imaging examination in a library.

use serde::{Deserialize, Serialize};

/// A case: one image with its report and labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Identifier inside its library: letters, digits, `-`, `_`, `.`.
    pub id: String,
    /// Pseudonym of the patient; cases of one patient share it.
    pub patient: String,
    /// DICOM modality, such as `DX` or `CT`.
    pub modality: String,
    /// Body part in DICOM's words, such as `CHEST`.
    pub body_part: String,
    /// True if a program drew it.
    pub synthetic: bool,
    /// What is known to be in the image; empty for nothing abnormal.
    pub labels: Vec<String>,
    /// The report's findings.
    pub findings: String,
    /// The report's impression.
    pub impression: String,
    /// The image, 8-bit PNG.
    pub image: ImageFile,
    /// Digests of pixels under which the image is known, as a study's frames have them; a search
    /// can leave out the image it was asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pixel_hashes: Vec<String>,
}

/// A case's image file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageFile {
    /// Name inside the library's folder of images.
    pub file: String,
    /// Length.
    pub bytes: u64,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: String,
}

impl Case {
    /// The whole report as text.
    pub fn report_text(&self) -> String {
        let part = |title: &str, text: &str| match text.trim() {
            "" => None,
            text => Some(format!("{title}: {text}")),
        };
        let parts = [
            part("Findings", &self.findings),
            part("Impression", &self.impression),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
    }
}

/// A case that is to be put into a new library, with its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCase {
    /// See [`Case::id`].
    pub id: String,
    /// See [`Case::patient`].
    pub patient: String,
    /// See [`Case::modality`].
    pub modality: String,
    /// See [`Case::body_part`].
    pub body_part: String,
    /// See [`Case::synthetic`].
    pub synthetic: bool,
    /// See [`Case::labels`].
    pub labels: Vec<String>,
    /// See [`Case::findings`].
    pub findings: String,
    /// See [`Case::impression`].
    pub impression: String,
    /// The image as the bytes of an 8-bit PNG file.
    pub png: Vec<u8>,
    /// See [`Case::pixel_hashes`].
    pub pixel_hashes: Vec<String>,
}

/// True for a word that is a file's name on every system.
pub(crate) fn is_plain_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && !name.starts_with('.')
        && !name.ends_with('.')
}
