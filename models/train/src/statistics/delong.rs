//! DeLong's variance of AUROCs and his test of two on the same cases.

use serde::{Deserialize, Serialize};

use super::bootstrap::Interval;
use super::normal::{normal_cdf, normal_quantile};
use crate::{Result, TrainError};

/// Two AUROCs on the same cases, compared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeLong {
    /// AUROC of the first scores.
    pub first: f64,
    /// AUROC of the second scores.
    pub second: f64,
    /// Variance of the first.
    pub first_variance: f64,
    /// Variance of the second.
    pub second_variance: f64,
    /// Covariance of both.
    pub covariance: f64,
    /// `(first - second) / standard error`; 0 where both scores rank the cases alike.
    pub z: f64,
    /// Two-sided probability of a difference at least as large if there is none.
    pub p: f64,
}

/// Tests whether two scores of the same cases have the same AUROC.
///
/// - `first`, `second`, `labels`: `[n]`
///
/// Cases count as independent: with several images a patient the bootstrap over patients is the safer guide.
/// Errors if the lengths differ or a class has fewer than two cases.
/// Source: DeLong, DeLong and Clarke-Pearson 1988; the algorithm of Sun and Xu 2014.
pub fn delong(first: &[f64], second: &[f64], labels: &[bool]) -> Result<DeLong> {
    let a = Components::of(first, labels)?;
    let b = Components::of(second, labels)?;
    let covariance = a.covariance(&b);
    let (first_variance, second_variance) = (a.covariance(&a), b.covariance(&b));
    let difference = a.auroc - b.auroc;
    let variance = first_variance + second_variance - 2.0 * covariance;
    let z = if variance > 1e-18 {
        difference / variance.sqrt()
    } else if difference.abs() < 1e-12 {
        0.0
    } else {
        f64::INFINITY.copysign(difference)
    };
    Ok(DeLong {
        first: a.auroc,
        second: b.auroc,
        first_variance,
        second_variance,
        covariance,
        z,
        p: 2.0 * normal_cdf(-z.abs()),
    })
}

/// DeLong's normal interval of one AUROC, cut to 0..=1.
///
/// - `scores`, `labels`: `[n]`; `level`: such as 0.95
///
/// Errors as [`delong`].
pub fn delong_interval(scores: &[f64], labels: &[bool], level: f64) -> Result<Interval> {
    let c = Components::of(scores, labels)?;
    let half = normal_quantile(0.5 + 0.5 * level) * c.covariance(&c).sqrt();
    Ok(Interval {
        low: (c.auroc - half).max(0.0),
        high: (c.auroc + half).min(1.0),
    })
}

/// For every case the share of the other class that it stands right to.
struct Components {
    auroc: f64,
    positive: Vec<f64>, // in the order of the positives among the cases
    negative: Vec<f64>,
}

impl Components {
    fn of(scores: &[f64], labels: &[bool]) -> Result<Self> {
        let positives: Vec<usize> = (0..labels.len()).filter(|i| labels[*i]).collect();
        let negatives: Vec<usize> = (0..labels.len()).filter(|i| !labels[*i]).collect();
        if scores.len() != labels.len() || positives.len() < 2 || negatives.len() < 2 {
            return Err(TrainError::Data(
                "DeLong's variance wants at least two cases of each class".into(),
            ));
        }
        let pick = |of: &[usize]| -> Vec<f64> { of.iter().map(|i| scores[*i]).collect() };
        let all = midranks(scores);
        let (m, n) = (positives.len() as f64, negatives.len() as f64);
        let among = midranks(&pick(&positives));
        let positive: Vec<f64> = positives
            .iter()
            .zip(&among)
            .map(|(i, own)| (all[*i] - own) / n)
            .collect();
        let among = midranks(&pick(&negatives));
        let negative: Vec<f64> = negatives
            .iter()
            .zip(&among)
            .map(|(i, own)| 1.0 - (all[*i] - own) / m)
            .collect();
        Ok(Self {
            auroc: positive.iter().sum::<f64>() / m,
            positive,
            negative,
        })
    }

    fn covariance(&self, other: &Self) -> f64 {
        sample_covariance(&self.positive, &other.positive) / self.positive.len() as f64
            + sample_covariance(&self.negative, &other.negative) / self.negative.len() as f64
    }
}

/// Ranks from 1, the mean rank within ties.
fn midranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && values[order[end]] == values[order[start]] {
            end += 1;
        }
        for i in &order[start..end] {
            ranks[*i] = (start + 1 + end) as f64 / 2.0;
        }
        start = end;
    }
    ranks
}

fn sample_covariance(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let sum: f64 = a.iter().zip(b).map(|(x, y)| (x - ma) * (y - mb)).sum();
    sum / (n - 1.0)
}
