//! Isotonic regression: the best non-decreasing map from score to probability.

use serde::{Deserialize, Serialize};

use crate::{Result, TrainError};

/// A non-decreasing, piecewise linear map; level beyond its ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Points")]
pub struct Isotonic {
    scores: Vec<f64>, // ascending, at least one
    values: Vec<f64>, // ascending
}

/// A map as a file states it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Points {
    scores: Vec<f64>,
    values: Vec<f64>,
}

impl TryFrom<Points> for Isotonic {
    type Error = &'static str;

    fn try_from(Points { scores, values }: Points) -> std::result::Result<Self, Self::Error> {
        let finite = scores.iter().chain(&values).all(|v| v.is_finite());
        let (scores_rise, values_rise) = (rises(&scores), rises(&values));
        if scores.is_empty()
            || scores.len() != values.len()
            || !(finite && scores_rise && values_rise)
        {
            return Err(
                "an isotonic map wants as many values as scores, both finite and ascending",
            );
        }
        Ok(Self {
            scores: raised(scores),
            values: raised(values),
        })
    }
}

/// Whether numbers ascend, but for the last digits that a text may lose.
fn rises(numbers: &[f64]) -> bool {
    numbers.is_sorted_by(|a, b| *b >= a - 1e-12 * a.abs())
}

/// Each number at least as large as the one before it.
fn raised(numbers: Vec<f64>) -> Vec<f64> {
    let mut top = f64::NEG_INFINITY;
    let raise = |n: f64| {
        top = top.max(n);
        top
    };
    numbers.into_iter().map(raise).collect()
}

impl Isotonic {
    /// Fits by pooling adjacent violators, least squares; equal scores are pooled first.
    ///
    /// - `scores`, `labels`: `[n]`, finite
    ///
    /// Errors if there is nothing to fit, or a score is not a number.
    /// Source: Ayer et al. 1955; Zadrozny and Elkan 2002 for calibration.
    pub fn fit(scores: &[f64], labels: &[bool]) -> Result<Self> {
        let finite = scores.iter().all(|s| s.is_finite());
        if scores.is_empty() || scores.len() != labels.len() || !finite {
            return Err(TrainError::Data(
                "isotonic regression wants as many finite scores as labels and at least one".into(),
            ));
        }
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        let mut points: Vec<Block> = Vec::new();
        for i in order {
            let label = f64::from(u8::from(labels[i]));
            match points.last_mut() {
                Some(last) if last.first == scores[i] => last.add(label, 1.0),
                _ => points.push(Block {
                    first: scores[i],
                    last: scores[i],
                    sum: label,
                    weight: 1.0,
                }),
            }
        }
        let mut blocks: Vec<Block> = Vec::new();
        for point in points {
            let mut block = point;
            while let Some(before) = blocks.pop_if(|before| before.mean() >= block.mean()) {
                block = Block {
                    first: before.first,
                    last: block.last,
                    sum: before.sum + block.sum,
                    weight: before.weight + block.weight,
                };
            }
            blocks.push(block);
        }
        let (mut at, mut values) = (Vec::new(), Vec::new());
        for block in blocks {
            at.push(block.first);
            values.push(block.mean());
            if block.last > block.first {
                at.push(block.last);
                values.push(block.mean());
            }
        }
        Ok(Self { scores: at, values })
    }

    /// The calibrated probability of a score.
    pub fn apply(&self, score: f64) -> f64 {
        let above = self.scores.partition_point(|s| *s <= score);
        if above == 0 {
            return self.values[0];
        }
        if above == self.scores.len() {
            return self.values[above - 1];
        }
        let (x0, x1) = (self.scores[above - 1], self.scores[above]);
        let (y0, y1) = (self.values[above - 1], self.values[above]);
        y0 + (y1 - y0) * (score - x0) / (x1 - x0)
    }
}

/// Neighbouring scores that share a value.
struct Block {
    first: f64,
    last: f64,
    sum: f64,
    weight: f64,
}

impl Block {
    fn add(&mut self, sum: f64, weight: f64) {
        self.sum += sum;
        self.weight += weight;
    }

    fn mean(&self) -> f64 {
        self.sum / self.weight
    }
}
