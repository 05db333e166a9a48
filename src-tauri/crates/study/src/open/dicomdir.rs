//! DICOMDIR: the files it lists, never outside its own folder. Source: PS3.3 F, PS3.10 8.

use std::path::{Component, Path, PathBuf};

use dicom_dictionary_std::tags;

use super::{Opening, walk};
use crate::dicom::dataset::DataSet;
use crate::error::{Result, StudyError};

/// Opens every referenced file that was not opened yet.
///
/// Errors if the directory lists no file.
pub(super) fn referenced(
    opening: &mut Opening<'_>,
    directory: &Path,
    data_set: &DataSet,
    visited: &mut walk::Visited,
) -> Result<()> {
    let folder = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let records = data_set.items(tags::DIRECTORY_RECORD_SEQUENCE);
    let ids: Vec<String> = records
        .iter()
        .filter_map(|record| record.text(tags::REFERENCED_FILE_ID))
        .collect();
    if ids.is_empty() {
        return Err(StudyError::NoPixels("a DICOMDIR that lists no file".into()));
    }
    if ids.len() > opening.options.max_files {
        return Err(StudyError::TooLarge("too many files are listed".into()));
    }
    opening.progress.total += ids.len() as u64;
    for id in ids {
        if opening.stopped() {
            return Ok(());
        }
        match resolve(folder, &id) {
            Ok(path) if visited.has_file(&path) => opening.count(),
            Ok(path) => {
                opening.in_directory = true;
                opening.file(&path, visited);
                opening.in_directory = false;
            }
            Err(error) => {
                opening.reject(&folder.join(last_part(&id)), &error);
                opening.count();
            }
        }
    }
    Ok(())
}

fn last_part(id: &str) -> &str {
    id.rsplit(['\\', '/']).next().unwrap_or("")
}

/// The path of a Referenced File ID (0004,1500), its components separated by backslashes.
///
/// Errors if it leaves the folder, by its components or through a symbolic link, or does not exist.
fn resolve(folder: &Path, id: &str) -> Result<PathBuf> {
    let outside = || StudyError::UnsafePath("a DICOMDIR reference leaves its folder".into());
    let mut path = folder.to_owned();
    for part in id.split('\\').map(str::trim).filter(|p| !p.is_empty()) {
        let mut components = Path::new(part).components();
        match (components.next(), components.next()) {
            (Some(Component::Normal(_)), None) => path = step(path, part),
            _ => return Err(outside()),
        }
    }
    let real = path.canonicalize()?;
    if !real.starts_with(folder.canonicalize()?) {
        return Err(outside());
    }
    if !real.is_file() {
        return Err(StudyError::NotAnImage("not a regular file".into()));
    }
    Ok(path)
}

/// One component down; file systems that changed the case of names are forgiven.
fn step(folder: PathBuf, part: &str) -> PathBuf {
    let exact = folder.join(part);
    if exact.exists() {
        return exact;
    }
    let lower = folder.join(part.to_lowercase());
    if lower.exists() { lower } else { exact }
}
