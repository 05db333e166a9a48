//! RSNA pneumonia detection challenge. Source: Shih et al. 2019.
//!
//! ```text
//! stage_2_train_labels.csv           patientId,x,y,width,height,Target      a row a box, or one without a box
//! stage_2_detailed_class_info.csv    patientId,class
//! stage_2_train_images/ID.dcm
//! ```

use super::super::draft::{Draft, DraftImage, Refusal, Taken};
use super::super::plan::ImportPlan;
use super::super::rows::{Rows, of_tables};
use super::super::table::{Fields, Part};
use super::super::words;
use super::{Names, parts};
use crate::error::Result;
use crate::records::{Facts, Label, LabelValue, Region};

const NAMES: &Names = &[
    ("stage_2_train_labels.csv", Some("train")),
    ("stage_1_train_labels.csv", Some("train")),
    ("stage_2_detailed_class_info.csv", Some("train")),
    ("stage_1_detailed_class_info.csv", Some("train")),
];

const FOLDERS: [&str; 4] = [
    "stage_2_train_images",
    "stage_1_train_images",
    "images",
    ".",
];

pub(super) fn rows(plan: &ImportPlan) -> Result<Rows> {
    let missing = "there is no stage_2_train_labels.csv in this folder";
    of_tables(plan, parts(plan, NAMES), missing, draft)
}

fn draft(fields: &Fields, part: &Part) -> Taken<Draft> {
    let id = fields.need("patientId")?;
    let mut labels = Vec::new();
    let mut regions = Vec::new();
    if fields.has("Target") {
        let target = fields.need("Target")?;
        let value = words::label_value(&target).filter(|value| *value != LabelValue::Uncertain);
        let value = value.ok_or_else(|| Refusal::new("bad_label", "Target is neither 0 nor 1"))?;
        labels.push(Label::imported("Pneumonia", value));
        if value == LabelValue::Positive {
            let number = |column: &str| {
                let number = fields.need(column)?.parse::<f64>().ok();
                number.ok_or_else(|| Refusal::new("bad_box", format!("{column} is no number")))
            };
            regions.push(Region {
                image: 0,
                label: "Pneumonia".into(),
                x: number("x")?,
                y: number("y")?,
                width: number("width")?,
                height: number("height")?,
            });
        }
    }
    labels.extend(fields.get("class").map(Label::present));
    Ok(Draft {
        key: id.clone(),
        patient: Some(id.clone()),
        facts: Facts {
            modality: Some("CR".into()),
            body_part: Some("CHEST".into()),
            split: part.split.map(str::to_owned),
            ..Facts::default()
        },
        images: vec![DraftImage::at(
            FOLDERS.map(|folder| format!("{folder}/{id}.dcm")),
        )],
        labels,
        regions,
        ..Draft::default()
    })
}
