//! Figures of decisions that [`crate::metrics`] does not have.

use crate::metrics::argmax;
use crate::{Result, TrainError};

/// The largest sensitivity of any threshold whose specificity is at least the one given.
///
/// - `scores`, `labels`: `[n]`, higher means more positive; equal scores fall on one side
/// - `specificity`: in 0..=1
///
/// Errors if the lengths differ or a class is absent.
pub fn sensitivity_at_specificity(
    scores: &[f64],
    labels: &[bool],
    specificity: f64,
) -> Result<f64> {
    let positives = labels.iter().filter(|l| **l).count();
    let negatives = labels.len() - positives;
    if scores.len() != labels.len() || positives == 0 || negatives == 0 {
        return Err(TrainError::Data(
            "sensitivity at a specificity wants scores of both classes".into(),
        ));
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let (mut found, mut false_alarms, mut best) = (0usize, 0usize, 0usize);
    let mut start = 0;
    while start < order.len() {
        let mut end = start;
        while end < order.len() && scores[order[end]] == scores[order[start]] {
            match labels[order[end]] {
                true => found += 1,
                false => false_alarms += 1,
            }
            end += 1;
        }
        // Counted, not divided: 0.9 of 10 negatives is one false alarm, not 0.999….
        let allowed = (1.0 - specificity) * negatives as f64 + 1e-9;
        if false_alarms as f64 <= allowed {
            best = found;
        }
        start = end;
    }
    Ok(best as f64 / positives as f64)
}

/// The F1 of each class when the largest entry of a row decides; 0 for a class that neither occurs nor is called.
///
/// - `scores`: `[n][classes]`; `labels`: `[n]`
///
/// Errors if the lengths differ or are 0.
pub fn per_class_f1(scores: &[Vec<f64>], labels: &[usize]) -> Result<Vec<f64>> {
    if scores.is_empty() || scores.len() != labels.len() {
        return Err(TrainError::Data(format!(
            "F1 wants as many rows as labels and at least one, got {} and {}",
            scores.len(),
            labels.len()
        )));
    }
    let called: Vec<usize> = scores.iter().map(|row| argmax(row)).collect();
    Ok((0..scores[0].len())
        .map(|class| {
            let right = (0..labels.len())
                .filter(|i| called[*i] == class && labels[*i] == class)
                .count();
            let either = called.iter().filter(|c| **c == class).count()
                + labels.iter().filter(|l| **l == class).count();
            match either {
                0 => 0.0,
                n => 2.0 * right as f64 / n as f64,
            }
        })
        .collect())
}
