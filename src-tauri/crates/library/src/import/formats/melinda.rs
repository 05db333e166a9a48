//! MELINDA. Source: Wu et al. 2021.
//!
//! `train.csv`, `dev.csv`, `test.csv`: figure_file, caption, i_meth, p_meth, i_meth_label, p_meth_label; figures in
//! `melinda_images/`.

use super::super::draft::{Draft, DraftImage, Taken};
use super::super::plan::ImportPlan;
use super::super::rows::{Rows, of_tables};
use super::super::table::{Fields, Part};
use super::{Names, parts};
use crate::error::Result;
use crate::records::{Facts, Label, Text, TextKind};

const NAMES: &Names = &[
    ("train.csv", Some("train")),
    ("dev.csv", Some("validation")),
    ("test.csv", Some("test")),
];

const METHODS: [&str; 4] = ["i_meth", "p_meth", "i_meth_label", "p_meth_label"];

pub(super) fn rows(plan: &ImportPlan) -> Result<Rows> {
    let missing = "there is no train.csv, dev.csv or test.csv in this folder";
    of_tables(plan, parts(plan, NAMES), missing, draft)
}

fn draft(fields: &Fields, part: &Part) -> Taken<Draft> {
    let figure = fields.need("figure_file")?;
    let labels = METHODS.iter().filter_map(|method| {
        let value = fields.get(method)?;
        Some(Label::present(format!("{method}: {value}")))
    });
    Ok(Draft {
        key: figure.clone(),
        facts: Facts {
            split: part.split.map(str::to_owned),
            ..Facts::default()
        },
        images: vec![DraftImage::at(
            ["melinda_images", "images", "."].map(|folder| format!("{folder}/{figure}")),
        )],
        texts: vec![Text {
            kind: TextKind::Caption,
            body: fields.need("caption")?,
        }],
        labels: labels.collect(),
        ..Draft::default()
    })
}
