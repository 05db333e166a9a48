//! What can go wrong when studies are written.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, PhantomError>;

/// Why a phantom could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PhantomError {
    /// A file or folder could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The DICOM data set could not be encoded.
    #[error("cannot encode a DICOM object: {0}")]
    Dicom(String),
    /// The image could not be encoded.
    #[error("cannot encode an image: {0}")]
    Image(String),
    /// The truth could not be encoded as JSON.
    #[error("cannot encode JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
}
