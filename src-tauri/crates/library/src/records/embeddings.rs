//! Embeddings of images and reports, and what has none yet.

use half::f16;
use serde::{Deserialize, Serialize};

/// What an embedding was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddingKind {
    /// An image of the case.
    Image,
    /// The case's reports and captions.
    Report,
}

impl EmbeddingKind {
    /// The word in the database and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Report => "report",
        }
    }
}

/// Embeddings that can be compared: of one kind, by one pack.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Space {
    /// Hash of the pack.
    pub pack: String,
    /// What was embedded.
    pub kind: EmbeddingKind,
}

/// An embedding that is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEmbedding {
    /// The case.
    pub case_id: String,
    /// Path of the image, for [`EmbeddingKind::Image`].
    pub image: Option<String>,
    /// SHA-256 of the pixels that were embedded, if the image shall be known again by them.
    pub pixels: Option<[u8; 32]>,
    /// `[dim]`
    pub vector: Vec<f16>,
}

/// A stored embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEmbedding {
    /// Grows with every embedding that is stored, and is never used again.
    pub row: i64,
    /// The case.
    pub case_id: String,
    /// `[dim]`
    pub vector: Vec<f16>,
}

/// Something that has no embedding yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unembedded {
    /// Place in the order of asking: pass the last one on for the next page.
    pub row: i64,
    /// The case.
    pub case_id: String,
    /// The image, for [`EmbeddingKind::Image`].
    pub image: Option<UnembeddedImage>,
    /// Reports and captions, for [`EmbeddingKind::Report`].
    pub text: Option<String>,
}

/// An image file that has no embedding yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnembeddedImage {
    /// Folder of the source.
    pub root: String,
    /// Path below it, parts divided by `/`.
    pub path: String,
    /// Length of the file when it was imported.
    pub bytes: u64,
    /// Time of the file's last change then, nanoseconds since 1970, 0 if unknown.
    pub modified_ns: i64,
    /// SHA-256 of the file then.
    pub sha256: [u8; 32],
}

/// An image that could not be decoded for an embedding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The case.
    pub case_id: String,
    /// Path of the image.
    pub path: String,
    /// Stable word for the cause.
    pub code: String,
}

/// The state of a space: two that are equal have the same embeddings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpaceState {
    /// The library's generation when an embedding last came or went; 0 if there never was one.
    pub changed: u64,
    /// Embeddings.
    pub count: u64,
    /// Numbers in one; 0 if there never was one.
    pub dim: usize,
}

/// What a row of embeddings belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// See [`StoredEmbedding::row`].
    pub row: i64,
    /// The case.
    pub case_id: String,
    /// Index of the image among the case's; none for a report.
    pub image: Option<usize>,
}

/// How much of the library a space covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Images, or cases with reports, that have an embedding.
    pub embedded: u64,
    /// Those that have none and can get one.
    pub missing: u64,
    /// Images that could not be decoded.
    pub unreadable: u64,
}
