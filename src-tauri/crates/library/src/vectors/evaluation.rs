//! How well images find their reports and reports their images.
//!
//! The protocol is that of image–caption retrieval on radiographs (UMD, table 2; M3AE, Chen et al. 2022):
//! every query is ranked against the pool of all pairs, without candidates chosen beforehand. Recall@k
//! is the share of queries whose own counterpart is among the first k.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::rows::unit;
use crate::error::{LibraryError, Result};

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
            unit(v, dim).map_err(|why| LibraryError::Vectors(format!("vector {i} {why}")))
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
            let message = format!("query {i} has no counterpart in the pool");
            return Err(LibraryError::Vectors(message));
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

/// A figure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// From all queries.
    pub value: f64,
    /// 2.5th percentile over resamples.
    pub low: f64,
    /// 97.5th percentile over resamples.
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

/// Recall and median rank with bootstrap intervals: patients are drawn with replacement, each with all
/// of their queries, because images of one patient are not independent.
///
/// - `ranked`: of every query, `pool`: number of candidates
/// - `patient`: of every query, any numbering
/// - `resamples`: 1 000 or more for an interval that can be quoted
///
/// Errors if there are no queries, or not one patient for each.
/// Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", percentile intervals; Field and
/// Welsh 2007, "Bootstrapping clustered data" (clusters drawn whole).
pub fn measure(
    ranked: &[Ranked],
    pool: usize,
    patient: &[usize],
    resamples: usize,
    seed: u64,
) -> Result<Retrieval> {
    if ranked.is_empty() || ranked.len() != patient.len() {
        return Err(LibraryError::Vectors(format!(
            "{} queries of {} patients cannot be measured",
            ranked.len(),
            patient.len()
        )));
    }
    let ranks: Vec<usize> = ranked.iter().map(|r| r.rank).collect();
    let clusters = by_patient(&ranks, patient);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn: [Vec<f64>; 4] = Default::default();
    let mut resample = Vec::new();
    for _ in 0..resamples {
        resample.clear();
        for _ in 0..clusters.len() {
            resample.extend_from_slice(&clusters[random.random_range(0..clusters.len())]);
        }
        for (drawn, value) in drawn.iter_mut().zip(figures(&mut resample)) {
            drawn.push(value);
        }
    }
    let mut estimates = figures(&mut ranks.clone())
        .into_iter()
        .zip(drawn)
        .map(|(value, drawn)| interval(value, drawn));
    let mut next = || estimates.next().expect("there are four figures");
    let chance = ranked
        .iter()
        .map(|r| chance(pool, r.right, 10))
        .sum::<f64>();
    Ok(Retrieval {
        recall_at_1: next(),
        recall_at_5: next(),
        recall_at_10: next(),
        median_rank: next(),
        chance_at_10: chance / ranked.len() as f64,
    })
}

/// Recall at 1, 5 and 10, and the median.
fn figures(ranks: &mut [usize]) -> [f64; 4] {
    ranks.sort_unstable();
    let recall = |k: usize| ranks.partition_point(|rank| *rank <= k) as f64 / ranks.len() as f64;
    let middle = ranks.len() / 2;
    let median = match ranks.len() % 2 {
        0 => (ranks[middle - 1] + ranks[middle]) as f64 / 2.0,
        _ => ranks[middle] as f64,
    };
    [recall(1), recall(5), recall(10), median]
}

fn by_patient(ranks: &[usize], patient: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<(usize, usize)> =
        patient.iter().copied().zip(ranks.iter().copied()).collect();
    order.sort_unstable();
    let same = order.chunk_by(|a, b| a.0 == b.0);
    same.map(|chunk| chunk.iter().map(|(_, rank)| *rank).collect())
        .collect()
}

fn interval(value: f64, mut drawn: Vec<f64>) -> Estimate {
    drawn.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (share * (drawn.len().max(1) - 1) as f64).round() as usize;
        drawn.get(place).copied().unwrap_or(value)
    };
    Estimate {
        value,
        low: at(0.025),
        high: at(0.975),
    }
}

/// The chance that at least one of `right` among `pool` candidates in random order is in the first `k`.
fn chance(pool: usize, right: usize, k: usize) -> f64 {
    let missed = |i: usize| (pool.saturating_sub(right + i)) as f64 / (pool - i) as f64;
    1.0 - (0..k.min(pool)).map(missed).product::<f64>()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_lanes, a_rest) = a.as_chunks::<8>();
    let (b_lanes, b_rest) = b.as_chunks::<8>();
    let mut sums = [0f32; 8];
    for (x, y) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
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
        let ranked = of(&[1, 1, 2, 5, 6, 10, 11, 40]);
        let found = measure(&ranked, 40, &[0, 1, 2, 3, 4, 5, 6, 7], 200, 1).unwrap();
        assert_eq!(found.recall_at_1.value, 2.0 / 8.0);
        assert_eq!(found.recall_at_5.value, 4.0 / 8.0);
        assert_eq!(found.recall_at_10.value, 6.0 / 8.0);
        assert_eq!(found.median_rank.value, 5.5);
        assert!((found.chance_at_10 - 0.25).abs() < 1e-12, "10 of 40");
        let odd = measure(&of(&[9, 1, 4]), 40, &[0, 1, 2], 10, 1).unwrap();
        assert_eq!(odd.median_rank.value, 4.0);
        assert!(measure(&[], 3, &[], 10, 1).is_err());
        assert!(measure(&of(&[1]), 3, &[], 10, 1).is_err());
    }

    #[test]
    fn chance_is_that_of_drawing_without_replacement() {
        // Two right of five, two drawn: 1 - 3/5 · 2/4.
        assert!((chance(5, 2, 2) - 0.7).abs() < 1e-12);
        assert_eq!(chance(5, 5, 1), 1.0);
        assert_eq!(chance(4, 1, 10), 1.0, "all are drawn");
    }

    #[test]
    fn the_interval_covers_the_binomial_one_for_single_images() {
        // 400 patients, one image each, half right: the standard error is 0.025.
        let ranks: Vec<usize> = (0..400).map(|i| 1 + 20 * (i % 2)).collect();
        let patients: Vec<usize> = (0..400).collect();
        let found = measure(&of(&ranks), 1000, &patients, 4000, 7)
            .unwrap()
            .recall_at_1;
        assert!((found.low - 0.451).abs() < 0.006, "{found:?}");
        assert!((found.high - 0.549).abs() < 0.006, "{found:?}");
    }

    #[test]
    fn images_of_one_patient_widen_the_interval() {
        // The same hits, but only 20 patients whose 20 images are right or wrong together.
        let ranks: Vec<usize> = (0..400).map(|i| 1 + 20 * ((i / 20) % 2)).collect();
        let single: Vec<usize> = (0..400).collect();
        let grouped: Vec<usize> = (0..400).map(|i| i / 20).collect();
        let width = |patients: &[usize]| {
            let e = measure(&of(&ranks), 1000, patients, 2000, 7)
                .unwrap()
                .recall_at_1;
            e.high - e.low
        };
        let ratio = width(&grouped) / width(&single);
        assert!(
            (3.6..5.4).contains(&ratio),
            "√20 = 4.47 times wider, not {ratio}"
        );
    }
}
