//! What can go wrong between a question and its answer.

use lucency_library::LibraryError;
use lucency_nn::NnError;
use lucency_packs::PackError;
use lucency_study::StudyError;
use lucency_train::TrainError;
use lucency_zoo::ZooError;

use crate::dto::ErrorDto;

/// Result with an [`AssistantError`].
pub type Result<T, E = AssistantError> = std::result::Result<T, E>;

/// Why a use case failed. Messages never carry patient data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssistantError {
    /// A file or a frame could not be read.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// The file was not opened; the code is one of [`StudyError::code`].
    #[error("{message}")]
    Rejected {
        /// Stable word for the cause.
        code: &'static str,
        /// What is wrong with the file.
        message: String,
    },
    /// A model pack is missing, damaged or not understood.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The case library is missing or damaged.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// A network or its preprocessing failed.
    #[error(transparent)]
    Zoo(#[from] ZooError),
    /// A layer failed.
    #[error(transparent)]
    Layer(#[from] NnError),
    /// A tensor operation failed.
    #[error("computation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A measure could not be computed.
    #[error(transparent)]
    Measure(TrainError),
    /// Cases, a run or an adapter cannot be used.
    #[error("{message}")]
    Training {
        /// Stable word for the cause.
        code: &'static str,
        /// What, where, and what to do.
        message: String,
    },
    /// A device that is not known.
    #[error("{0}")]
    Device(String),
    /// The question is empty or far too long.
    #[error("{0}")]
    Question(String),
    /// The pack has no question-answering head.
    #[error(
        "the pack {0} cannot answer questions: it has no question-answering head; choose a pack that has one"
    )]
    NoAnswers(String),
    /// The pack has no label set and none was given.
    #[error("the pack {0} has no label set; give one with --labels")]
    NoLabels(String),
    /// A label file cannot be used.
    #[error("the label file cannot be used: {0}")]
    Labels(String),
    /// There is no library of cases to search.
    #[error("there is no case library at {0}")]
    NoLibrary(String),
    /// The files that come with the application are missing.
    #[error(
        "the application's own files (model packs, demo study) were not found; install it again, or set LUCENCY_ASSETS to their folder"
    )]
    NoAssets,
    /// Evaluation data is not as expected.
    #[error("{0}")]
    Data(String),
    /// A file could not be read or written.
    #[error("{what}: {source}")]
    Io {
        /// Which file, by its role.
        what: String,
        /// The system's word for it.
        source: std::io::Error,
    },
    /// The user stopped it.
    #[error("stopped")]
    Stopped,
}

impl From<TrainError> for AssistantError {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Stopped => Self::Stopped,
            error => Self::Measure(error),
        }
    }
}

/// The system's number for a full disk.
const NO_SPACE: &str = "os error 28";

fn of_training(error: &TrainError) -> &'static str {
    match error {
        error if error.to_string().contains(NO_SPACE) => "disk_full",
        TrainError::Data(_) => "bad_data",
        TrainError::Plan(_) => "bad_plan",
        TrainError::Checkpoint { .. } => "bad_checkpoint",
        TrainError::Adapter { .. } => "bad_adapter",
        TrainError::Diverged { .. } => "diverged",
        TrainError::Io { .. } => "io",
        _ => "measure_failed",
    }
}

impl AssistantError {
    /// Whether a device may be to blame: a tensor operation failed, not what was asked of it.
    pub(crate) fn is_of_device(&self) -> bool {
        match self {
            Self::Tensor(_) => true,
            Self::Layer(error) => error.is_of_device(),
            Self::Zoo(error) => error.is_of_device(),
            Self::Measure(error) => error.is_of_device(),
            Self::Pack(error) => matches!(error, PackError::Model { .. }),
            _ => false,
        }
    }

    /// A stable, snake_case word for the cause, for programs to switch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Study(e) => e.code(),
            Self::Rejected { code, .. } => code,
            Self::Pack(e) => e.code(),
            Self::Library(e) => e.code(),
            Self::Device(_) | Self::Layer(NnError::Device { .. }) => "bad_device",
            Self::Zoo(_) | Self::Layer(_) | Self::Tensor(_) => "model_failed",
            Self::Measure(e) => of_training(e),
            Self::Training { code, .. } => code,
            Self::Question(_) => "bad_question",
            Self::NoAnswers(_) => "no_answers",
            Self::NoLabels(_) => "no_labels",
            Self::Labels(_) => "bad_labels",
            Self::NoLibrary(_) => "no_library",
            Self::NoAssets => "no_assets",
            Self::Data(_) => "bad_data",
            Self::Io { .. } => "io",
            Self::Stopped => "cancelled",
        }
    }

    /// The same for a window or a terminal.
    pub fn to_dto(&self) -> ErrorDto {
        ErrorDto {
            code: self.code().to_owned(),
            message: self.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_stop_are_told_from_other_failures() {
        let full = std::io::Error::from_raw_os_error(28);
        let error = TrainError::io(std::path::Path::new("weights"), full);
        assert_eq!(AssistantError::from(error).code(), "disk_full");
        assert_eq!(
            AssistantError::from(TrainError::Stopped).code(),
            "cancelled"
        );
    }
}
