//! How well images find their reports and reports their images.
//!
//! The protocol is that of image–caption retrieval on radiographs (UMD, table 2; M3AE, Chen et al. 2022):
//! every query is ranked against the pool of all pairs, without candidates chosen beforehand. Recall@k
//! is the share of queries whose own counterpart is among the first k.

use rayon::prelude::*;
use serde::Serialize;

use super::{Bootstrap, Interval, bootstrap};
use crate::metrics::{median_rank, recall_at_k};
use crate::{Result, TrainError};

/// Where a query's counterpart came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Counted from 1; a wrong candidate with the same cosine comes before.
    pub rank: usize,
    /// Candidates that would have been right.
    pub right: usize,
    /// Cosine of the best right candidate.
    pub cosine: f32,
    /// Cosine of the best candidate of all.
    pub best: f32,
}

/// Ranks the pool for every query.
///
/// - `queries`: `[n][dim]`, `pool`: `[m][dim]`, any length but zero
/// - `right`: whether pool entry `j` is a counterpart of query `i`; of several the best counts, and the
///   others are no wrong candidates
///
/// Errors if a vector has no direction or another number of dimensions, or if a query has no counterpart.
pub fn rank_all(
    queries: &[Vec<f32>],
    pool: &[Vec<f32>],
    right: &(dyn Fn(usize, usize) -> bool + Sync),
) -> Result<Vec<Ranked>> {
    let dim = queries.first().map_or(1, Vec::len);
    let units = |vectors: &[Vec<f32>]| -> Result<Vec<Vec<f32>>> {
        let unit = |(i, v): (usize, &Vec<f32>)| {
            unit(v, dim)
                .ok_or_else(|| bad(format!("vector {i} has no direction or another length")))
        };
        vectors.iter().enumerate().map(unit).collect()
    };
    let (queries, pool) = (units(queries)?, units(pool)?);
    let rank = |(i, query): (usize, &Vec<f32>)| {
        let cosines: Vec<f32> = pool.iter().map(|entry| dot(query, entry)).collect();
        let (mut cosine, mut best, mut count) = (f32::NEG_INFINITY, f32::NEG_INFINITY, 0);
        for (j, &c) in cosines.iter().enumerate() {
            best = best.max(c);
            if right(i, j) {
                cosine = cosine.max(c);
                count += 1;
            }
        }
        if count == 0 {
            return Err(bad(format!("query {i} has no counterpart in the pool")));
        }
        let wrong = cosines.iter().enumerate();
        let before = wrong
            .filter(|(j, c)| **c >= cosine && !right(i, *j))
            .count();
        Ok(Ranked {
            rank: before + 1,
            right: count,
            cosine,
            best,
        })
    };
    queries.par_iter().enumerate().map(rank).collect()
}

/// A figure with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// From all queries.
    pub value: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
}

/// Recall as fractions of 1, and the median rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Retrieval {
    /// Share of queries whose counterpart came first.
    pub recall_at_1: Estimate,
    /// Among the first 5.
    pub recall_at_5: Estimate,
    /// Among the first 10.
    pub recall_at_10: Estimate,
    /// Median of the counterparts' ranks; the mean of the middle two of an even number.
    pub median_rank: Estimate,
    /// What recall@10 would be if the pool came in random order.
    pub chance_at_10: f64,
}

/// Recall and median rank with intervals over patients; see [`bootstrap`].
///
/// - `ranked`: of every query, `pool`: number of candidates
/// - `patients`: of every query, any numbering
///
/// Errors if there is not one patient for each query, or as [`bootstrap`] does.
pub fn measure_retrieval(
    ranked: &[Ranked],
    pool: usize,
    patients: &[u64],
    plan: &Bootstrap,
) -> Result<Retrieval> {
    if ranked.is_empty() || ranked.len() != patients.len() {
        return Err(bad(format!(
            "{} queries of {} patients cannot be measured",
            ranked.len(),
            patients.len()
        )));
    }
    let before: Vec<usize> = ranked.iter().map(|r| r.rank - 1).collect();
    let estimate = |figure: &(dyn Fn(&[usize]) -> f64 + Sync)| -> Result<Estimate> {
        let of = |cases: &[usize]| {
            let drawn: Vec<usize> = cases.iter().map(|i| before[*i]).collect();
            Some(figure(&drawn))
        };
        let Interval { low, high } = bootstrap(patients, plan, of)?;
        Ok(Estimate {
            value: figure(&before),
            low,
            high,
        })
    };
    let chance = ranked
        .iter()
        .map(|r| chance(pool, r.right, 10))
        .sum::<f64>();
    Ok(Retrieval {
        recall_at_1: estimate(&|ranks| recall_at_k(1, ranks))?,
        recall_at_5: estimate(&|ranks| recall_at_k(5, ranks))?,
        recall_at_10: estimate(&|ranks| recall_at_k(10, ranks))?,
        median_rank: estimate(&median_rank)?,
        chance_at_10: chance / ranked.len() as f64,
    })
}

