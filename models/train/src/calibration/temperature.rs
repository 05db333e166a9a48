//! Temperature scaling.

use crate::{Result, TrainError};

/// Softmax of `logits / temperature`.
pub fn softmax(logits: &[f64], temperature: f64) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exps: Vec<f64> = logits
        .iter()
        .map(|v| ((v - top) / temperature).exp())
        .collect();
    let sum: f64 = exps.iter().sum();
    exps.into_iter().map(|e| e / sum).collect()
}

/// The temperature with which the top answer's probability says best how often the top answer is right: the least
/// negative log-likelihood of "right" and "wrong" on held-out rows.
///
/// - `logits`: `[n][classes]`, very negative for a class that is out of the question
/// - `right`: `[n]`, whether the largest entry is the expected class; wrong too where the expected class is not in the list
///
/// Errors on empty input. Found by golden-section search over ln T in -3..=3.
/// Source: Guo et al. 2017, section 4.2, with the likelihood of the decision in place of the class's.
pub fn fit_temperature(logits: &[Vec<f64>], right: &[bool]) -> Result<f64> {
    if logits.is_empty() || logits.len() != right.len() {
        return Err(TrainError::Data(
            "fitting a temperature wants as many rows as outcomes and at least one".into(),
        ));
    }
    let loss = |log_t: f64| -> f64 {
        let t = log_t.exp();
        logits
            .iter()
            .zip(right)
            .map(|(row, right)| {
                let top = softmax(row, t).into_iter().fold(0.0, f64::max);
                let p = if *right { top } else { 1.0 - top };
                -p.max(1e-6).ln()
            })
            .sum()
    };
    Ok(golden_section(loss, -3.0, 3.0).exp())
}

/// The minimum of a function with one valley.
pub(crate) fn golden_section(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let mut a = high - ratio * (high - low);
    let mut b = low + ratio * (high - low);
    let (mut fa, mut fb) = (f(a), f(b));
    while high - low > 1e-6 {
        if fa < fb {
            high = b;
            (b, fb) = (a, fa);
            a = high - ratio * (high - low);
            fa = f(a);
        } else {
            low = a;
            (a, fa) = (b, fb);
            b = low + ratio * (high - low);
            fb = f(b);
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overconfident_logits_get_the_temperature_that_matches_their_accuracy() {
        // Ten rows with odds e^4, seven of them right: the best temperature makes the odds 7 to 3.
        let logits = vec![vec![4.0, 0.0]; 10];
        let right: Vec<bool> = (0..10).map(|i| i < 7).collect();
        let t = fit_temperature(&logits, &right).unwrap();
        assert!((t - 4.0 / (7.0f64 / 3.0).ln()).abs() < 1e-4, "got {t}");
    }
}
