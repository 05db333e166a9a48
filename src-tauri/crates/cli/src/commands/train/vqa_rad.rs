//! VQA-RAD's questions as training samples: statements made from question and answer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use lucency_train::data::{Caption, Mirror, Sample};
use lucency_train::metrics::vqa::normalise_answer;
use lucency_train::split::{Split, group_of, grouped_split};
use lucency_train::vqa::{Language, QaRecord, QuestionFormat, read as read_records};
use lucency_zoo::preprocess::{Filter, Image8, resize};
use rayon::prelude::*;

use super::prompts::{REGION_SET, REGIONS};

/// Seed of both validation splits.
const SPLIT_SEED: u64 = 20;

/// Images and questions.
pub struct VqaRad {
    /// Small square grey images by file name.
    pub images: BTreeMap<String, Image8>,
    /// The images as stored, for the exact preprocessing.
    pub full: BTreeMap<String, Image8>,
    /// Questions whose image is there.
    pub questions: Vec<QaRecord>,
    /// Indices of questions on images that no training step sees.
    pub by_image: Split,
    /// Indices of questions that no training step sees, on images that are seen with other questions.
    pub by_question: Split,
}

/// Reads `train.json` and `images` below `dir`.
///
/// Errors if they cannot be read; a question whose image is not there is left out.
pub fn read(dir: &Path, side: usize) -> Result<VqaRad> {
    let questions = read_records(
        &dir.join("train.json"),
        QuestionFormat::VqaRad,
        Language::English,
    )?;
    let names: BTreeSet<String> = questions.iter().map(|q| q.image.clone()).collect();
    let full: BTreeMap<String, Image8> = names
        .into_par_iter()
        .filter(|name| dir.join("images").join(name).is_file())
        .map(|name| {
            let path = dir.join("images").join(&name);
            let bytes = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
            let image = Image8::decode(&bytes).with_context(|| format!("{}", path.display()))?;
            Ok((name, image.to_grey()))
        })
        .collect::<Result<_>>()?;
    let images = full
        .iter()
        .map(|(name, image)| {
            (
                name.clone(),
                resize::resize(image, Filter::Bicubic, side, side),
            )
        })
        .collect();
    let questions: Vec<QaRecord> = questions
        .into_iter()
        .filter(|q| full.contains_key(&q.image))
        .collect();
    let groups: Vec<u64> = questions.iter().map(|q| group_of(&q.image)).collect();
    let by_image = grouped_split(&groups, 0.1, SPLIT_SEED);
    let each: Vec<u64> = (0..by_image.train.len() as u64).collect();
    let rest = grouped_split(&each, 0.11, SPLIT_SEED + 1);
    let place = |list: &[usize]| list.iter().map(|i| by_image.train[*i]).collect();
    let by_question = Split {
        train: place(&rest.train),
        held_out: place(&rest.held_out),
    };
    Ok(VqaRad {
        images,
        full,
        questions,
        by_image,
        by_question,
    })
}

/// The images that training sees, with statements from the questions that it may see.
pub fn samples(data: &VqaRad) -> Vec<(u64, Sample)> {
    let mut by_image: BTreeMap<&str, Vec<&QaRecord>> = BTreeMap::new();
    for index in &data.by_question.train {
        let question = &data.questions[*index];
        by_image.entry(&question.image).or_default().push(question);
    }
    by_image
        .into_iter()
        .map(|(name, questions)| {
            let region = match questions[0].organ.as_str() {
                "HEAD" => 0,
                "CHEST" => 1,
                _ => 2,
            };
            let fact = format!("region {}", REGIONS[region].0);
            let mut captions: Vec<Caption> = questions
                .iter()
                .map(|q| Caption {
                    text: statement(&q.question, q.answer()),
                    fact: None,
                })
                .collect();
            captions.push(Caption {
                text: REGIONS[region].1[0].to_string(),
                fact: Some(fact.clone()),
            });
            let sample = Sample {
                image: data.images[name].clone(),
                captions,
                facts: vec![fact],
                claims: Vec::new(),
                places: Vec::new(),
                located: Vec::new(),
                classes: vec![(REGION_SET, region)],
                mirror: Mirror::Never,
            };
            (group_of(name), sample)
        })
        .collect()
}

/// A statement from a question and its answer: "Is there X?" "no" becomes "There is no X."; others keep the question.
pub fn statement(question: &str, answer: &str) -> String {
    let plain = question.trim().trim_end_matches(['?', '.', ' ']);
    let lower = plain.to_lowercase();
    let answer = normalise_answer(answer);
    for (start, verb) in [("is there ", "is"), ("are there ", "are")] {
        if let Some(rest) = lower.strip_prefix(start) {
            let what = rest
                .trim_start_matches("a ")
                .trim_start_matches("an ")
                .trim_start_matches("any ");
            match answer.as_str() {
                "yes" => return format!("There {verb} {what}."),
                "no" => return format!("There {verb} no {what}."),
                _ => {}
            }
        }
    }
    format!("{plain}? {answer}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_or_no_question_becomes_a_statement() {
        assert_eq!(
            statement("Is there a pneumothorax?", "No"),
            "There is no pneumothorax."
        );
        assert_eq!(
            statement("Are there air-fluid levels", "yes"),
            "There are air-fluid levels."
        );
        assert_eq!(
            statement("Where is the lesion?", "Left lobe"),
            "Where is the lesion? left lobe."
        );
    }
}
