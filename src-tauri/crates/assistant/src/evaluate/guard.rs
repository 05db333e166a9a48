//! How often images are refused: radiographs that should not be, and foreign images that should.

use std::path::{Path, PathBuf};

use lucency_nn::{Interrupt, Progress};
use serde::Serialize;

use crate::assistant::Assistant;
use crate::dto::CautionReason;
use crate::error::{AssistantError, Result};
use crate::picture;

/// How many images of one folder are refused.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RefusalRate {
    /// The folder's name.
    pub folder: String,
    /// Images that could be read, in it and below it.
    pub n: usize,
    /// Those that are no radiographs by their pixels or their DICOM modality.
    pub not_a_radiograph: usize,
    /// Those of the others whose features are unlike the training images'.
    pub unlike_training: usize,
    /// Share that is refused, as a fraction of 1.
    pub refused: f64,
    /// How far the features lie from the training images', whose mean is 1: the median, the nine-tenths quantile and the largest; none
    /// without an answer head.
    pub unlikeness: Option<[f64; 3]>,
    /// Files that are not images.
    pub unreadable: usize,
}

/// Shows every image of some folders to the guard that stands before the answerer.
///
/// Errors if a folder cannot be read or holds no image, or with [`AssistantError::Stopped`].
pub fn evaluate_guard(
    assistant: &Assistant,
    folders: &[PathBuf],
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Vec<RefusalRate>> {
    folders
        .iter()
        .map(|folder| rate(assistant, folder, stop, report))
        .collect()
}

fn rate(
    assistant: &Assistant,
    folder: &Path,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<RefusalRate> {
    let files = files_below(folder)?;
    let name = folder.file_name().unwrap_or(folder.as_os_str());
    let mut rate = RefusalRate {
        folder: name.to_string_lossy().into_owned(),
        n: 0,
        not_a_radiograph: 0,
        unlike_training: 0,
        refused: 0.0,
        unlikeness: None,
        unreadable: 0,
    };
    let mut distances = Vec::with_capacity(files.len());
    for (done, file) in files.iter().enumerate() {
        if stop.is_stopped() {
            return Err(AssistantError::Stopped);
        }
        report(Progress::new("looking", done as u64, files.len() as u64));
        let Ok(picture) = picture::open(file, 1) else {
            rate.unreadable += 1;
            continue;
        };
        rate.n += 1;
        match assistant.doubt_about_image(&picture)?.map(|c| c.reason) {
            Some(CautionReason::UnlikeTraining) => rate.unlike_training += 1,
            Some(_) => rate.not_a_radiograph += 1,
            None => {}
        }
        distances.extend(assistant.unlikeness(&picture)?);
    }
    if rate.n == 0 {
        return Err(AssistantError::Data(format!(
            "no file in {} is an image",
            rate.folder
        )));
    }
    rate.refused = (rate.not_a_radiograph + rate.unlike_training) as f64 / rate.n as f64;
    distances.sort_by(f64::total_cmp);
    let quantile =
        |share: f64| distances.get((share * (distances.len() - 1) as f64).round() as usize);
    if !distances.is_empty()
        && let (Some(median), Some(high), Some(largest)) =
            (quantile(0.5), quantile(0.9), quantile(1.0))
    {
        rate.unlikeness = Some([*median, *high, *largest]);
    }
    Ok(rate)
}

/// The files of a folder and the folders in it, sorted.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|source| AssistantError::Io {
            what: "the folder of images".into(),
            source,
        })?;
        for entry in entries.flatten() {
            match entry.path().is_dir() {
                true => open.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    files.sort();
    Ok(files)
}
