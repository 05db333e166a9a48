//! Agreement of two readers.

use super::normal_quantile;
use crate::{Result, TrainError};

/// How much a disagreement counts, for classes in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KappaWeights {
    /// Every disagreement alike.
    Plain,
    /// By the distance of the classes.
    Linear,
    /// By the squared distance.
    Quadratic,
}

impl KappaWeights {
    /// What a pair of classes costs.
    fn cost(self, a: usize, b: usize) -> f64 {
        let distance = a.abs_diff(b) as f64;
        match self {
            Self::Plain => f64::from(u8::from(a != b)),
            Self::Linear => distance,
            Self::Quadratic => distance * distance,
        }
    }
}

/// Agreement beyond chance, and how far the figure can be trusted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kappa {
    /// 1 for full agreement, 0 for what chance would give.
    pub value: f64,
    /// Share of cases on which both readers gave the same class.
    pub agreement: f64,
    /// Standard error for large numbers of cases; 0 where the readers agree throughout.
    pub standard_error: f64,
    /// Cases that both read.
    pub cases: usize,
}

impl Kappa {
    /// The interval that holds the true value with probability `level`; none where the readers agree throughout, which says
    /// nothing of how it would be in other cases.
    pub fn interval(&self, level: f64) -> Option<(f64, f64)> {
        let half = normal_quantile(0.5 + level / 2.0) * self.standard_error;
        let within = |x: f64| x.clamp(-1.0, 1.0);
        (self.standard_error > 0.0).then(|| (within(self.value - half), within(self.value + half)))
    }
}

/// Cohen's kappa: agreement beyond chance, 1 for full agreement, 0 for what chance would give.
///
/// - `first`, `second`: the class each reader gave, `[n]`
///
/// Errors if the lengths differ, nothing was read, or both readers gave one and the same class throughout, where kappa has no
/// value.
/// Source: Cohen 1960; Cohen 1968 for weights.
pub fn cohen_kappa(first: &[usize], second: &[usize], weights: KappaWeights) -> Result<f64> {
    measure_kappa(first, second, weights).map(|kappa| kappa.value)
}

/// Cohen's kappa with its standard error.
///
/// - `first`, `second`: the class each reader gave, `[n]`
///
/// Errors as [`cohen_kappa`].
/// Source: Fleiss, Cohen & Everitt 1969, equation 13.
pub fn measure_kappa(first: &[usize], second: &[usize], weights: KappaWeights) -> Result<Kappa> {
    if first.is_empty() || first.len() != second.len() {
        return Err(TrainError::Data(format!(
            "kappa wants the same cases of both readers and at least one, got {} and {}",
            first.len(),
            second.len()
        )));
    }
    let classes = first.iter().chain(second).max().map_or(0, |c| c + 1);
    let n = first.len() as f64;
    let mut cells = vec![vec![0.0; classes]; classes]; // shares
    for (a, b) in first.iter().zip(second) {
        cells[*a][*b] += 1.0 / n;
    }
    let rows: Vec<f64> = cells.iter().map(|row| row.iter().sum()).collect();
    let columns: Vec<f64> = (0..classes)
        .map(|b| cells.iter().map(|row| row[b]).sum())
        .collect();
    let sum = |of: &dyn Fn(usize, usize) -> f64| -> f64 {
        let all = (0..classes).flat_map(|a| (0..classes).map(move |b| (a, b)));
        all.map(|(a, b)| of(a, b)).sum()
    };
    let cost = |a: usize, b: usize| weights.cost(a, b);
    let observed = sum(&|a, b| cost(a, b) * cells[a][b]);
    let expected = sum(&|a, b| cost(a, b) * rows[a] * columns[b]);
    if expected == 0.0 {
        return Err(TrainError::Data(
            "kappa has no value where both readers gave one and the same class throughout".into(),
        ));
    }
    // Equation 13 with agreement weights 1 - cost: what does not depend on the scale of the costs is left.
    let row_cost: Vec<f64> = (0..classes)
        .map(|a| (0..classes).map(|b| columns[b] * cost(a, b)).sum())
        .collect();
    let column_cost: Vec<f64> = (0..classes)
        .map(|b| (0..classes).map(|a| rows[a] * cost(a, b)).sum())
        .collect();
    let squares = sum(&|a, b| {
        let influence = (row_cost[a] + column_cost[b]) * observed - cost(a, b) * expected;
        cells[a][b] * influence * influence
    });
    let spread = (squares - (observed * expected).powi(2)).max(0.0);
    let variance = spread / (n * expected.powi(4));
    let same = first.iter().zip(second).filter(|(a, b)| a == b).count();
    Ok(Kappa {
        value: 1.0 - observed / expected,
        agreement: same as f64 / n,
        standard_error: match observed == 0.0 {
            true => 0.0,
            false => variance.sqrt(),
        },
        cases: first.len(),
    })
}
