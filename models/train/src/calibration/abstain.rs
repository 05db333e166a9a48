//! When to say "I do not know".

use crate::{Result, TrainError};

/// The lowest confidence from which the answers given are right often enough.
///
/// - `confidences`, `right`: `[n]`, on validation questions
/// - `accuracy`: wanted among the answers given, in 0..=1
/// - `least_coverage`: the share of questions that must still be answered; if the accuracy cannot be had at
///   this coverage, the threshold is the one that answers just this share
///
/// Errors on empty input.
/// Source: Geifman and El-Yaniv 2017, selective classification, without the confidence bound.
pub fn abstention_threshold(
    confidences: &[f64],
    right: &[bool],
    accuracy: f64,
    least_coverage: f64,
) -> Result<f64> {
    if confidences.is_empty() || confidences.len() != right.len() {
        return Err(TrainError::Data(
            "a threshold wants as many confidences as outcomes and at least one".into(),
        ));
    }
    let mut order: Vec<usize> = (0..confidences.len()).collect();
    order.sort_by(|a, b| confidences[*b].total_cmp(&confidences[*a]));
    let least = ((order.len() as f64 * least_coverage).ceil() as usize).clamp(1, order.len());
    let mut hits = 0usize;
    let mut best = least;
    for (given, index) in order.iter().enumerate() {
        hits += usize::from(right[*index]);
        let given = given + 1;
        if given >= least && hits as f64 >= accuracy * given as f64 {
            best = given;
        }
    }
    Ok(confidences[order[best - 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_answers_as_much_as_the_accuracy_allows() {
        let confidences = [0.9, 0.8, 0.7, 0.6, 0.5];
        let right = [true, true, false, true, false];
        assert_eq!(
            abstention_threshold(&confidences, &right, 0.75, 0.2).unwrap(),
            0.6
        );
        assert_eq!(
            abstention_threshold(&confidences, &right, 1.0, 0.2).unwrap(),
            0.8
        );
        assert_eq!(
            abstention_threshold(&confidences, &right, 1.0, 0.8).unwrap(),
            0.6
        );
    }
}
