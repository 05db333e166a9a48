//! What can go wrong while training.

use std::path::{Path, PathBuf};

use lucency_nn::NnError;

/// A result of the training engine.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

/// A cause that a caller of the training engine can act on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Data that a loss, metric or split cannot use: empty, of unequal lengths, or with one class alone.
    #[error("unusable data: {0}")]
    Data(String),
    /// A record of a question file that cannot be used.
    #[error("{}, record {record}: {reason}", path.display())]
    Question {
        /// The question file.
        path: PathBuf,
        /// The record's number, counted from 1; 0 for the file as a whole.
        record: usize,
        /// What is wrong with which field, and what to do.
        reason: String,
    },
    /// Somebody asked the work to stop before it had a result.
    #[error("stopped")]
    Stopped,
    /// A plan whose numbers cannot work together.
    #[error("unusable plan: {0}")]
    Plan(String),
    /// The loss or a gradient stopped being a number.
    #[error("training diverged at step {step}: the {what} is not finite")]
    Diverged {
        /// Step counted from 1.
        step: u64,
        /// `loss` or `gradient norm`.
        what: &'static str,
    },
    /// A checkpoint that is missing, damaged, or from another plan.
    #[error("checkpoint {}: {reason}", path.display())]
    Checkpoint {
        /// The checkpoint's file or folder.
        path: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// An adapter that is missing, damaged, taken, or made on another pack.
    #[error("adapter {}: {reason}", path.display())]
    Adapter {
        /// The adapter's folder.
        path: PathBuf,
        /// Why it cannot be used and what to do.
        reason: String,
    },
    /// A file that could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's cause.
        source: std::io::Error,
    },
    /// A text file that is not the JSON it should be.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser found.
        source: serde_json::Error,
    },
    /// A layer or architecture refused its input or weights.
    #[error(transparent)]
    Nn(#[from] NnError),
    /// An architecture, tokenizer or preprocessing step refused its input or weights.
    #[error(transparent)]
    Zoo(#[from] lucency_zoo::ZooError),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl TrainError {
    /// Whether a device may be to blame: a tensor operation failed, not what was asked of it.
    pub fn is_of_device(&self) -> bool {
        match self {
            Self::Tensor(_) => true,
            Self::Nn(error) => error.is_of_device(),
            Self::Zoo(error) => error.is_of_device(),
            _ => false,
        }
    }

    /// An input or output error on `path`.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    /// A JSON error in `path`.
    pub fn json(path: &Path, source: serde_json::Error) -> Self {
        Self::Json {
            path: path.to_path_buf(),
            source,
        }
    }
}
