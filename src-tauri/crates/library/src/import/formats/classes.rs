//! A folder per class: `CLASS/….png`, or `SPLIT/CLASS/….png` with `train`, `val`, `validation` or `test`.

use super::super::draft::{Draft, DraftImage, Refusal};
use super::super::plan::ImportPlan;
use super::super::rows::{Rows, below, files_below, is_image_name, of_files};
use crate::error::{LibraryError, Result};
use crate::records::{Facts, Label};

pub(super) fn rows(plan: &ImportPlan) -> Result<Rows> {
    let files: Vec<_> = files_below(&plan.data)?
        .into_iter()
        .filter(|file| is_image_name(file))
        .collect();
    if files.is_empty() {
        return Err(LibraryError::Layout {
            path: plan.data.clone(),
            message: "there are no images in this folder; each class needs a folder of images"
                .into(),
        });
    }
    let root = plan.data.clone();
    Ok(of_files(&plan.data, files, move |file| {
        let path = below(&root, file);
        let parts: Vec<&str> = path.split('/').collect();
        let (split, class) = match parts.as_slice() {
            [split, class, _, ..] if split_name(split).is_some() => (split_name(split), *class),
            [class, _, ..] => (None, *class),
            _ => {
                return Err(Refusal::new(
                    "no_class",
                    "the image lies in no class's folder",
                ));
            }
        };
        Ok(Draft {
            key: path.clone(),
            facts: Facts {
                split: split.map(str::to_owned),
                ..Facts::default()
            },
            images: vec![DraftImage::at([path.clone()])],
            labels: vec![Label::present(class)],
            ..Draft::default()
        })
    }))
}

fn split_name(folder: &str) -> Option<&'static str> {
    match folder.to_lowercase().as_str() {
        "train" | "training" => Some("train"),
        "val" | "valid" | "validation" | "dev" => Some("validation"),
        "test" | "testing" => Some("test"),
        _ => None,
    }
}
