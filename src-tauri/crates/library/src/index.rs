//! Nearest neighbours among vectors.

use rayon::prelude::*;

use crate::error::{LibraryError, Result};

/// Finds the vectors that point most nearly the same way.
pub trait VectorIndex: Send + Sync {
    /// Numbers in one vector.
    fn dim(&self) -> usize;

    /// Rows in the index.
    fn len(&self) -> usize;

    /// True if the index has no rows.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `k` rows nearest to `query` by cosine, best first; of equals the lower row comes first.
    ///
    /// - `query`: `[dim]`, any length but zero
    /// - `keep`: which rows may be found
    /// - returns row and cosine, fewer than `k` if fewer may be found
    ///
    /// Errors if the query has another number of dimensions, or no direction.
    fn nearest(
        &self,
        query: &[f32],
        k: usize,
        keep: &(dyn Fn(usize) -> bool + Sync),
    ) -> Result<Vec<(usize, f32)>>;
}

/// Compares the query with every row: exact, and fast enough for some hundred thousand rows.
#[derive(Debug, Clone, PartialEq)]
pub struct ExactIndex {
    dim: usize,
    /// `[rows, dim]`, unit length
    rows: Vec<f32>,
}

impl ExactIndex {
    /// An index of rows that may have any length but zero.
    ///
    /// - `rows`: `[n, dim]`, row-major
    ///
    /// Errors if a row is not finite or has no direction, or if the last row is incomplete.
    pub fn new(dim: usize, mut rows: Vec<f32>) -> Result<Self> {
        if dim == 0 || !rows.len().is_multiple_of(dim) {
            return Err(LibraryError::Vectors(format!(
                "{} numbers are no rows of {dim}",
                rows.len()
            )));
        }
        for (i, row) in rows.chunks_exact_mut(dim).enumerate() {
            normalise(row).map_err(|why| LibraryError::Vectors(format!("row {i} {why}")))?;
        }
        Ok(Self { dim, rows })
    }

    /// The vectors, `[rows, dim]`, unit length.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }
}

impl VectorIndex for ExactIndex {
    fn dim(&self) -> usize {
        self.dim
    }

    fn len(&self) -> usize {
        self.rows.len() / self.dim
    }

    fn nearest(
        &self,
        query: &[f32],
        k: usize,
        keep: &(dyn Fn(usize) -> bool + Sync),
    ) -> Result<Vec<(usize, f32)>> {
        if query.len() != self.dim {
            return Err(LibraryError::Vectors(format!(
                "the query has {} dimensions, the library {}",
                query.len(),
                self.dim
            )));
        }
        let mut query = query.to_vec();
        normalise(&mut query).map_err(|why| LibraryError::Vectors(format!("the query {why}")))?;
        let mut hits: Vec<(usize, f32)> = self
            .rows
            .par_chunks_exact(self.dim)
            .with_min_len(1024)
            .enumerate()
            .filter(|(row, _)| keep(*row))
            .map(|(row, vector)| (row, dot(&query, vector).clamp(-1.0, 1.0)))
            .collect();
        hits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        hits.truncate(k);
        Ok(hits)
    }
}

fn normalise(row: &mut [f32]) -> std::result::Result<(), &'static str> {
    let length = dot(row, row).sqrt();
    if !length.is_finite() {
        return Err("has numbers that are not finite or too large");
    }
    if length < 1e-12 {
        return Err("has no direction: it is zero");
    }
    row.iter_mut().for_each(|x| *x /= length);
    Ok(())
}

/// Always summed in the same order, so that equal rows have equal scores.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut sums = [0.0f32; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}
