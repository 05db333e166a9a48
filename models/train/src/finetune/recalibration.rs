//! What recalibration was worth on cases that it was not fitted on.

use serde::{Deserialize, Serialize};

use super::calibrate::Calibration;
use crate::Result;
use crate::metrics::{brier_binary, ece_binary};
use crate::probe::Labels;

/// Calibration error and Brier score before and after recalibration, on judged cases.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recalibration {
    /// How logits became probabilities.
    pub method: Calibration,
    /// Cases that the map was fitted on; none if nothing says how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fitted_on: Option<usize>,
    /// Mean calibration error over the classes of plain softmax, or of plain sigmoids, 15 bins.
    pub ece_before: f64,
    /// The same with the map.
    pub ece_after: f64,
    /// Mean Brier score over the classes of plain softmax, or of plain sigmoids.
    pub brier_before: f64,
    /// The same with the map.
    pub brier_after: f64,
}

impl Recalibration {
    /// Measures a map.
    ///
    /// - `before`, `after`: probabilities without and with it, `[rows][classes]`; `labels`: of the judged rows
    ///
    /// Errors if the lengths differ.
    pub fn measure(
        method: Calibration,
        fitted_on: Option<usize>,
        before: &[Vec<f64>],
        after: &[Vec<f64>],
        labels: &Labels,
    ) -> Result<Self> {
        let (ece_before, brier_before) = means(before, labels)?;
        let (ece_after, brier_after) = means(after, labels)?;
        Ok(Self {
            method,
            fitted_on,
            ece_before,
            ece_after,
            brier_before,
            brier_after,
        })
    }
}

/// Calibration error and Brier score, means over the classes; one without a known case counts as 0, as in the report's table.
fn means(probabilities: &[Vec<f64>], labels: &Labels) -> Result<(f64, f64)> {
    let (mut ece, mut brier) = (0.0, 0.0);
    let classes = labels.width();
    for class in 0..classes {
        let (scores, truth): (Vec<f64>, Vec<bool>) = probabilities
            .iter()
            .enumerate()
            .filter_map(|(i, p)| labels.truth(i, class).map(|t| (p[class], t)))
            .unzip();
        if !truth.is_empty() {
            ece += ece_binary(&scores, &truth)?;
            brier += brier_binary(&scores, &truth)?;
        }
    }
    let n = classes.max(1) as f64;
    Ok((ece / n, brier / n))
}
