//! Images of an evaluation set, found by the names that its tables use.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::{AssistantError, Result};

/// A folder with images, however deep they lie.
pub struct ImageFolder {
    by_name: HashMap<String, PathBuf>,
}

impl ImageFolder {
    /// Lists every file below `dir`.
    ///
    /// Errors if the folder cannot be read.
    pub fn open(dir: &Path) -> Result<Self> {
        let mut by_name = HashMap::new();
        let mut open = vec![dir.to_path_buf()];
        while let Some(folder) = open.pop() {
            let entries = std::fs::read_dir(&folder).map_err(|source| AssistantError::Io {
                what: "the data folder".into(),
                source,
            })?;
            for entry in entries.flatten() {
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                if kind.is_dir() {
                    open.push(entry.path());
                } else if let Some(name) = entry.file_name().to_str() {
                    by_name.insert(name.to_owned(), entry.path());
                }
            }
        }
        Ok(Self { by_name })
    }

    /// The file with a name as a table states it; folders in the name are ignored.
    ///
    /// Errors if there is none.
    pub fn find(&self, name: &str) -> Result<&Path> {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        self.by_name.get(file).map(PathBuf::as_path).ok_or_else(|| {
            AssistantError::Data(format!(
                "the questions name the image {file}, which is not in the data folder"
            ))
        })
    }
}

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
