//! Where an instance's bytes are.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use crate::dicom::input::ReadSeek;
use crate::error::{Result, StudyError};

/// Largest archive member that is read, bytes. Members are inflated into memory.
pub const MAX_MEMBER_BYTES: u64 = 2 << 30;

/// A file, or a member of a zip archive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// A file on disk.
    File(PathBuf),
    /// A member of an archive; members are read on demand and never unpacked to disk.
    ZipMember {
        /// The archive.
        archive: PathBuf,
        /// Position in the archive's directory.
        index: usize,
        /// Name in the archive, for people; never used as a path.
        name: String,
    },
}

impl Source {
    /// The file on disk that holds the bytes.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::ZipMember { archive, .. } => archive,
        }
    }

    /// The last part of the name, for people.
    pub fn file_name(&self) -> String {
        match self {
            Self::File(path) => path
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
            Self::ZipMember { name, .. } => name.rsplit(['/', '\\']).next().unwrap_or("").into(),
        }
    }

    /// For reports alone: the path, with a member's name appended, none of whose parts can lead out of the archive's path.
    pub(crate) fn shown_path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::ZipMember { archive, name, .. } => name
                .split(['/', '\\'])
                .filter(|part| !matches!(*part, "" | "." | ".."))
                .fold(archive.clone(), |path, part| path.join(part)),
        }
    }

    /// Opens the bytes for reading and seeking.
    pub(crate) fn reader(&self) -> Result<Box<dyn ReadSeek>> {
        match self {
            // Opening a pipe or a device could wait for ever.
            Self::File(path) if !std::fs::metadata(path)?.is_file() => {
                Err(StudyError::NotAnImage("not a regular file".into()))
            }
            Self::File(path) => Ok(Box::new(File::open(path)?)),
            Self::ZipMember { archive, index, .. } => {
                let mut zip = open_zip(archive)?;
                Ok(Box::new(Cursor::new(read_member(&mut zip, *index)?)))
            }
        }
    }
}

/// Opens an archive's directory.
pub(crate) fn open_zip(path: &Path) -> Result<zip::ZipArchive<std::io::BufReader<File>>> {
    let file = std::io::BufReader::new(File::open(path)?);
    zip::ZipArchive::new(file).map_err(zip_error)
}

/// Inflates one member into memory.
///
/// Errors if it is encrypted, damaged, or larger than [`MAX_MEMBER_BYTES`], whatever size its directory entry claims.
pub(crate) fn read_member(
    zip: &mut zip::ZipArchive<std::io::BufReader<File>>,
    index: usize,
) -> Result<Vec<u8>> {
    let member = zip.by_index(index).map_err(zip_error)?;
    let too_large = || {
        StudyError::TooLarge(format!(
            "an archive member of over {MAX_MEMBER_BYTES} bytes"
        ))
    };
    if member.size() > MAX_MEMBER_BYTES {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    member
        .take(MAX_MEMBER_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| StudyError::corrupt(format!("archive member: {}", e.kind())))?;
    if bytes.len() as u64 > MAX_MEMBER_BYTES {
        return Err(too_large());
    }
    Ok(bytes)
}

fn zip_error(error: zip::result::ZipError) -> StudyError {
    match error {
        zip::result::ZipError::Io(e) => e.into(),
        zip::result::ZipError::UnsupportedArchive(what) => StudyError::unsupported(what),
        _ => StudyError::corrupt("the zip archive's directory or member"),
    }
}
