//! Temperature scaling on the likelihood of the class.

use crate::calibration::{golden_section, softmax};
use crate::{Result, TrainError};

/// The temperature with which the logits' softmax gives held-out labels the largest likelihood.
///
/// - `logits`: `[n][classes]`; `labels`: `[n]`
///
/// Found by golden-section search over ln T in -4..=4. Errors on empty input, or if a label is no class.
/// Source: Guo et al. 2017, section 4.2.
pub fn fit_class_temperature(logits: &[Vec<f64>], labels: &[usize]) -> Result<f64> {
    let fits = logits.iter().zip(labels).all(|(row, l)| *l < row.len());
    if logits.is_empty() || logits.len() != labels.len() || !fits {
        return Err(TrainError::Data(
            "fitting a temperature wants a class label for every row and at least one row".into(),
        ));
    }
    let loss = |log_t: f64| -> f64 {
        let t = log_t.exp();
        logits
            .iter()
            .zip(labels)
            .map(|(row, label)| -softmax(row, t)[*label].max(1e-300).ln())
            .sum()
    };
    Ok(golden_section(loss, -4.0, 4.0).exp())
}
