//! Classes calibrated one against the rest.

use serde::{Deserialize, Serialize};

use super::calibrate::Calibration;
use crate::calibration::Platt;
use crate::statistics::Isotonic;
use crate::{Result, TrainError};

/// The map from one class's score to its probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreMap {
    /// A sigmoid.
    Platt(Platt),
    /// Steps that rise.
    Isotonic(Isotonic),
}

impl ScoreMap {
    fn apply(&self, score: f64) -> f64 {
        match self {
            Self::Platt(platt) => platt.apply(score),
            Self::Isotonic(map) => map.apply(score),
        }
    }
}

/// A map a class on the log-odds of the class against the rest; probabilities are scaled to sum to one.
///
/// Source: Zadrozny and Elkan 2002, section 4, as scikit-learn's `CalibratedClassifierCV` does it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgainstRest {
    /// `[classes]`.
    maps: Vec<ScoreMap>,
}

impl AgainstRest {
    /// Fits one map a class.
    ///
    /// - `logits`: `[rows][classes]`; `of`: the class of each row
    ///
    /// Errors if there is no row, or as `fit` does.
    pub fn fit(
        logits: &[&[f64]],
        of: &[Option<usize>],
        fit: impl Fn(&[f64], &[bool]) -> Result<ScoreMap>,
    ) -> Result<Self> {
        let classes = logits.first().map_or(0, |row| row.len());
        if classes < 2 {
            return Err(TrainError::Data(
                "calibration wants rows of at least two classes".into(),
            ));
        }
        let map = |class: usize| {
            let scores: Vec<f64> = logits.iter().map(|row| log_odds(row, class)).collect();
            let truth: Vec<bool> = of.iter().map(|c| *c == Some(class)).collect();
            fit(&scores, &truth)
        };
        Ok(Self {
            maps: (0..classes).map(map).collect::<Result<_>>()?,
        })
    }

    /// What its maps are.
    pub(super) fn method(&self) -> Calibration {
        match self.maps.first() {
            Some(ScoreMap::Isotonic(_)) => Calibration::Isotonic,
            _ => Calibration::Platt,
        }
    }

    /// Probabilities of one row of logits; equal ones where every map says zero.
    pub fn apply(&self, logits: &[f64]) -> Vec<f64> {
        let each = self.maps.iter().enumerate();
        let p: Vec<f64> = each
            .map(|(class, map)| map.apply(log_odds(logits, class)))
            .collect();
        let sum: f64 = p.iter().sum();
        match sum > 0.0 {
            true => p.into_iter().map(|p| p / sum).collect(),
            false => vec![1.0 / p.len() as f64; p.len()],
        }
    }
}

/// The class's logit above the logarithm of the others' summed exponentials; 0 of a class that is not there.
fn log_odds(logits: &[f64], class: usize) -> f64 {
    let others = logits.iter().enumerate().filter(|(c, _)| *c != class);
    let others: Vec<f64> = others.map(|(_, z)| *z).collect();
    let top = others.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match logits.get(class) {
        Some(z) if top.is_finite() => {
            z - top - others.iter().map(|z| (z - top).exp()).sum::<f64>().ln()
        }
        _ => 0.0,
    }
}
