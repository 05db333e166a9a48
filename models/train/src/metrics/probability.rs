//! Scores of stated probabilities.

use super::check_lengths;
use crate::Result;

/// The mean squared distance of a probability from its outcome.
///
/// - `probabilities`, `labels`: `[n]`
///
/// Source: Brier 1950.
pub fn brier_binary(probabilities: &[f64], labels: &[bool]) -> Result<f64> {
    check_lengths("the Brier score", probabilities.len(), labels.len())?;
    let sum: f64 = probabilities
        .iter()
        .zip(labels)
        .map(|(p, l)| (p - f64::from(u8::from(*l))).powi(2))
        .sum();
    Ok(sum / labels.len() as f64)
}

/// The squared distance to the one-hot outcome, summed over classes and averaged over rows.
///
/// - `probabilities`: `[n][classes]`; `labels`: `[n]`
pub fn brier_multiclass(probabilities: &[Vec<f64>], labels: &[usize]) -> Result<f64> {
    check_lengths("the Brier score", probabilities.len(), labels.len())?;
    let mut sum = 0.0;
    for (row, label) in probabilities.iter().zip(labels) {
        for (class, p) in row.iter().enumerate() {
            sum += (p - f64::from(u8::from(class == *label))).powi(2);
        }
    }
    Ok(sum / labels.len() as f64)
}

/// The mean negative log probability of the outcome, in nats; probabilities are kept off 0 and 1 by 1e-15.
///
/// - `probabilities`, `labels`: `[n]`
pub fn log_loss_binary(probabilities: &[f64], labels: &[bool]) -> Result<f64> {
    check_lengths("log loss", probabilities.len(), labels.len())?;
    let sum: f64 = probabilities
        .iter()
        .zip(labels)
        .map(|(p, l)| {
            let p = p.clamp(1e-15, 1.0 - 1e-15);
            if *l { -p.ln() } else { -(1.0 - p).ln() }
        })
        .sum();
    Ok(sum / labels.len() as f64)
}