fn bad(what: String) -> TrainError {
    TrainError::Data(what)
}

/// The vector at length 1; none if it has no direction or not `dim` entries.
fn unit(v: &[f32], dim: usize) -> Option<Vec<f32>> {
    let length = v.iter().map(|x| x * x).sum::<f32>().sqrt();
    (v.len() == dim && length.is_normal()).then(|| v.iter().map(|x| x / length).collect())
}

/// The chance that at least one of `right` among `pool` candidates in random order is in the first `k`.
fn chance(pool: usize, right: usize, k: usize) -> f64 {
    let missed = |i: usize| (pool.saturating_sub(right + i)) as f64 / (pool - i) as f64;
    1.0 - (0..k.min(pool)).map(missed).product::<f64>()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(degrees: f32) -> Vec<f32> {
        let radians = degrees.to_radians();
        vec![3.0 * radians.cos(), 3.0 * radians.sin()]
    }

    #[test]
    fn ranks_are_those_counted_by_hand() {
        let queries = [at(0.0), at(50.0), at(90.0)];
        let pool = [at(10.0), at(45.0), at(60.0)];
        let ranked = rank_all(&queries, &pool, &|i, j| i == j).unwrap();
        // From 0°: 10, 45, 60; from 50°: 45 (5° off), 60; from 90°: 60 (30° off), 45.
        assert_eq!(ranked.iter().map(|r| r.rank).collect::<Vec<_>>(), [1, 1, 1]);
        let ranked = rank_all(&queries, &pool, &|i, j| i + j == 2).unwrap();
        // 0° wants 60°: last; 50° wants 45°: first; 90° wants 10°: last.
        assert_eq!(ranked.iter().map(|r| r.rank).collect::<Vec<_>>(), [3, 1, 3]);
        assert!((ranked[0].cosine - 0.5).abs() < 1e-6, "cos 60°");
        assert!((ranked[0].best - 10f32.to_radians().cos()).abs() < 1e-6);
    }

    #[test]
    fn the_best_of_several_counterparts_counts_and_ties_count_against() {
        let pool = [at(80.0), at(20.0), at(40.0), at(10.0)];
        let right = |_: usize, j: usize| j < 2;
        let ranked = rank_all(&[at(0.0)], &pool, &right).unwrap();
        assert_eq!(
            (ranked[0].rank, ranked[0].right),
            (2, 2),
            "10° is before 20°"
        );
        let same = vec![at(30.0); 5];
        let ranked = rank_all(&[at(0.0)], &same, &|_, j| j == 2).unwrap();
        assert_eq!(
            ranked[0].rank, 5,
            "a model that sees no difference is no better than last"
        );
        assert!(rank_all(&[at(0.0)], &pool, &|_, _| false).is_err());
        assert!(rank_all(&[vec![0.0, 0.0]], &pool, &right).is_err());
    }

    fn of(ranks: &[usize]) -> Vec<Ranked> {
        let ranked = |&rank: &usize| Ranked {
            rank,
            right: 1,
            cosine: 0.0,
            best: 0.0,
        };
        ranks.iter().map(ranked).collect()
    }

    #[test]
    fn recall_and_median_are_those_counted_by_hand() {
        let plan = Bootstrap::default();
        let ranked = of(&[1, 1, 2, 5, 6, 10, 11, 40]);
        let found = measure_retrieval(&ranked, 40, &[0, 1, 2, 3, 4, 5, 6, 7], &plan).unwrap();
        assert_eq!(found.recall_at_1.value, 2.0 / 8.0);
        assert_eq!(found.recall_at_5.value, 4.0 / 8.0);
        assert_eq!(found.recall_at_10.value, 6.0 / 8.0);
        assert_eq!(found.median_rank.value, 5.5);
        assert!(found.median_rank.low < 5.5 && found.median_rank.high > 5.5);
        assert!((found.chance_at_10 - 0.25).abs() < 1e-12, "10 of 40");
        let odd = measure_retrieval(&of(&[9, 1, 4]), 40, &[0, 1, 2], &plan).unwrap();
        assert_eq!(odd.median_rank.value, 4.0);
        assert!(measure_retrieval(&[], 3, &[], &plan).is_err());
        assert!(measure_retrieval(&of(&[1]), 3, &[], &plan).is_err());
    }

    #[test]
    fn chance_is_that_of_drawing_without_replacement() {
        // Two right of five, two drawn: 1 - 3/5 · 2/4.
        assert!((chance(5, 2, 2) - 0.7).abs() < 1e-12);
        assert_eq!(chance(5, 5, 1), 1.0);
        assert_eq!(chance(4, 1, 10), 1.0, "all are drawn");
    }
}
