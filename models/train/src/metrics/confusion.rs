//! Counts of right and wrong decisions, and the rates made of them.

use super::{argmax, check_lengths};
use crate::{Result, TrainError};

/// A two-class confusion table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    /// Positive and called positive.
    pub true_positive: usize,
    /// Negative and called positive.
    pub false_positive: usize,
    /// Negative and called negative.
    pub true_negative: usize,
    /// Positive and called negative.
    pub false_negative: usize,
}

impl Confusion {
    /// Counts decisions: a score above `threshold` is called positive.
    ///
    /// - `scores`, `labels`: `[n]`
    pub fn at(threshold: f64, scores: &[f64], labels: &[bool]) -> Result<Self> {
        check_lengths("a confusion table", scores.len(), labels.len())?;
        let mut table = Self::default();
        for (score, label) in scores.iter().zip(labels) {
            match (*score > threshold, *label) {
                (true, true) => table.true_positive += 1,
                (true, false) => table.false_positive += 1,
                (false, false) => table.true_negative += 1,
                (false, true) => table.false_negative += 1,
            }
        }
        Ok(table)
    }

    /// The share of right decisions.
    pub fn accuracy(&self) -> f64 {
        let right = self.true_positive + self.true_negative;
        ratio(right, right + self.false_positive + self.false_negative)
    }

    /// The share of positives that were called positive (recall).
    pub fn sensitivity(&self) -> f64 {
        ratio(self.true_positive, self.true_positive + self.false_negative)
    }

    /// The share of negatives that were called negative.
    pub fn specificity(&self) -> f64 {
        ratio(self.true_negative, self.true_negative + self.false_positive)
    }

    /// The share of positive calls that were right.
    pub fn precision(&self) -> f64 {
        ratio(self.true_positive, self.true_positive + self.false_positive)
    }

    /// The harmonic mean of precision and sensitivity.
    pub fn f1(&self) -> f64 {
        ratio(
            2 * self.true_positive,
            2 * self.true_positive + self.false_positive + self.false_negative,
        )
    }
}

/// `part / whole`, 0 for an empty whole.
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// The share of rows whose largest entry is the label.
///
/// - `scores`: `[n][classes]`; `labels`: `[n]`
pub fn accuracy(scores: &[Vec<f64>], labels: &[usize]) -> Result<f64> {
    check_lengths("accuracy", scores.len(), labels.len())?;
    let right = scores
        .iter()
        .zip(labels)
        .filter(|(row, label)| argmax(row) == **label)
        .count();
    Ok(ratio(right, labels.len()))
}

/// The share of rows whose label is among the `k` largest entries.
///
/// - `scores`: `[n][classes]`; `labels`: `[n]`
pub fn top_k_accuracy(k: usize, scores: &[Vec<f64>], labels: &[usize]) -> Result<f64> {
    check_lengths("top-k accuracy", scores.len(), labels.len())?;
    let right = scores
        .iter()
        .zip(labels)
        .filter(|(row, label)| row.iter().filter(|v| **v > row[**label]).count() < k)
        .count();
    Ok(ratio(right, labels.len()))
}

/// For each class the share of its rows that were recognised; `None` for a class without rows.
///
/// - `scores`: `[n][classes]`; `labels`: `[n]`
pub fn per_class_recall(scores: &[Vec<f64>], labels: &[usize]) -> Result<Vec<Option<f64>>> {
    check_lengths("recall", scores.len(), labels.len())?;
    let tables = one_versus_rest(scores, labels);
    Ok(tables
        .iter()
        .map(|t| (t.true_positive + t.false_negative > 0).then(|| t.sensitivity()))
        .collect())
}

/// The mean recall over the classes that occur.
///
/// - `scores`: `[n][classes]`; `labels`: `[n]`
pub fn balanced_accuracy(scores: &[Vec<f64>], labels: &[usize]) -> Result<f64> {
    let recalls: Vec<f64> = per_class_recall(scores, labels)?
        .into_iter()
        .flatten()
        .collect();
    if recalls.is_empty() {
        return Err(TrainError::Data("no class occurs".into()));
    }
    Ok(recalls.iter().sum::<f64>() / recalls.len() as f64)
}

/// The mean F1 over classes.
///
/// - `scores`: `[n][classes]`; `labels`: `[n]`
pub fn macro_f1(scores: &[Vec<f64>], labels: &[usize]) -> Result<f64> {
    check_lengths("macro F1", scores.len(), labels.len())?;
    let tables = one_versus_rest(scores, labels);
    Ok(tables.iter().map(Confusion::f1).sum::<f64>() / tables.len() as f64)
}

/// One confusion table a class, deciding for the largest entry.
fn one_versus_rest(scores: &[Vec<f64>], labels: &[usize]) -> Vec<Confusion> {
    let mut tables = vec![Confusion::default(); scores[0].len()];
    for (row, label) in scores.iter().zip(labels) {
        let called = argmax(row);
        for (class, table) in tables.iter_mut().enumerate() {
            match (class == called, class == *label) {
                (true, true) => table.true_positive += 1,
                (true, false) => table.false_positive += 1,
                (false, false) => table.true_negative += 1,
                (false, true) => table.false_negative += 1,
            }
        }
    }
    tables
}
