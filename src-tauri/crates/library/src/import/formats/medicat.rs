//! MedICaT. Source: Subramanian et al. 2020 and the data set's README.
//!
//! One JSON object a line: `pdf_hash`, `fig_key`, `fig_uri`, `s2_caption`, `s2orc_caption`, `s2orc_references`, `radiology`;
//! the figure is `figures/{pdf_hash}_{fig_uri}`.

use std::path::PathBuf;

use super::super::draft::{Draft, DraftImage, Refusal, Taken};
use super::super::plan::ImportPlan;
use super::super::rows::{Rows, of_tables};
use super::super::table::{Fields, Part};
use super::table_path;
use crate::error::{LibraryError, Result};
use crate::records::{Label, LabelValue, Text, TextKind};

pub(super) fn rows(plan: &ImportPlan) -> Result<Rows> {
    let missing = "there is no .jsonl file in this folder; name it with --table";
    of_tables(plan, tables(plan)?, missing, draft)
}

fn tables(plan: &ImportPlan) -> Result<Vec<Part>> {
    if let Some(table) = &plan.table {
        return Ok(vec![Part::any(table_path(plan, table), None, "")]);
    }
    let entries = std::fs::read_dir(&plan.data).map_err(LibraryError::io(&plan.data))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(std::result::Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    paths.sort();
    Ok(paths
        .into_iter()
        .map(|path| Part::any(path, None, ""))
        .collect())
}

fn draft(fields: &Fields, _: &Part) -> Taken<Draft> {
    let (paper, figure) = (fields.need("pdf_hash")?, fields.need("fig_uri")?);
    let caption = fields
        .get("s2_caption")
        .or_else(|| fields.get("s2orc_caption"));
    let caption =
        caption.ok_or_else(|| Refusal::new("missing_field", "the figure has no caption"))?;
    let mut texts = vec![Text {
        kind: TextKind::Caption,
        body: caption,
    }];
    // Sentences of the paper that refer to the figure.
    texts.extend(fields.get("s2orc_references").map(|body| Text {
        kind: TextKind::Caption,
        body,
    }));
    let radiology = match fields.get("radiology").as_deref() {
        Some("true") => Some(LabelValue::Positive),
        Some("false") => Some(LabelValue::Negative),
        _ => None,
    };
    Ok(Draft {
        key: format!("{paper}_{figure}"),
        images: vec![DraftImage::at([
            format!("figures/{paper}_{figure}"),
            format!("release/figures/{paper}_{figure}"),
        ])],
        texts,
        labels: radiology
            .map(|value| Label::imported("radiology", value))
            .into_iter()
            .collect(),
        ..Draft::default()
    })
}
