//! Confidence that can be believed, from the held-out questions.

use serde::{Deserialize, Serialize};

use super::judge::Judged;
use crate::Result;
use crate::calibration::{abstention_threshold, fit_temperature};
use crate::metrics::ece;

/// Accuracy wanted among the answers that are given.
const WANTED_ACCURACY: f64 = 0.8;
/// Share of questions that is answered even if that accuracy cannot be had.
const LEAST_COVERAGE: f64 = 0.2;

/// How confidence is computed and when it is too low.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Divides the logits.
    pub temperature: f64,
    /// Lowest confidence of an answer that is given.
    pub threshold: f64,
    /// Held-out questions.
    pub questions: usize,
    /// Calibration error without the temperature.
    pub ece_before: f64,
    /// Calibration error where each half has the temperature of the other.
    pub ece_after: f64,
    /// Share of the held-out questions at or above the threshold.
    pub coverage: f64,
    /// Accuracy on them.
    pub selective_accuracy: f64,
}

impl Default for Calibration {
    /// Raw probabilities, every question answered.
    fn default() -> Self {
        Self {
            temperature: 1.0,
            threshold: 0.0,
            questions: 0,
            ece_before: 0.0,
            ece_after: 0.0,
            coverage: 1.0,
            selective_accuracy: 0.0,
        }
    }
}

/// Fits temperature and threshold.
///
/// Errors if there is no question.
pub fn calibrate(judged: &Judged) -> Result<Calibration> {
    let right = judged.right();
    let temperature = fit_temperature(&judged.logits, &right)?;
    let confidences = judged.confidences(temperature);
    let threshold = abstention_threshold(&confidences, &right, WANTED_ACCURACY, LEAST_COVERAGE)?;
    let given: Vec<bool> = confidences
        .iter()
        .zip(&right)
        .filter(|(c, _)| **c >= threshold)
        .map(|(_, r)| *r)
        .collect();
    let hits = given.iter().filter(|r| **r).count();
    Ok(Calibration {
        temperature,
        threshold,
        questions: right.len(),
        ece_before: ece(&judged.confidences(1.0), &right)?,
        ece_after: ece(&crossed(judged, &right)?, &right)?,
        coverage: given.len() as f64 / right.len() as f64,
        selective_accuracy: hits as f64 / given.len().max(1) as f64,
    })
}

/// Confidences where each half of the questions has the temperature of the other; a single question has its own.
fn crossed(judged: &Judged, right: &[bool]) -> Result<Vec<f64>> {
    let mut confidences = vec![0.0; right.len()];
    for half in 0..2 {
        let (fit, apply): (Vec<usize>, Vec<usize>) =
            (0..right.len()).partition(|i| i % 2 != half || right.len() == 1);
        if fit.is_empty() || apply.is_empty() {
            continue;
        }
        let logits: Vec<Vec<f64>> = fit.iter().map(|i| judged.logits[*i].clone()).collect();
        let outcomes: Vec<bool> = fit.iter().map(|i| right[*i]).collect();
        let all = judged.confidences(fit_temperature(&logits, &outcomes)?);
        for i in apply {
            confidences[i] = all[i];
        }
    }
    Ok(confidences)
}
