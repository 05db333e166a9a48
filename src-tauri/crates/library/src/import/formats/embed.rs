//! EMBED, the Emory breast imaging data set. Source: Jeong et al. 2023 and the README of its open data.
//!
//! ```text
//! tables/EMBED_OpenData_metadata.csv    a row an image: empi_anon, acc_anon, anon_dicom_path, ViewPosition, ROI_coords, …
//! tables/EMBED_OpenData_clinical.csv    a row a finding: empi_anon, acc_anon, asses (BI-RADS), tissueden, …
//! images/cohort_1/PATIENT/STUDY/….dcm
//! ```
//!
//! An examination (`acc_anon`) is a case.

use super::super::draft::{Draft, DraftImage, Refusal, Taken};
use super::super::plan::ImportPlan;
use super::super::rows::{Rows, of_tables};
use super::super::table::{Fields, Part};
use super::super::words;
use super::{Names, endings, parts};
use crate::error::Result;
use crate::records::{Facts, Label, Region};

const NAMES: &Names = &[
    ("tables/EMBED_OpenData_metadata.csv", None),
    ("tables/EMBED_OpenData_metadata_reduced.csv", None),
    ("EMBED_OpenData_metadata.csv", None),
    ("EMBED_OpenData_metadata_reduced.csv", None),
    ("tables/EMBED_OpenData_clinical.csv", None),
    ("tables/EMBED_OpenData_clinical_reduced.csv", None),
    ("EMBED_OpenData_clinical.csv", None),
    ("EMBED_OpenData_clinical_reduced.csv", None),
];

pub(super) fn rows(plan: &ImportPlan) -> Result<Rows> {
    let missing = "there is no EMBED_OpenData_metadata.csv or EMBED_OpenData_clinical.csv in this folder or in tables/";
    let mut tables = parts(plan, NAMES);
    // The whole table says all that the reduced one does.
    for kind in ["metadata", "clinical"] {
        let is_reduced = |part: &Part| {
            part.path
                .ends_with(format!("EMBED_OpenData_{kind}_reduced.csv"))
        };
        let whole = |part: &Part| part.path.ends_with(format!("EMBED_OpenData_{kind}.csv"));
        if tables.iter().any(whole) {
            tables.retain(|part| !is_reduced(part));
        }
    }
    of_tables(plan, tables, missing, draft)
}

fn draft(fields: &Fields, _: &Part) -> Taken<Draft> {
    let accession = fields.need("acc_anon")?;
    let facts = Facts {
        modality: Some("MG".into()),
        body_part: Some("BREAST".into()),
        sex: fields.get("GENDER_DESC").as_deref().and_then(words::sex),
        age: fields.get("age_at_study").as_deref().and_then(words::age),
        date: fields
            .get("study_date_anon")
            .as_deref()
            .and_then(words::date),
        ..Facts::default()
    };
    let mut draft = Draft {
        key: accession,
        patient: fields.get("empi_anon"),
        facts,
        ..Draft::default()
    };
    if fields.has("anon_dicom_path") || fields.has("png_path") {
        image(fields, &mut draft)?;
    } else {
        finding(fields, &mut draft)?;
    }
    Ok(draft)
}

/// A row of the metadata: one image.
fn image(fields: &Fields, draft: &mut Draft) -> Taken<()> {
    let paths = ["anon_dicom_path", "png_path"]
        .iter()
        .filter_map(|column| fields.get(column));
    let candidates = paths.flat_map(|path| {
        endings(&path)
            .into_iter()
            .flat_map(|path| [path.clone(), format!("images/{path}")])
    });
    let side = fields.get("ImageLateralityFinal");
    let view = fields.get("ViewPosition");
    let words: Vec<String> = [side, view].into_iter().flatten().collect();
    draft.images.push(DraftImage {
        candidates: candidates.collect(),
        view: words::upper(&words.join(" ")),
    });
    let coordinates = fields.get("ROI_coords").unwrap_or_default();
    draft.regions = regions(&coordinates)?;
    Ok(())
}

/// Rectangles of `((ymin, xmin, ymax, xmax), …)` or the same in brackets.
fn regions(text: &str) -> Taken<Vec<Region>> {
    let bad = || Refusal::new("bad_box", "ROI_coords is no list of rectangles");
    let numbers: Vec<f64> = text
        .split(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-')))
        .filter(|word| !word.is_empty())
        .map(|word| word.parse().map_err(|_| bad()))
        .collect::<Taken<_>>()?;
    let (boxes, rest) = numbers.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(bad());
    }
    let region = |&[top, left, bottom, right]: &[f64; 4]| Region {
        image: 0,
        label: "ROI".into(),
        x: left,
        y: top,
        width: right - left,
        height: bottom - top,
    };
    Ok(boxes.iter().map(region).collect())
}

/// A row of the clinical table: one finding.
fn finding(fields: &Fields, draft: &mut Draft) -> Taken<()> {
    if let Some(category) = fields.get("asses") {
        let number = match category.to_uppercase().as_str() {
            "A" => "0",
            "N" => "1",
            "B" => "2",
            "P" => "3",
            "S" => "4",
            "M" => "5",
            "K" => "6",
            // Also `X`, which the legend does not explain.
            _ => return Err(Refusal::new("bad_label", "asses is no BI-RADS category")),
        };
        draft
            .labels
            .push(Label::present(format!("BI-RADS {number}")));
    }
    if let Some(density) = fields.get("tissueden") {
        let letter = match density.as_str() {
            "1" | "1.0" => Some("A"),
            "2" | "2.0" => Some("B"),
            "3" | "3.0" => Some("C"),
            "4" | "4.0" => Some("D"),
            "5" | "5.0" => None, // a normal male breast
            _ => {
                return Err(Refusal::new(
                    "bad_label",
                    "tissueden is no density of 1 to 5",
                ));
            }
        };
        draft
            .labels
            .extend(letter.map(|letter| Label::present(format!("density {letter}"))));
    }
    let severity = fields.get("path_severity").and_then(|text| {
        let names = [
            "invasive cancer",
            "non-invasive cancer",
            "high-risk lesion",
            "borderline lesion",
            "benign",
            "negative",
            "non-breast cancer",
        ];
        names.get(text.parse::<f64>().ok()? as usize).copied()
    });
    draft
        .labels
        .extend(severity.map(|name| Label::present(format!("pathology: {name}"))));
    Ok(())
}
