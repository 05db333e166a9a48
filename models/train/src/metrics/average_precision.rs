//! Average precision.

use super::check_lengths;
use crate::{Result, TrainError};

/// Precision summed over the steps in recall, without interpolation; equal scores form one step.
///
/// - `scores`, `labels`: `[n]`
///
/// Errors if there is no positive.
pub fn average_precision(scores: &[f64], labels: &[bool]) -> Result<f64> {
    check_lengths("average precision", scores.len(), labels.len())?;
    let positives = labels.iter().filter(|l| **l).count();
    if positives == 0 {
        return Err(TrainError::Data(
            "average precision wants at least one positive".into(),
        ));
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut sum = 0.0;
    let mut found = 0;
    let mut start = 0;
    while start < order.len() {
        let mut end = start;
        let mut found_here = 0;
        while end < order.len() && scores[order[end]] == scores[order[start]] {
            found_here += usize::from(labels[order[end]]);
            end += 1;
        }
        found += found_here;
        sum += found_here as f64 * found as f64 / end as f64;
        start = end;
    }
    Ok(sum / positives as f64)
}
