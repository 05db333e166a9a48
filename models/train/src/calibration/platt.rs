//! Platt scaling of one label's score.

use serde::{Deserialize, Serialize};

use crate::{Result, TrainError};

/// `p = sigmoid(slope · score + offset)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platt {
    /// Factor on the score.
    pub slope: f64,
    /// Added after the factor.
    pub offset: f64,
}

impl Platt {
    /// Fits both numbers by Newton's method on the cross-entropy with Platt's smoothed targets.
    ///
    /// - `scores`, `labels`: `[n]`
    ///
    /// Errors if a class is absent.
    /// Source: Platt 1999; Lin, Lin and Weng 2007 for the targets.
    pub fn fit(scores: &[f64], labels: &[bool]) -> Result<Self> {
        let positives = labels.iter().filter(|l| **l).count() as f64;
        let negatives = labels.len() as f64 - positives;
        if positives == 0.0 || negatives == 0.0 || scores.len() != labels.len() {
            return Err(TrainError::Data(
                "Platt scaling wants scores of both classes".into(),
            ));
        }
        let high = (positives + 1.0) / (positives + 2.0);
        let low = 1.0 / (negatives + 2.0);
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / scores.len() as f64;
        let spread = variance.sqrt().max(1e-9);
        let target = |l: bool| if l { high } else { low };
        let (mut a, mut b) = (0.0, (positives / negatives).ln()); // on the standardised score
        let cost = |a: f64, b: f64| -> f64 {
            scores
                .iter()
                .zip(labels)
                .map(|(s, l)| {
                    let z = a * (s - mean) / spread + b;
                    z.max(0.0) + (-z.abs()).exp().ln_1p() - target(*l) * z
                })
                .sum()
        };
        let mut current = cost(a, b);
        for _ in 0..100 {
            let (mut ga, mut gb, mut haa, mut hab, mut hbb) = (0.0, 0.0, 1e-9, 0.0, 1e-9);
            for (s, l) in scores.iter().zip(labels) {
                let x = (s - mean) / spread;
                let p = 1.0 / (1.0 + (-(a * x + b)).exp());
                let w = p * (1.0 - p);
                ga += (p - target(*l)) * x;
                gb += p - target(*l);
                haa += w * x * x;
                hab += w * x;
                hbb += w;
            }
            let determinant = haa * hbb - hab * hab;
            let da = (hbb * ga - hab * gb) / determinant;
            let db = (haa * gb - hab * ga) / determinant;
            let mut size = 1.0;
            let mut next = cost(a - da, b - db);
            while next > current && size > 1e-10 {
                size *= 0.5;
                next = cost(a - size * da, b - size * db);
            }
            if current - next < 1e-12 {
                break;
            }
            a -= size * da;
            b -= size * db;
            current = next;
        }
        Ok(Self {
            slope: a / spread,
            offset: b - a * mean / spread,
        })
    }

    /// The calibrated probability of a score.
    pub fn apply(&self, score: f64) -> f64 {
        1.0 / (1.0 + (-(self.slope * score + self.offset)).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fitted_probability_matches_the_share_of_positives() {
        let scores: Vec<f64> = (0..200).map(|i| f64::from(i / 100)).collect();
        let labels: Vec<bool> = (0..200)
            .map(|i| if i < 100 { i < 20 } else { i < 180 })
            .collect();
        let platt = Platt::fit(&scores, &labels).unwrap();
        assert!(
            (platt.apply(0.0) - 0.2).abs() < 0.01,
            "{}",
            platt.apply(0.0)
        );
        assert!(
            (platt.apply(1.0) - 0.8).abs() < 0.01,
            "{}",
            platt.apply(1.0)
        );
    }
}
