//! What can go wrong in this crate.

use lucency_nn::NnError;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, ZooError>;

/// What went wrong while an architecture, an image or a text was prepared.
#[derive(Debug, thiserror::Error)]
pub enum ZooError {
    /// A layer refused: a missing or misshapen tensor, or a failed computation.
    #[error(transparent)]
    Layer(#[from] NnError),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A configuration does not describe a model that can exist.
    #[error("the model configuration is not usable: {0}")]
    Config(String),
    /// The configuration beside published weights could not be read.
    #[error("config.json is not a configuration of this architecture: {0}")]
    ConfigJson(#[from] serde_json::Error),
    /// The keys or shapes of a checkpoint are not those of the architecture.
    #[error("the checkpoint is not in a known layout: {0}")]
    UnknownLayout(String),
    /// A pixel tensor has another shape than the image tower takes.
    #[error("the image tower takes pixels of shape {wanted}, found {found:?}")]
    PixelShape {
        /// The shape in words.
        wanted: String,
        /// The shape that was given.
        found: Vec<usize>,
    },
    /// A token tensor is not `[batch, up to context]`.
    #[error("the text tower takes ids of shape [batch, at most {context}], found {found:?}")]
    TokenShape {
        /// The longest text, in tokens.
        context: usize,
        /// The shape that was given.
        found: Vec<usize>,
    },
    /// An image's size, channels and data do not belong together.
    #[error("an image of {width}x{height} with {channels} channels cannot hold {bytes} bytes")]
    ImageSize {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// Samples a pixel.
        channels: usize,
        /// Bytes given.
        bytes: usize,
    },
    /// An image file could not be decoded.
    #[error("the image could not be decoded: {0}")]
    Image(#[from] image::ImageError),
    /// A preprocessing description cannot be carried out.
    #[error("the preprocessing is not usable: {0}")]
    Preprocess(String),
    /// A tokenizer description cannot be used.
    #[error("the tokenizer is not usable: {0}")]
    Tokenizer(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file's path.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
}

impl ZooError {
    /// Whether a device may be to blame: a tensor operation failed, not what was asked of it.
    pub fn is_of_device(&self) -> bool {
        match self {
            Self::Tensor(_) => true,
            Self::Layer(error) => error.is_of_device(),
            _ => false,
        }
    }
}
