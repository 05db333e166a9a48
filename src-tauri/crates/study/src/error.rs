//! What can go wrong between a path and a frame.

/// Why a file, a study or a frame could not be read.
///
/// Messages name tags, transfer syntaxes and sizes, never patient data and never a path: the caller knows the path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// There is nothing at the path.
    #[error("there is no such file or folder")]
    NotFound,
    /// The operating system refused to read.
    #[error("cannot be read: {0}")]
    Io(String),
    /// The content is neither DICOM nor an image format that is read here.
    #[error("not a DICOM file, PNG, JPEG, TIFF, BMP or zip archive ({0})")]
    NotAnImage(String),
    /// A DICOM object without pixel data, such as a report or a plan.
    #[error("a DICOM object without pixel data ({0})")]
    NoPixels(String),
    /// The transfer syntax has no decoder here.
    #[error("the transfer syntax {name} ({uid}) is not supported")]
    UnsupportedTransferSyntax {
        /// The transfer syntax UID.
        uid: String,
        /// Its name in PS3.6, or "unknown".
        name: String,
    },
    /// The file is valid as far as can be told, but uses something that is not read here.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The file ends before its content does.
    #[error("the file is truncated: {0}")]
    Truncated(String),
    /// The content contradicts itself or its format.
    #[error("the file is damaged: {0}")]
    Corrupt(String),
    /// The frame number is outside the instance.
    #[error("frame {frame} does not exist: the file has {frames}")]
    FrameOutOfRange {
        /// Frame asked for, counted from 1.
        frame: u64,
        /// Number of frames in the instance.
        frames: u32,
    },
    /// More than the limits allow, or than a file of this size can justify.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The same SOP Instance UID, encoding and length as an image that is shown already.
    #[error("a copy of an image that is shown already (same SOP Instance UID)")]
    Duplicate,
    /// A path inside an archive or a DICOMDIR that would leave it, or a symbolic link that returns to itself.
    #[error("refused for safety: {0}")]
    UnsafePath(String),
}

/// Result with a [`StudyError`].
pub type Result<T> = std::result::Result<T, StudyError>;

impl StudyError {
    /// A stable, snake_case word for the cause, for programs to switch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Io(_) => "io",
            Self::NotAnImage(_) => "not_an_image",
            Self::NoPixels(_) => "no_pixels",
            Self::UnsupportedTransferSyntax { .. } => "unsupported_transfer_syntax",
            Self::Unsupported(_) => "unsupported",
            Self::Truncated(_) => "truncated",
            Self::Corrupt(_) => "corrupt",
            Self::FrameOutOfRange { .. } => "frame_out_of_range",
            Self::TooLarge(_) => "too_large",
            Self::Duplicate => "duplicate",
            Self::UnsafePath(_) => "unsafe_path",
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt(what.into())
    }

    pub(crate) fn truncated(what: impl Into<String>) -> Self {
        Self::Truncated(what.into())
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }
}

impl From<std::io::Error> for StudyError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound,
            std::io::ErrorKind::UnexpectedEof => Self::truncated("unexpected end of file"),
            kind => Self::Io(kind.to_string()),
        }
    }
}
