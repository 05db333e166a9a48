//! Area under the receiver operating characteristic.

use super::check_lengths;
use crate::{Result, TrainError};

/// The probability that a random positive scores above a random negative; ties count one half.
///
/// - `scores`, `labels`: `[n]`, higher means more positive
///
/// Errors if the lengths differ or one class is absent.
/// Source: Mann and Whitney 1947; equal to the trapezoid rule over the ROC curve.
pub fn auroc(scores: &[f64], labels: &[bool]) -> Result<f64> {
    check_lengths("AUROC", scores.len(), labels.len())?;
    let positives = labels.iter().filter(|l| **l).count();
    let negatives = labels.len() - positives;
    if positives == 0 || negatives == 0 {
        return Err(TrainError::Data(
            "AUROC wants at least one positive and one negative".into(),
        ));
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut rank_sum = 0.0; // of the positives, ranks from 1, mean rank within ties
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && scores[order[end]] == scores[order[start]] {
            end += 1;
        }
        let mean_rank = (start + 1 + end) as f64 / 2.0;
        let tied = order[start..end].iter().filter(|i| labels[**i]).count();
        rank_sum += mean_rank * tied as f64;
        start = end;
    }
    let p = positives as f64;
    Ok((rank_sum - p * (p + 1.0) / 2.0) / (p * negatives as f64))
}

/// The mean AUROC over labels, one column each.
///
/// - `scores`, `labels`: `[n][classes]`
///
/// Errors if a column has one class alone.
pub fn macro_auroc(scores: &[Vec<f64>], labels: &[Vec<bool>]) -> Result<f64> {
    check_lengths("macro AUROC", scores.len(), labels.len())?;
    let classes = scores[0].len();
    let mut sum = 0.0;
    for class in 0..classes {
        let column: Vec<f64> = scores.iter().map(|row| row[class]).collect();
        let truth: Vec<bool> = labels.iter().map(|row| row[class]).collect();
        sum += auroc(&column, &truth)?;
    }
    Ok(sum / classes as f64)
}

/// The AUROC over all (case, label) pairs pooled together.
///
/// - `scores`, `labels`: `[n][classes]`
pub fn auroc_micro(scores: &[Vec<f64>], labels: &[Vec<bool>]) -> Result<f64> {
    check_lengths("micro AUROC", scores.len(), labels.len())?;
    auroc(&scores.concat(), &labels.concat())
}

/// One class against the rest, averaged over classes.
///
/// - `probabilities`: `[n][classes]`; `labels`: `[n]`
pub fn multiclass_auroc_ovr(probabilities: &[Vec<f64>], labels: &[usize]) -> Result<f64> {
    check_lengths("AUROC", probabilities.len(), labels.len())?;
    let classes = probabilities[0].len();
    let truth: Vec<Vec<bool>> = labels
        .iter()
        .map(|l| (0..classes).map(|c| c == *l).collect())
        .collect();
    macro_auroc(probabilities, &truth)
}

/// Each class against each other class, both ways, averaged over pairs.
///
/// - `probabilities`: `[n][classes]`; `labels`: `[n]`
///
/// Source: Hand and Till 2001.
pub fn multiclass_auroc_ovo(probabilities: &[Vec<f64>], labels: &[usize]) -> Result<f64> {
    check_lengths("AUROC", probabilities.len(), labels.len())?;
    let classes = probabilities[0].len();
    let mut sum = 0.0;
    let mut pairs = 0.0;
    let every_pair = (0..classes).flat_map(|a| (0..classes).map(move |b| (a, b)));
    for (a, b) in every_pair.filter(|(a, b)| a != b) {
        let chosen: Vec<usize> = (0..labels.len())
            .filter(|i| labels[*i] == a || labels[*i] == b)
            .collect();
        let scores: Vec<f64> = chosen.iter().map(|i| probabilities[*i][a]).collect();
        let truth: Vec<bool> = chosen.iter().map(|i| labels[*i] == a).collect();
        sum += auroc(&scores, &truth)?;
        pairs += 1.0;
    }
    Ok(sum / pairs)
}
