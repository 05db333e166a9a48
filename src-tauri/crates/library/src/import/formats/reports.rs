//! Images with plain-text or PDF reports beside them.
//!
//! ```text
//! scan.png, scan.txt | scan.pdf      a report of the image's name: the image is a case
//! case/*.png, case/anything.pdf      one report in a folder of images: the folder is a case
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::super::draft::{Draft, DraftImage, Refusal, Taken};
use super::super::plan::ImportPlan;
use super::super::rows::{Rows, below, files_below, is_image_name, of_files};
use crate::error::{LibraryError, Result};

pub(super) fn rows(plan: &ImportPlan) -> Result<Rows> {
    let (images, others): (Vec<PathBuf>, Vec<PathBuf>) = files_below(&plan.data)?
        .into_iter()
        .partition(|file| is_image_name(file));
    if images.is_empty() {
        return Err(LibraryError::Layout {
            path: plan.data.clone(),
            message: "there are no images in this folder".into(),
        });
    }
    let mut reports: HashMap<PathBuf, Vec<PathBuf>> = HashMap::new();
    for report in others.into_iter().filter(|file| is_report_name(file)) {
        let folder = report.parent().unwrap_or(Path::new("")).to_path_buf();
        reports.entry(folder).or_default().push(report);
    }
    let root = plan.data.clone();
    Ok(of_files(&plan.data, images, move |image| {
        draft(&root, image, &reports)
    }))
}

fn is_report_name(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| ["txt", "pdf"].contains(&ending.as_str()))
}

fn draft(root: &Path, image: &Path, reports: &HashMap<PathBuf, Vec<PathBuf>>) -> Taken<Draft> {
    let folder = image.parent().unwrap_or(root);
    let beside = reports.get(folder).map_or(&[][..], Vec::as_slice);
    let own: Vec<PathBuf> = beside
        .iter()
        .filter(|report| report.file_stem() == image.file_stem())
        .cloned()
        .collect();
    let path = below(root, image);
    let (key, report_files) = match (own.is_empty(), beside) {
        (false, _) => (path.clone(), own),
        (true, [report]) if folder != root => (below(root, folder), vec![report.clone()]),
        _ => {
            return Err(Refusal::new(
                "no_report",
                "there is no .txt or .pdf of the image's name, and not exactly one in its folder",
            ));
        }
    };
    Ok(Draft {
        key,
        images: vec![DraftImage::at([path])],
        report_files,
        ..Draft::default()
    })
}
