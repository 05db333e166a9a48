//! VQA-Med 2019. Source: Ben Abacha et al. 2019 and the README files of the data set.
//!
//! ```text
//! ImageClef-2019-VQA-Med-Training/    All_QA_Pairs_train.txt    image|question|answer
//!                                     QAPairsByCategory/C1_Modality_train.txt …    the same with their category
//!                                     Train_images/synpic….jpg
//! ImageClef-2019-VQA-Med-Validation/  All_QA_Pairs_val.txt, QAPairsByCategory/C1_Modality_val.txt …, Val_images/
//! VQAMed2019Test/                     VQAMed2019_Test_Questions_w_Ref_Answers.txt    image|category|question|answer
//!                                     VQAMed2019_Test_Images/
//! ```

use std::path::PathBuf;

use super::super::draft::{Draft, DraftImage, Taken};
use super::super::plan::ImportPlan;
use super::super::rows::{Rows, of_tables};
use super::super::table::{Fields, Part, Shape};
use crate::error::Result;
use crate::records::{Facts, Question};

/// Folder, name of all pairs, ending of the categories' files, folder of the images, split.
const TRAINING: [[&str; 5]; 2] = [
    [
        "ImageClef-2019-VQA-Med-Training",
        "All_QA_Pairs_train.txt",
        "train",
        "Train_images",
        "train",
    ],
    [
        "ImageClef-2019-VQA-Med-Validation",
        "All_QA_Pairs_val.txt",
        "val",
        "Val_images",
        "validation",
    ],
];

const CATEGORIES: [(&str, &str); 4] = [
    ("C1_Modality", "modality"),
    ("C2_Plane", "plane"),
    ("C3_Organ", "organ"),
    ("C4_Abnormality", "abnormality"),
];

const TEST: &str = "VQAMed2019_Test_Questions_w_Ref_Answers.txt";

const FOLDERS: [&str; 6] = [
    "ImageClef-2019-VQA-Med-Training/Train_images",
    "ImageClef-2019-VQA-Med-Validation/Val_images",
    "VQAMed2019Test/VQAMed2019_Test_Images",
    "Train_images",
    "Val_images",
    "VQAMed2019_Test_Images",
];

pub(super) fn rows(plan: &ImportPlan) -> Result<Rows> {
    let missing = "there is no All_QA_Pairs_train.txt, All_QA_Pairs_val.txt or VQAMed2019_Test_Questions_w_Ref_Answers.txt \
                   in this folder or in the folders of the archives";
    of_tables(plan, tables(plan), missing, draft)
}

fn tables(plan: &ImportPlan) -> Vec<Part> {
    let pairs = |path: PathBuf, split: &'static str, mark: &'static str| Part {
        path,
        split: Some(split),
        shape: Shape::Plain {
            delimiter: b'|',
            columns: &["image", "question", "answer"],
        },
        mark,
    };
    if let Some(table) = &plan.table {
        return vec![pairs(super::table_path(plan, table), "train", "")];
    }
    let mut parts = Vec::new();
    for [folder, all, ending, _, split] in TRAINING {
        for root in [plan.data.join(folder), plan.data.clone()] {
            let by_category = root.join("QAPairsByCategory");
            let before = parts.len();
            for (file, category) in CATEGORIES {
                let path = by_category.join(format!("{file}_{ending}.txt"));
                if path.is_file() {
                    parts.push(pairs(path, split, category));
                }
            }
            let complete = parts.len() == before + CATEGORIES.len();
            let all = root.join(all);
            if !complete && all.is_file() {
                parts.truncate(before);
                parts.push(pairs(all, split, ""));
            }
            if parts.len() > before {
                break;
            }
        }
    }
    for root in [plan.data.join("VQAMed2019Test"), plan.data.clone()] {
        let path = root.join(TEST);
        if path.is_file() {
            parts.push(Part {
                path,
                split: Some("test"),
                shape: Shape::Plain {
                    delimiter: b'|',
                    columns: &["image", "category", "question", "answer"],
                },
                mark: "",
            });
            break;
        }
    }
    parts
}

fn draft(fields: &Fields, part: &Part) -> Taken<Draft> {
    let image = fields.need("image")?;
    let category = match part.mark {
        "" => fields
            .get("category")
            .map(|category| category.to_lowercase()),
        mark => Some(mark.to_owned()),
    };
    let answer = fields.need("answer")?;
    let closed = matches!(answer.to_lowercase().as_str(), "yes" | "no");
    Ok(Draft {
        key: image.clone(),
        facts: Facts {
            split: part.split.map(str::to_owned),
            ..Facts::default()
        },
        images: vec![DraftImage::at(
            FOLDERS.map(|folder| format!("{folder}/{image}.jpg")),
        )],
        questions: vec![Question {
            question: fields.need("question")?,
            answer: Some(answer),
            answer_type: Some(if closed { "CLOSED" } else { "OPEN" }.into()),
            question_type: category,
            language: Some("en".into()),
            reference: None,
            split: part.split.map(str::to_owned),
        }],
        ..Draft::default()
    })
}
