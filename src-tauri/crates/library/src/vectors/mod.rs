//! Nearest neighbours among vectors, from a handful to millions.
//!
//! [`VectorIndex`] is the seam: callers know identifiers, vectors and cosines, not how they are kept.
//! [`PartitionedIndex`] is the implementation. It keeps 16-bit vectors in two planes (`rows`), scans
//! one of them with whole-number instructions (`kernels`) and scores from both the few rows that its
//! error bound leaves (`shortlist`); a large index leaves the other plane in its file (`low`). From some size on rows lie in lists around centroids
//! (`partition`), and a search may read only the lists nearest to the query. `file` keeps an index on
//! disk, one file for each pack and generation.

mod body;
mod calibrate;
mod file;
mod finder;
pub mod fusion;
mod index;
mod kernels;
mod low;
mod partition;
mod rows;
mod shelf;
mod shortlist;

pub use file::IndexKey;
pub use index::{APPROXIMATE_FROM, PartitionedIndex};
pub(crate) use rows::unit;
pub use shelf::{IndexShelf, Opened, Rebuilt};

use crate::error::Result;

/// Finds the vectors that point most nearly the same way.
pub trait VectorIndex: Send + Sync {
    /// Numbers in one vector.
    fn dim(&self) -> usize;

    /// Vectors in the index.
    fn len(&self) -> usize;

    /// True if the index has no vectors.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a vector under an identifier.
    ///
    /// - `vector`: `[dim]`, any length but zero
    ///
    /// Errors if it has another number of dimensions or no direction, or if the identifier is taken.
    fn add(&mut self, id: u64, vector: &[f32]) -> Result<()>;

    /// Removes a vector, and what was kept of it; false if there is none under the identifier.
    fn remove(&mut self, id: u64) -> bool;

    /// The `k` vectors nearest to `query` by cosine, best first; of equals the lower identifier.
    ///
    /// - `query`: `[dim]`, any length but zero
    /// - `keep`: which identifiers may be found
    /// - returns fewer than `k` if fewer may be found
    ///
    /// Errors if the query has another number of dimensions, or no direction.
    fn search(
        &self,
        query: &[f32],
        k: usize,
        effort: Effort,
        keep: &Keep<'_>,
    ) -> Result<Vec<Neighbour>>;

    /// Bytes of memory that the index takes.
    fn memory_bytes(&self) -> usize;
}

/// Whether an identifier may be found.
pub type Keep<'a> = dyn Fn(u64) -> bool + Sync + 'a;

/// One vector that a search found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Its identifier.
    pub id: u64,
    /// Cosine with the query, -1 to 1.
    pub cosine: f32,
}

/// How thoroughly to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// Approximately where the index has lists and the filter leaves most vectors, else exactly.
    #[default]
    Automatic,
    /// Every vector is considered: no other is nearer than those found.
    Exact,
    /// Only the lists nearest to the query, as many as the index found to be enough for its own
    /// vectors; exactly where the index has no lists or the filter leaves few vectors.
    Approximate,
}

/// How far a long operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Building {
    /// What is being done, in a word or two.
    pub stage: &'static str,
    /// Units done in this stage.
    pub done: u64,
    /// Units in this stage, 0 when unknown.
    pub total: u64,
}

/// How a long operation is watched: `stop` is asked again and again and ends it when true, `report`
/// is told how far it is.
pub struct Watch<'a> {
    /// True once the operation shall end.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Takes the progress.
    pub report: &'a mut dyn FnMut(Building),
}

impl Watch<'_> {
    fn stopped(&self) -> bool {
        (self.stop)()
    }

    fn at(&mut self, stage: &'static str, done: usize, total: usize) {
        (self.report)(Building {
            stage,
            done: done as u64,
            total: total as u64,
        });
    }
}
