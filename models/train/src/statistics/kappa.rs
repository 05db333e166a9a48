//! Agreement of two readers.

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

/// Cohen's kappa: agreement beyond chance, 1 for full agreement, 0 for what chance would give.
///
/// - `first`, `second`: the class each reader gave, `[n]`
///
/// Errors if the lengths differ, nothing was read, or both readers gave one and the same class throughout, where kappa has no
/// value.
/// Source: Cohen 1960; Cohen 1968 for weights.
pub fn cohen_kappa(first: &[usize], second: &[usize], weights: KappaWeights) -> Result<f64> {
    if first.is_empty() || first.len() != second.len() {
        return Err(TrainError::Data(format!(
            "kappa wants the same cases of both readers and at least one, got {} and {}",
            first.len(),
            second.len()
        )));
    }
    let classes = first.iter().chain(second).max().map_or(0, |c| c + 1);
    let mut rows = vec![0.0; classes];
    let mut columns = vec![0.0; classes];
    let mut observed = 0.0;
    let cost = |a: usize, b: usize| -> f64 {
        let distance = a.abs_diff(b) as f64;
        match weights {
            KappaWeights::Plain => f64::from(u8::from(a != b)),
            KappaWeights::Linear => distance,
            KappaWeights::Quadratic => distance * distance,
        }
    };
    for (a, b) in first.iter().zip(second) {
        rows[*a] += 1.0;
        columns[*b] += 1.0;
        observed += cost(*a, *b);
    }
    let n = first.len() as f64;
    let mut expected = 0.0;
    for (a, row) in rows.iter().enumerate() {
        for (b, column) in columns.iter().enumerate() {
            expected += cost(a, b) * row * column / n;
        }
    }
    if expected == 0.0 {
        return Err(TrainError::Data(
            "kappa has no value where both readers gave one and the same class throughout".into(),
        ));
    }
    Ok(1.0 - observed / expected)
}
