//! The rows that can still be among the nearest while only bounds of their cosines are known.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// How many candidates are kept before those that have become impossible are dropped.
const PRUNE: usize = 4096;

/// Rows whose upper bound reaches the `k`-th best lower bound.
#[derive(Debug)]
pub(super) struct Shortlist {
    k: usize,
    /// The `k` best lower bounds, the least on top.
    lower: BinaryHeap<Reverse<Score>>,
    /// Upper bound and row.
    candidates: Vec<(f32, u32)>,
    prune_at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Score(f32);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Shortlist {
    /// A list for the best `k` rows, `k` at least 1.
    pub(super) fn new(k: usize) -> Self {
        Self {
            k,
            lower: BinaryHeap::new(),
            candidates: Vec::new(),
            prune_at: PRUNE,
        }
    }

    /// What a row's upper bound must reach to be a candidate.
    #[inline]
    pub(super) fn bar(&self) -> f32 {
        match self.lower.peek() {
            Some(Reverse(least)) if self.lower.len() == self.k => least.0,
            _ => f32::NEG_INFINITY,
        }
    }

    /// Takes a row whose cosine lies between `lower` and `upper`.
    pub(super) fn offer(&mut self, row: u32, lower: f32, upper: f32) {
        self.raise(Score(lower));
        self.candidates.push((upper, row));
        if self.candidates.len() >= self.prune_at {
            self.prune();
            self.prune_at = PRUNE.max(2 * self.candidates.len());
        }
    }

    fn raise(&mut self, lower: Score) {
        if self.lower.len() < self.k {
            self.lower.push(Reverse(lower));
        } else if self.lower.peek().is_some_and(|least| lower > least.0) {
            self.lower.pop();
            self.lower.push(Reverse(lower));
        }
    }

    fn prune(&mut self) {
        let bar = self.bar();
        self.candidates.retain(|(upper, _)| *upper >= bar);
    }

    /// Both lists together.
    pub(super) fn and(mut self, other: Self) -> Self {
        for Reverse(lower) in other.lower {
            self.raise(lower);
        }
        self.candidates.extend(other.candidates);
        self
    }

    /// The candidates with their upper bounds, the highest first.
    pub(super) fn finish(mut self) -> Vec<(f32, u32)> {
        self.prune();
        self.candidates
            .sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        self.candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_stays_as_long_as_its_bound_allows() {
        let mut list = Shortlist::new(2);
        assert_eq!(list.bar(), f32::NEG_INFINITY, "anything may enter at first");
        list.offer(0, 0.1, 0.3);
        list.offer(1, 0.5, 0.6);
        assert_eq!(list.bar(), 0.1);
        list.offer(2, 0.4, 0.45);
        assert_eq!(list.bar(), 0.4);
        let mut other = Shortlist::new(2);
        other.offer(3, 0.2, 0.41);
        other.offer(4, 0.0, 0.39);
        let rows: Vec<u32> = list.and(other).finish().iter().map(|c| c.1).collect();
        assert_eq!(rows, [1, 2, 3], "0 and 4 cannot reach 0.4, 3 can");
    }

    #[test]
    fn pruning_loses_none_of_the_best() {
        let mut list = Shortlist::new(3);
        // Rising bounds are the worst case: every row is a candidate when it comes.
        for row in 0..50_000u32 {
            list.offer(row, row as f32, row as f32 + 0.5);
        }
        let rows: Vec<u32> = list.finish().iter().map(|c| c.1).collect();
        assert_eq!(rows, [49_999, 49_998, 49_997]);
    }
}
