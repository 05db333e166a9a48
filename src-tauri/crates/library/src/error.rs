//! What can go wrong with a case library. Messages never carry patient data.

use std::path::PathBuf;

use thiserror::Error;

/// Result of the operations of this crate.
pub type Result<T> = std::result::Result<T, LibraryError>;

/// Why a library cannot be opened, read, written or searched.
#[derive(Debug, Error)]
pub enum LibraryError {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder concerned.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The folder holds no `library.json`.
    #[error("{dir} is not a case library: it has no library.json", dir = dir.display())]
    NotALibrary {
        /// The folder that was given.
        dir: PathBuf,
    },
    /// `library.json` does not say what it must say.
    #[error("{path}: {message}", path = path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The library was written for another version of the format.
    #[error(
        "{path}: library format {found} is not supported, this version reads format {supported}",
        path = path.display()
    )]
    FormatVersion {
        /// The file.
        path: PathBuf,
        /// The version it states.
        found: u64,
        /// The version this crate reads.
        supported: u32,
    },
    /// No case has the identifier.
    #[error("the library has no case {id:?}")]
    NoCase {
        /// The identifier that was given.
        id: String,
    },
    /// A case's image is missing, cut short or changed.
    #[error("case {id}: its image {reason}; build or install the library again")]
    DamagedImage {
        /// The case.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A case cannot be put into a library.
    #[error("case {id:?}: {reason}")]
    BadCase {
        /// The case.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The destination of a new library is not empty.
    #[error("{dir} already exists; remove it or choose another folder", dir = dir.display())]
    Exists {
        /// The folder.
        dir: PathBuf,
    },
    /// No embeddings of this model are stored for the library as it is now.
    #[error("the library has no embeddings of the model {model}; embed its cases first")]
    NotEmbedded {
        /// Hash of the model's pack.
        model: String,
    },
    /// Vectors do not fit the library or each other.
    #[error("embeddings: {0}")]
    Vectors(String),
    /// Another program holds the database.
    #[error(
        "{path}: another program is writing to the library; wait until it is done, or close it, and try again",
        path = path.display()
    )]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// There is no space left for the database.
    #[error(
        "{path}: no space is left for the library; everything that was reported as done is kept: \
         free some space and run the command again",
        path = path.display()
    )]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The database is no database, or a damaged one.
    #[error("{path}: {message}; restore a backup with `lucency library restore`", path = path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The database was written by a newer version of this program.
    #[error(
        "{path}: this library was written by a newer version of Lucency (its schema is {found}, this version knows \
         {supported}); nothing was changed: install the newer version, or use another LUCENCY_HOME",
        path = path.display()
    )]
    NewerLibrary {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this version knows.
        supported: i64,
    },
    /// The key of the patients' pseudonyms is missing or another one.
    #[error("{path}: {message}", path = path.display())]
    PatientKey {
        /// The file of the key.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The database refused something else.
    #[error("{path}: the library's database says: {message}", path = path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// SQLite's words; they name tables and columns, never values.
        message: String,
    },
    /// A data set to be imported is not laid out as its format says.
    #[error("{path}: {message}", path = path.display())]
    Layout {
        /// The file or folder.
        path: PathBuf,
        /// What is missing or wrong.
        message: String,
    },
    /// A request cannot be understood.
    #[error("{0}")]
    Request(String),
    /// A vector index on disk is cut short or was changed.
    #[error("{path}: the vector index {reason}; it has to be built again", path = path.display())]
    DamagedIndex {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A vector index on disk belongs to another model or another state of the library.
    #[error(
        "{path}: the vector index is out of date: {reason}; it has to be built again",
        path = path.display()
    )]
    StaleIndex {
        /// The file.
        path: PathBuf,
        /// What it belongs to.
        reason: String,
    },
}

impl LibraryError {
    /// A stable, snake_case word for the cause, for programs to switch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::NotALibrary { .. } => "not_a_library",
            Self::Manifest { .. } => "bad_library",
            Self::FormatVersion { .. } => "library_format_version",
            Self::NoCase { .. } => "no_such_case",
            Self::DamagedImage { .. } => "library_image_damaged",
            Self::BadCase { .. } => "bad_case",
            Self::Exists { .. } => "library_exists",
            Self::NotEmbedded { .. } => "library_not_embedded",
            Self::Vectors(_) => "bad_embeddings",
            Self::Busy { .. } => "library_busy",
            Self::Full { .. } => "library_full",
            Self::Damaged { .. } => "library_damaged",
            Self::NewerLibrary { .. } => "library_newer",
            Self::PatientKey { .. } => "patient_key",
            Self::Database { .. } => "library_database",
            Self::Layout { .. } => "bad_layout",
            Self::Request(_) => "bad_request",
            Self::DamagedIndex { .. } => "index_damaged",
            Self::StaleIndex { .. } => "index_stale",
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
