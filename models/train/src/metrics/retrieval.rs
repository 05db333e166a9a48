//! Retrieval with one correct item per row.

use crate::{Result, TrainError};

/// For each row the number of entries strictly larger than the correct one, which stands on the diagonal.
///
/// - `similarity`: `[n][n]`
pub fn ranks(similarity: &[Vec<f64>]) -> Result<Vec<usize>> {
    let n = similarity.len();
    if n == 0 || similarity.iter().any(|row| row.len() != n) {
        return Err(TrainError::Data(
            "retrieval wants a square similarity matrix".into(),
        ));
    }
    Ok(similarity
        .iter()
        .enumerate()
        .map(|(i, row)| row.iter().filter(|v| **v > row[i]).count())
        .collect())
}

/// The share of rows whose correct item is among the first `k`.
pub fn recall_at_k(k: usize, ranks: &[usize]) -> f64 {
    ranks.iter().filter(|r| **r < k).count() as f64 / ranks.len().max(1) as f64
}

/// The median rank, counted from 1; the mean of the two middle ranks for an even number of rows.
pub fn median_rank(ranks: &[usize]) -> f64 {
    let mut sorted = ranks.to_vec();
    sorted.sort_unstable();
    let n = sorted.len();
    if n == 0 {
        return f64::NAN;
    }
    (sorted[(n - 1) / 2] + sorted[n / 2]) as f64 / 2.0 + 1.0
}
