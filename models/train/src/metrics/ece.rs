//! Expected calibration error.

use super::check_lengths;
use crate::Result;

/// What one confidence bin holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EceBin {
    /// Cases in the bin.
    pub count: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// The share of them that were right.
    pub accuracy: f64,
}

/// Sorts cases into equal-width confidence bins, lower end open, upper end closed; the first one holds 0 too.
///
/// - `confidences`: `[n]` in 0..=1; `right`: `[n]`
///
/// Source: Guo et al. 2017, section 2.
pub fn ece_bins(bins: usize, confidences: &[f64], right: &[bool]) -> Result<Vec<EceBin>> {
    check_lengths("calibration error", confidences.len(), right.len())?;
    let mut sums = vec![(0usize, 0.0f64, 0usize); bins];
    for (confidence, right) in confidences.iter().zip(right) {
        let bin = ((confidence * bins as f64).ceil() as usize).clamp(1, bins) - 1;
        sums[bin].0 += 1;
        sums[bin].1 += confidence;
        sums[bin].2 += usize::from(*right);
    }
    Ok(sums
        .into_iter()
        .map(|(count, confidence, right)| EceBin {
            count,
            confidence: if count == 0 {
                0.0
            } else {
                confidence / count as f64
            },
            accuracy: if count == 0 {
                0.0
            } else {
                right as f64 / count as f64
            },
        })
        .collect())
}

/// The mean gap between confidence and accuracy over 15 bins, weighted by their cases.
///
/// - `confidences`: `[n]`, of the answer given; `right`: `[n]`
pub fn ece(confidences: &[f64], right: &[bool]) -> Result<f64> {
    let bins = ece_bins(15, confidences, right)?;
    let gap: f64 = bins
        .iter()
        .map(|b| b.count as f64 * (b.confidence - b.accuracy).abs())
        .sum();
    Ok(gap / confidences.len() as f64)
}

/// [`ece`] of the positive class's probability.
///
/// - `probabilities`, `labels`: `[n]`
pub fn ece_binary(probabilities: &[f64], labels: &[bool]) -> Result<f64> {
    ece(probabilities, labels)
}
