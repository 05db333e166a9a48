//! What can go wrong with a model pack, one variant for each cause a caller can act on.

use std::path::PathBuf;

use thiserror::Error;

/// Result of the operations of this crate.
pub type Result<T> = std::result::Result<T, PackError>;

/// Why a pack cannot be opened, verified, installed, imported or removed.
#[derive(Debug, Error)]
pub enum PackError {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder concerned.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The folder holds no `pack.toml`.
    #[error(
        "{dir} is not a model pack: it has no pack.toml; import a checkpoint with `lucency packs import`",
        dir = dir.display()
    )]
    NotAPack {
        /// The folder that was given.
        dir: PathBuf,
    },
    /// `pack.toml` does not say what a manifest must say.
    #[error("{path}: {message}", path = path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong and where.
        message: String,
    },
    /// The manifest was written for another version of the format.
    #[error(
        "{path}: pack format {found} is not supported, this version reads format {supported}; \
         install a matching version of the pack or of Lucency",
        path = path.display()
    )]
    FormatVersion {
        /// The manifest.
        path: PathBuf,
        /// The version it states.
        found: i64,
        /// The version this crate reads.
        supported: u32,
    },
    /// A file path in the manifest would leave the pack's folder.
    #[error(
        "pack {pack}: the file path {path:?} leaves the pack's folder; the pack is refused, get it from a source you trust"
    )]
    EscapingPath {
        /// Name of the pack.
        pack: String,
        /// The path as written in the manifest.
        path: String,
    },
    /// A file of the pack is not there.
    #[error("pack {pack}: {file} is missing; install the pack again")]
    MissingFile {
        /// Name of the pack.
        pack: String,
        /// The file, relative to the pack's folder.
        file: String,
    },
    /// A file of the pack is longer or shorter than the manifest states.
    #[error(
        "pack {pack}: {file} has {found} bytes, the manifest states {expected}; \
         the file is truncated or was changed, install the pack again"
    )]
    WrongSize {
        /// Name of the pack.
        pack: String,
        /// The file, relative to the pack's folder.
        file: String,
        /// Bytes that the manifest states.
        expected: u64,
        /// Bytes on disk.
        found: u64,
    },
    /// A file of the pack has other content than the manifest states.
    #[error(
        "pack {pack}: {file} has sha256 {found}, the manifest states {expected}; \
         the file was changed or damaged, install the pack again"
    )]
    WrongHash {
        /// Name of the pack.
        pack: String,
        /// The file, relative to the pack's folder.
        file: String,
        /// Digest that the manifest states, hexadecimal.
        expected: String,
        /// Digest of what is on disk, hexadecimal.
        found: String,
    },
    /// The pack has no file for a purpose, such as `answers`.
    #[error("pack {pack} has no file with the role {role:?}; choose a pack that has one")]
    MissingRole {
        /// Name of the pack.
        pack: String,
        /// The role that was asked for.
        role: String,
    },
    /// No installed or bundled pack has the name, and it is no folder either.
    #[error("no pack named {name:?}; known packs: {known}")]
    NotFound {
        /// The name or path that was given.
        name: String,
        /// Names of the packs there are, separated by commas.
        known: String,
    },
    /// Another pack already has the name.
    #[error(
        "a pack named {name:?} is already there ({existing}); \
         remove it first or choose another name with --name"
    )]
    NameTaken {
        /// The name in question.
        name: String,
        /// Hash of the pack that has the name, or the word `damaged` or `bundled`.
        existing: String,
    },
    /// A pack that comes with the application cannot be removed.
    #[error("pack {name:?} comes with the application and cannot be removed")]
    Bundled {
        /// Name of the pack.
        name: String,
    },
    /// The name cannot be a pack's name.
    #[error(
        "{name:?} cannot be a pack's name: use 1 to 64 lower-case letters, digits, '-', '_' and '.', \
         beginning with a letter or a digit"
    )]
    InvalidName {
        /// The name that was given.
        name: String,
    },
    /// There is no place for installed packs.
    #[error("no data folder is known for this user; set LUCENCY_HOME to a folder")]
    NoHome,
    /// A checkpoint is of a kind, or has contents, that cannot become a pack.
    #[error("{file}: {reason}", file = file.display())]
    Unsupported {
        /// The checkpoint.
        file: PathBuf,
        /// What was found and what would be accepted.
        reason: String,
    },
    /// A checkpoint is cut short or inconsistent.
    #[error("{file}: damaged checkpoint: {reason}", file = file.display())]
    Damaged {
        /// The checkpoint.
        file: PathBuf,
        /// What is wrong and where.
        reason: String,
    },
    /// A pickle names a Python object that weights do not need.
    #[error(
        "{file}: refers to the Python object `{global}`, which is not part of a checkpoint's data; \
         nothing was executed, and the file is refused",
        file = file.display()
    )]
    ForbiddenGlobal {
        /// The checkpoint.
        file: PathBuf,
        /// Module and name as written in the file.
        global: String,
    },
    /// The weights do not make the model that the manifest describes.
    #[error("{origin}: {message}")]
    Model {
        /// The pack or the checkpoint.
        origin: String,
        /// What the model's loader said.
        message: String,
    },
}

impl PackError {
    /// A stable, snake_case word for the cause, for programs to switch on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::NotAPack { .. } => "not_a_pack",
            Self::Manifest { .. } => "bad_manifest",
            Self::FormatVersion { .. } => "pack_format_version",
            Self::EscapingPath { .. } => "pack_path_escapes",
            Self::MissingFile { .. } => "pack_file_missing",
            Self::WrongSize { .. } => "pack_file_size",
            Self::WrongHash { .. } => "pack_file_hash",
            Self::MissingRole { .. } => "pack_role_missing",
            Self::NotFound { .. } => "pack_not_found",
            Self::NameTaken { .. } => "pack_name_taken",
            Self::Bundled { .. } => "pack_bundled",
            Self::InvalidName { .. } => "pack_name_invalid",
            Self::NoHome => "no_home",
            Self::Unsupported { .. } => "checkpoint_unsupported",
            Self::Damaged { .. } => "checkpoint_damaged",
            Self::ForbiddenGlobal { .. } => "checkpoint_forbidden_global",
            Self::Model { .. } => "pack_model",
        }
    }

    /// Wraps an operating-system error with the path it concerns.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
