//! SLAKE. Source: Liu et al. 2021.
//!
//! ```text
//! train.json, validate.json | validation.json, test.json
//! imgs/xmlab…/source.jpg, imgs/xmlab…/detection.json     boxes: [{"Liver": [x, y, width, height]}, …], pixels
//! imgs/xmlab…/mask.png                                   a grey level for each organ, see mask.txt; the boxes are of it
//! ```
//!
//! That the numbers are sizes and not corners is seen in the published files: the box of `xmlab169`,
//! `[{"Atelectasis": [212.0, 587.0, 247.0, 201.0]}]`, would end above where it begins.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::draft::{Draft, DraftImage, Refusal, Taken};
use super::super::image;
use super::super::plan::ImportPlan;
use super::super::rows::{Rows, of_tables};
use super::super::table::{Fields, Part, read_small};
use super::super::words;
use super::{Names, parts};
use crate::error::Result;
use crate::records::{Facts, Question, Region};

const NAMES: &Names = &[
    ("train.json", Some("train")),
    ("validate.json", Some("validation")),
    ("validation.json", Some("validation")),
    ("test.json", Some("test")),
];

/// Largest file of boxes, bytes.
const MAX_BOXES: u64 = 1 << 20;

pub(super) fn rows(plan: &ImportPlan) -> Result<Rows> {
    let missing = "there is no train.json, validate.json or test.json in this folder";
    let mut reader = Reader {
        root: plan.data.clone(),
        language: plan.language.clone(),
        last: None,
    };
    of_tables(plan, parts(plan, NAMES), missing, move |fields, part| {
        reader.draft(fields, part)
    })
}

struct Reader {
    root: PathBuf,
    language: Option<String>,
    /// The boxes of the image that the last rows were about.
    last: Option<(String, Vec<Region>)>,
}

impl Reader {
    fn draft(&mut self, fields: &Fields, part: &Part) -> Taken<Draft> {
        let language = fields.get("q_lang").map(|language| language.to_lowercase());
        if self.language.is_some() && language != self.language {
            return Err(Refusal::new(
                "other_language",
                "the question is in another language",
            ));
        }
        let name = fields.need("img_name")?;
        let candidates = [
            format!("imgs/{name}"),
            format!("images/{name}"),
            name.clone(),
        ];
        let regions = self.regions(&candidates)?;
        Ok(Draft {
            key: name,
            facts: Facts {
                modality: fields.get("modality").as_deref().and_then(words::modality),
                body_part: fields.get("location").as_deref().and_then(words::body_part),
                split: part.split.map(str::to_owned),
                ..Facts::default()
            },
            images: vec![DraftImage::at(candidates)],
            questions: vec![Question {
                question: fields.need("question")?,
                answer: fields.get("answer"),
                answer_type: fields.get("answer_type").map(|kind| kind.to_uppercase()),
                question_type: fields.get("content_type"),
                language,
                reference: fields.get("qid"),
                split: part.split.map(str::to_owned),
            }],
            regions,
            ..Draft::default()
        })
    }

    fn regions(&mut self, candidates: &[String]) -> Taken<Vec<Region>> {
        let image = image::find(&self.root, candidates)?;
        match &self.last {
            Some((last, regions)) if *last == image => Ok(regions.clone()),
            _ => {
                let regions = boxes(&self.root.join(&image).with_file_name("detection.json"))?;
                self.last = Some((image, regions.clone()));
                Ok(regions)
            }
        }
    }
}

/// The boxes beside an image; none if there is no such file.
fn boxes(path: &Path) -> Taken<Vec<Region>> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let bad = || {
        Refusal::new(
            "bad_box",
            "detection.json beside the image is no list of boxes",
        )
    };
    let bytes = read_small(path, MAX_BOXES)?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    let objects: Vec<&Value> = match &value {
        Value::Array(items) => items.iter().collect(),
        object => vec![object],
    };
    let mut regions = Vec::new();
    for object in objects {
        for (label, numbers) in object.as_object().ok_or_else(bad)? {
            let numbers = numbers.as_array().ok_or_else(bad)?;
            let numbers: Vec<f64> = numbers.iter().filter_map(Value::as_f64).collect();
            let [x, y, width, height] = *numbers.as_slice() else {
                return Err(bad());
            };
            regions.push(Region {
                image: 0,
                label: label.trim().into(),
                x,
                y,
                width,
                height,
            });
        }
    }
    Ok(regions)
}
