//! CheXpert. Source: Irvin et al. 2019.
//!
//! `train.csv`, `valid.csv`, `test.csv`: Path, Sex, Age, Frontal/Lateral, AP/PA, then one column a label with 1.0, 0.0, -1.0
//! (uncertain) or nothing (not mentioned). Paths begin with the data set's own folder:
//! `CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg`. A study is a case.

use super::super::draft::{Draft, DraftImage, Refusal, Taken};
use super::super::plan::{ImportPlan, Policy};
use super::super::rows::{Rows, of_tables};
use super::super::table::{Fields, Part};
use super::super::words;
use super::{Names, endings, parts};
use crate::error::Result;
use crate::records::{Facts, Label, LabelValue};

const NAMES: &Names = &[
    ("train.csv", Some("train")),
    ("valid.csv", Some("validation")),
    ("test.csv", Some("test")),
];

/// Irvin et al. 2019, table 1.
const LABELS: [&str; 14] = [
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
];

pub(super) fn rows(plan: &ImportPlan) -> Result<Rows> {
    let policy = plan.policy;
    let missing = "there is no train.csv, valid.csv or test.csv in this folder";
    of_tables(plan, parts(plan, NAMES), missing, move |fields, part| {
        draft(policy, fields, part)
    })
}

fn draft(policy: Policy, fields: &Fields, part: &Part) -> Taken<Draft> {
    let path = fields.need("Path")?;
    let parts: Vec<&str> = path.split('/').collect();
    let patient = parts.iter().position(|part| part.starts_with("patient"));
    let (patient, study) = patient
        .and_then(|at| Some((*parts.get(at)?, *parts.get(at + 1)?)))
        .filter(|(_, study)| study.starts_with("study"))
        .ok_or_else(|| Refusal::new("bad_path", "the path names no patient and study"))?;
    let view = match fields.get("Frontal/Lateral").as_deref() {
        Some("Lateral") => Some("LATERAL".to_owned()),
        _ => fields.get("AP/PA").as_deref().and_then(words::upper),
    };
    let mut labels = Vec::new();
    for name in LABELS {
        let Some(text) = fields.get(name) else {
            continue;
        };
        let value = words::label_value(&text).ok_or_else(|| {
            Refusal::new(
                "bad_label",
                format!("the label {name:?} is neither 1, 0, -1 nor empty"),
            )
        })?;
        labels.extend(decide(value, policy).map(|value| Label::imported(name, value)));
    }
    Ok(Draft {
        key: format!("{patient}/{study}"),
        patient: Some(patient.to_owned()),
        facts: Facts {
            modality: Some("DX".into()),
            body_part: Some("CHEST".into()),
            view: view.clone(),
            sex: fields.get("Sex").as_deref().and_then(words::sex),
            age: fields.get("Age").as_deref().and_then(words::age),
            split: part.split.map(str::to_owned),
            date: None,
        },
        images: vec![DraftImage {
            candidates: endings(&path),
            view,
        }],
        labels,
        ..Draft::default()
    })
}

/// What becomes of an uncertain label.
fn decide(value: LabelValue, policy: Policy) -> Option<LabelValue> {
    match (value, policy) {
        (LabelValue::Uncertain, Policy::Ones) => Some(LabelValue::Positive),
        (LabelValue::Uncertain, Policy::Zeros) => Some(LabelValue::Negative),
        (LabelValue::Uncertain, Policy::Ignore) => None,
        (value, _) => Some(value),
    }
}
