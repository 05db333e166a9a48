//! VQA-RAD. Source: Lau et al. 2018, and the split of MEVF (Nguyen et al. 2019), which PubMedCLIP uses.
//!
//! ```text
//! VQA_RAD Dataset Public.json, VQA_RAD Image Folder/synpic….jpg     as published; `phrase_type` names the test questions
//! trainset.json | train.json, testset.json | test.json, images/     as split
//! ```

use super::super::draft::{Draft, DraftImage, Refusal, Taken};
use super::super::plan::ImportPlan;
use super::super::rows::{Rows, of_tables};
use super::super::table::{Fields, Part};
use super::super::words;
use super::{Names, parts};
use crate::error::Result;
use crate::records::{Facts, Question};

const NAMES: &Names = &[
    ("VQA_RAD Dataset Public.json", None),
    ("train.json", Some("train")),
    ("trainset.json", Some("train")),
    ("val.json", Some("validation")),
    ("valset.json", Some("validation")),
    ("test.json", Some("test")),
    ("testset.json", Some("test")),
];

const FOLDERS: [&str; 3] = ["images", "VQA_RAD Image Folder", "."];

pub(super) fn rows(plan: &ImportPlan) -> Result<Rows> {
    let missing =
        "there is no train.json, trainset.json or \"VQA_RAD Dataset Public.json\" in this folder";
    of_tables(plan, parts(plan, NAMES), missing, draft)
}

fn draft(fields: &Fields, part: &Part) -> Taken<Draft> {
    let image = fields.need("image_name")?;
    let split = part.split.map(str::to_owned).or_else(|| {
        // As published: `test_freeform` and `test_para` are the test questions.
        let test = fields.get("phrase_type")?.starts_with("test");
        Some(if test { "test" } else { "train" }.to_owned())
    });
    let question = Question {
        question: fields.need("question")?,
        answer: fields.get("answer"),
        // Some entries have a blank at the end.
        answer_type: fields.get("answer_type").map(|kind| kind.to_uppercase()),
        question_type: fields.get("question_type"),
        language: Some("en".into()),
        reference: fields.get("qid"),
        split,
    };
    if question.answer.is_none() && question.split.as_deref() != Some("test") {
        return Err(Refusal::new("missing_field", "the question has no answer"));
    }
    // The split is the question's, not the case's: test questions are asked of images that also occur in training.
    Ok(Draft {
        key: image.clone(),
        // The address names the MedPix case; several images can show one patient.
        patient: fields.get("image_case_url"),
        facts: Facts {
            body_part: fields
                .get("image_organ")
                .as_deref()
                .and_then(words::body_part),
            ..Facts::default()
        },
        images: vec![DraftImage::at(
            FOLDERS.map(|folder| format!("{folder}/{image}")),
        )],
        questions: vec![question],
        ..Draft::default()
    })
}
