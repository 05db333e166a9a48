//! What an adapter says of rows, without and with its calibration.

use lucency_train::finetune::{Calibration, Recalibration, Scorer};
use lucency_train::probe::Labels;

use crate::error::Result;

/// Probabilities of rows, `[rows][classes]`.
pub(super) struct Scored {
    /// As the logits say.
    pub plain: Vec<Vec<f64>>,
    /// Calibrated.
    pub calibrated: Vec<Vec<f64>>,
}

impl Scored {
    pub(super) fn of(scorer: &Scorer, logits: &[Vec<f64>]) -> Self {
        Self {
            plain: logits.iter().map(|z| scorer.plain(z)).collect(),
            calibrated: logits.iter().map(|z| scorer.probability(z)).collect(),
        }
    }

    /// What the calibration was worth.
    pub(super) fn worth(
        &self,
        how: Calibration,
        fitted_on: Option<usize>,
        labels: &Labels,
    ) -> Result<Recalibration> {
        let (plain, calibrated) = (&self.plain, &self.calibrated);
        Ok(Recalibration::measure(
            how, fitted_on, plain, calibrated, labels,
        )?)
    }
}

/// Rows that were judged, with their probabilities.
pub(super) struct Judged<'a> {
    pub rows: &'a [usize],
    pub scored: Scored,
    /// The calibration, and the cases that it was fitted on.
    pub calibration: Option<(Calibration, usize)>,
    pub how: &'static str,
}
