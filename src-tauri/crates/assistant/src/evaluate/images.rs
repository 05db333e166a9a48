//! Folders with a folder of images for each class.

use std::path::{Path, PathBuf};

use crate::error::{AssistantError, Result};

/// The classes of a folder-per-class set with their files, both sorted.
///
/// Errors if there are fewer than two classes with files.
pub(super) fn classes(dir: &Path) -> Result<Vec<(String, Vec<PathBuf>)>> {
    let io = |source| AssistantError::Io {
        what: "the data folder".into(),
        source,
    };
    let mut classes = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)?.flatten() {
        if !entry.path().is_dir() {
            continue;
        }
        let mut files: Vec<PathBuf> = std::fs::read_dir(entry.path())
            .map_err(io)?
            .flatten()
            .map(|file| file.path())
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        if !files.is_empty() {
            classes.push((entry.file_name().to_string_lossy().into_owned(), files));
        }
    }
    classes.sort();
    if classes.len() < 2 {
        return Err(AssistantError::Data(
            "the data folder needs a folder for each class, at least two of them".into(),
        ));
    }
    Ok(classes)
}
