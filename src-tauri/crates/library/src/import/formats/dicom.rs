//! A folder of DICOM files, images and structured reports mixed. A study is a case.

use super::super::draft::Draft;
use super::super::plan::ImportPlan;
use super::super::rows::{Rows, files_below, of_files};
use crate::error::{LibraryError, Result};

pub(super) fn rows(plan: &ImportPlan) -> Result<Rows> {
    let mut files = files_below(&plan.data)?;
    // A DICOMDIR lists the files that are found anyway.
    files.retain(|file| file.file_name().is_none_or(|name| name != "DICOMDIR"));
    if files.is_empty() {
        return Err(LibraryError::Layout {
            path: plan.data.clone(),
            message: "there are no files in this folder".into(),
        });
    }
    Ok(of_files(&plan.data, files, |file| {
        Ok(Draft {
            dicom_file: Some(file.to_path_buf()),
            ..Draft::default()
        })
    }))
}
