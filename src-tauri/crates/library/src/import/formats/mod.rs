//! The layouts, one file each: which tables and files there are, and what a row says.

mod chexpert;
mod classes;
mod dicom;
mod embed;
mod generic;
mod medicat;
mod melinda;
mod reports;
mod roco;
mod rsna;
mod slake;
mod vqa_med;
mod vqa_rad;

use std::path::{Path, PathBuf};

use super::plan::{Format, ImportPlan};
use super::rows::Rows;
use super::table::Part;
use crate::error::{LibraryError, Result};

/// The rows of a data set.
///
/// Errors if the folder does not hold what the format needs.
pub(crate) fn rows(plan: &ImportPlan) -> Result<Rows> {
    if !plan.columns.is_empty() && plan.format != Format::Table {
        return Err(LibraryError::Request(
            "--columns belongs to the format table; the other formats know their columns".into(),
        ));
    }
    match plan.format {
        Format::VqaRad => vqa_rad::rows(plan),
        Format::Slake => slake::rows(plan),
        Format::VqaMed2019 => vqa_med::rows(plan),
        Format::Roco => roco::rows(plan),
        Format::Medicat => medicat::rows(plan),
        Format::Chexpert => chexpert::rows(plan),
        Format::Rsna => rsna::rows(plan),
        Format::Embed => embed::rows(plan),
        Format::Melinda => melinda::rows(plan),
        Format::Classes => classes::rows(plan),
        Format::Table => generic::rows(plan),
        Format::Dicom => dicom::rows(plan),
        Format::Reports => reports::rows(plan),
    }
}

/// The table of [`Format::Table`]. Errors if none was given.
pub(crate) fn table_part(plan: &ImportPlan) -> Result<Part> {
    generic::part(plan)
}

/// Names of a table and the split they stand for.
type Names = [(&'static str, Option<&'static str>)];

/// The table that was asked for, or those of the known names that are there.
fn parts(plan: &ImportPlan, names: &'static Names) -> Vec<Part> {
    if let Some(table) = &plan.table {
        let path = table_path(plan, table);
        let split = path.file_name().and_then(|name| {
            let name = name.to_string_lossy();
            let known = names
                .iter()
                .find(|(known, _)| known.ends_with(name.as_ref()));
            known.and_then(|(_, split)| *split)
        });
        return vec![Part::any(path, split, "")];
    }
    names
        .iter()
        .map(|(name, split)| Part::any(plan.data.join(name), *split, ""))
        .filter(|part| part.path.is_file())
        .collect()
}

/// A table's path: as given, or below the data folder.
fn table_path(plan: &ImportPlan, table: &Path) -> PathBuf {
    let below = plan.data.join(table);
    match below.is_file() {
        true => below,
        false => table.to_path_buf(),
    }
}

/// Every ending of a path, the longest first: `a/b/c` gives `a/b/c`, `b/c`, `c`. Tables keep paths of the machine that
/// they were written on.
fn endings(path: &str) -> Vec<String> {
    let path = path.replace('\\', "/");
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    (0..parts.len()).map(|i| parts[i..].join("/")).collect()
}

/// `name` with each of the usual endings, unless it has one.
fn with_endings(name: &str) -> Vec<String> {
    const ENDINGS: [&str; 6] = ["jpg", "png", "jpeg", "dcm", "tif", "bmp"];
    let lower = name.to_lowercase();
    if ENDINGS.iter().any(|e| lower.ends_with(&format!(".{e}"))) || lower.ends_with(".tiff") {
        return vec![name.to_owned()];
    }
    std::iter::once(name.to_owned())
        .chain(ENDINGS.iter().map(|ending| format!("{name}.{ending}")))
        .collect()
}
