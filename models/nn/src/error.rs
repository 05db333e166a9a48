//! What can go wrong when layers are loaded, run or saved.

use std::path::PathBuf;

use candle_core::Shape;

use crate::DeviceChoice;

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, NnError>;

/// Why a layer could not be loaded, run or saved.
#[derive(Debug, thiserror::Error)]
pub enum NnError {
    /// The store was loaded from a file, and the file lacks a tensor that the model needs.
    #[error("{origin}: tensor `{key}` is missing (shape {wanted:?} wanted)")]
    MissingTensor {
        /// Full key of the tensor.
        key: String,
        /// The shape that the model needs.
        wanted: Shape,
        /// The file or other place that the store came from.
        origin: String,
    },
    /// A stored tensor does not have the shape that the model needs.
    #[error("{origin}: tensor `{key}` has shape {found:?} where {wanted:?} is wanted")]
    ShapeMismatch {
        /// Full key of the tensor.
        key: String,
        /// The shape that the model needs.
        wanted: Shape,
        /// The shape that was found.
        found: Shape,
        /// The file or other place that the store came from.
        origin: String,
    },
    /// Two parts of a model ask for one key in ways that cannot both hold.
    #[error("tensor `{key}`: {reason}")]
    Conflict {
        /// Full key of the tensor.
        key: String,
        /// What clashes.
        reason: &'static str,
    },
    /// A weights file cannot be read: absent, truncated, or not safetensors.
    #[error("cannot read weights from {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// A weights file cannot be written.
    #[error("cannot write weights to {}: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// A layer was asked for something that its arguments do not allow.
    #[error("{layer}: {reason}")]
    Argument {
        /// The layer or operation.
        layer: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The thread pool is already running with another size.
    #[error("the thread pool already runs {running} threads, {wanted} were asked for")]
    Threads {
        /// Size of the running pool.
        running: usize,
        /// Size that was asked for.
        wanted: usize,
    },
    /// A device cannot be used.
    #[error("device {device}: {reason}")]
    Device {
        /// Which one.
        device: DeviceChoice,
        /// Why not, and what to do.
        reason: String,
    },
    /// The tensor library reports an error.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl NnError {
    /// Whether a device may be to blame: a tensor operation failed, not what was asked of it.
    pub fn is_of_device(&self) -> bool {
        matches!(self, Self::Tensor(_) | Self::Device { .. })
    }

    pub(crate) fn argument(layer: &'static str, reason: impl Into<String>) -> Self {
        Self::Argument {
            layer,
            reason: reason.into(),
        }
    }
}
