//! Question answering on VQA-RAD's layout: accuracy by answer type, calibration, abstention, and what the image is worth.

use std::collections::BTreeMap;
use std::path::Path;

use lucency_nn::{Interrupt, Progress};
use lucency_train::metrics::vqa::{ScoredAnswer, VqaQuestion, read_questions, same_answer, score};
use serde::Serialize;

use super::ImageFolder;
use crate::assistant::Assistant;
use crate::error::{AssistantError, Result};
use crate::picture::{self, Picture};

/// Whether the answers are measured without their images too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VqaControls {
    /// Only with the right images.
    Off,
    /// Also with a blank image, and with the images shuffled among the questions.
    BlankAndShuffled,
}

/// Rates as fractions of 1.
#[derive(Debug, Clone, Serialize)]
pub struct VqaReport {
    /// Questions.
    pub n: usize,
    /// Accuracy on open questions.
    pub open: Option<f64>,
    /// Accuracy on closed questions.
    pub closed: Option<f64>,
    /// Accuracy on all questions.
    pub overall: f64,
    /// Expected calibration error of the top answer, 15 bins.
    pub ece: f64,
    /// Share of the questions that were answered.
    pub coverage: f64,
    /// Accuracy on the questions that were answered.
    pub selective_accuracy: Option<f64>,
    /// Share of the questions whose answer carries "image made no difference".
    pub image_made_no_difference: f64,
    /// Questions and accuracy by question type.
    pub by_question_type: BTreeMap<String, (usize, f64)>,
    /// Accuracy with a blank image: what the question alone is worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blank_image: Option<ControlReport>,
    /// Accuracy with another question's image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shuffled_image: Option<ControlReport>,
}

/// Accuracy of a control, fractions of 1.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ControlReport {
    /// On open questions.
    pub open: Option<f64>,
    /// On closed questions.
    pub closed: Option<f64>,
    /// On all questions.
    pub overall: f64,
}

struct Outcome {
    scored: ScoredAnswer,
    no_difference: bool,
}

/// Answers every question of `questions` on the images below `data` and scores the answers.
///
/// Errors if a file is missing or not in VQA-RAD's form, or with [`AssistantError::Stopped`] when `stop` is pressed.
pub fn evaluate_vqa(
    assistant: &Assistant,
    data: &Path,
    questions: &Path,
    controls: VqaControls,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<VqaReport> {
    let questions = read_questions(questions)?;
    let folder = ImageFolder::open(data)?;
    let mut pictures: BTreeMap<&str, Picture> = BTreeMap::new();
    for question in &questions {
        if !pictures.contains_key(question.image.as_str()) {
            let picture = picture::open(folder.find(&question.image)?, 1)?;
            pictures.insert(&question.image, picture);
        }
    }
    let mut answer_all = |stage: &str, image: &dyn Fn(usize) -> Picture| -> Result<Vec<Outcome>> {
        let total = questions.len() as u64;
        let mut outcomes = Vec::with_capacity(questions.len());
        for (i, question) in questions.iter().enumerate() {
            if stop.is_stopped() {
                return Err(AssistantError::Stopped);
            }
            report(Progress::new(stage, i as u64, total));
            outcomes.push(outcome(assistant, question, &image(i))?);
        }
        Ok(outcomes)
    };

    let own = |i: usize| pictures[questions[i].image.as_str()].clone();
    let outcomes = answer_all("answering", &own)?;
    let scored: Vec<ScoredAnswer> = outcomes.iter().map(|o| o.scored).collect();
    let rates = score(&scored)?;
    let no_difference = outcomes.iter().filter(|o| o.no_difference).count();

    let mut by_type: BTreeMap<String, (usize, f64)> = BTreeMap::new();
    for (question, answer) in questions.iter().zip(&scored) {
        for kind in question
            .question_type
            .split(',')
            .map(str::trim)
            .filter(|k| !k.is_empty())
        {
            let entry = by_type.entry(kind.to_owned()).or_default();
            entry.0 += 1;
            entry.1 += f64::from(u8::from(answer.right));
        }
    }
    for (n, right) in by_type.values_mut() {
        *right /= *n as f64;
    }

    let (blank_image, shuffled_image) = match controls {
        VqaControls::Off => (None, None),
        VqaControls::BlankAndShuffled => {
            let blank = |_: usize| picture::blank();
            let blank = control(&answer_all("with a blank image", &blank)?)?;
            // Half the distinct images further on: never its own, and the same in every run.
            let names: Vec<&str> = pictures.keys().copied().collect();
            let other = |i: usize| {
                let at = names
                    .binary_search(&questions[i].image.as_str())
                    .unwrap_or(0);
                pictures[names[(at + names.len().div_ceil(2)) % names.len()]].clone()
            };
            let shuffled = control(&answer_all("with shuffled images", &other)?)?;
            (Some(blank), Some(shuffled))
        }
    };
    Ok(VqaReport {
        n: rates.n,
        open: rates.open,
        closed: rates.closed,
        overall: rates.overall,
        ece: rates.ece,
        coverage: rates.coverage,
        selective_accuracy: rates.selective_accuracy,
        image_made_no_difference: no_difference as f64 / questions.len() as f64,
        by_question_type: by_type,
        blank_image,
        shuffled_image,
    })
}

fn outcome(assistant: &Assistant, question: &VqaQuestion, picture: &Picture) -> Result<Outcome> {
    let answer = assistant.decide(picture, &question.question)?;
    Ok(Outcome {
        scored: ScoredAnswer {
            answer_type: question.answer_type,
            right: same_answer(&answer.best().answer, &question.answer),
            confidence: answer.best().confidence,
            abstained: answer.abstained,
        },
        no_difference: answer.image_made_no_difference,
    })
}

fn control(outcomes: &[Outcome]) -> Result<ControlReport> {
    let scored: Vec<ScoredAnswer> = outcomes.iter().map(|o| o.scored).collect();
    let rates = score(&scored)?;
    Ok(ControlReport {
        open: rates.open,
        closed: rates.closed,
        overall: rates.overall,
    })
}
