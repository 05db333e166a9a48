//! Rows of tables and files of folders as drafts.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::draft::{Draft, Taken};
use super::plan::ImportPlan;
use super::table::{self, Charset, Fields, Part, Records};
use crate::error::{LibraryError, Result};
use crate::files::hex;

/// Deepest folder below the data set's.
const MAX_DEPTH: usize = 16;

/// A data set row by row.
pub(crate) struct Rows {
    /// Digest of the tables' sizes and times, or of the list of files.
    pub state: String,
    /// How many rows there are, where that is known before reading.
    pub total: Option<u64>,
    /// The rows; an error ends them.
    pub drafts: Box<dyn Iterator<Item = Result<Taken<Draft>>>>,
}

/// The rows of tables, one table after the other.
///
/// Errors if there is no table.
pub(crate) fn of_tables(
    plan: &ImportPlan,
    parts: Vec<Part>,
    missing: &str,
    draft: impl FnMut(&Fields, &Part) -> Taken<Draft> + 'static,
) -> Result<Rows> {
    if parts.is_empty() {
        return Err(LibraryError::Layout {
            path: plan.data.clone(),
            message: missing.into(),
        });
    }
    let mut state = Sha256::new();
    for part in &parts {
        let metadata = fs::metadata(&part.path).map_err(LibraryError::io(&part.path))?;
        let modified = metadata.modified().ok();
        let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        state.update(part.path.to_string_lossy().as_bytes());
        state.update(metadata.len().to_le_bytes());
        state.update(modified.map_or(0, |t| t.as_nanos()).to_le_bytes());
    }
    let chain = Chain {
        parts: parts.into(),
        current: None,
        charset: table::charset(plan.encoding.as_deref())?,
        draft: Box::new(draft),
    };
    Ok(Rows {
        state: hex(&state.finalize()[..16]),
        total: None,
        drafts: Box::new(chain),
    })
}

type MakeDraft = Box<dyn FnMut(&Fields, &Part) -> Taken<Draft>>;

struct Chain {
    parts: VecDeque<Part>,
    current: Option<(Part, Records)>,
    charset: Charset,
    draft: MakeDraft,
}

impl Iterator for Chain {
    type Item = Result<Taken<Draft>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((part, records)) = &mut self.current {
                match records.next() {
                    Some(Ok(fields)) => {
                        return Some(Ok(fields.and_then(|fields| (self.draft)(&fields, part))));
                    }
                    Some(Err(error)) => return Some(Err(error)),
                    None => self.current = None,
                }
            }
            let part = self.parts.pop_front()?;
            match table::open(&part.path, &part.shape, self.charset) {
                Ok(records) => self.current = Some((part, records)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Files of a folder as rows, in the order of their paths.
pub(crate) fn of_files(
    root: &Path,
    files: Vec<PathBuf>,
    mut draft: impl FnMut(&Path) -> Taken<Draft> + 'static,
) -> Rows {
    let mut state = Sha256::new();
    for file in &files {
        let below = file.strip_prefix(root).unwrap_or(file);
        state.update(below.to_string_lossy().as_bytes());
        state.update([0]);
    }
    Rows {
        state: hex(&state.finalize()[..16]),
        total: Some(files.len() as u64),
        drafts: Box::new(files.into_iter().map(move |file| Ok(draft(&file)))),
    }
}

/// Every file below a folder, sorted, hidden ones left out. Links to folders are not followed.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(folder, 0, &mut files)?;
    files.sort();
    Ok(files)
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    if depth > MAX_DEPTH {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(LibraryError::io(folder))? {
        let entry = entry.map_err(LibraryError::io(folder))?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(LibraryError::io(folder))?;
        let path = entry.path();
        if kind.is_dir() {
            collect(&path, depth + 1, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// True for a file whose name ends like an image's.
pub(crate) fn is_image_name(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    let images = ["png", "jpg", "jpeg", "tif", "tiff", "bmp", "dcm", "dicom"];
    ending.is_some_and(|ending| images.contains(&ending.as_str()))
}

/// A file's path below the data set's folder, parts divided by `/`.
pub(crate) fn below(root: &Path, file: &Path) -> String {
    let path = file.strip_prefix(root).unwrap_or(file);
    let parts: Vec<String> = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}
