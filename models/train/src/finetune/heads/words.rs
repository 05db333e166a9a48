//! Texts as weighted counts of their tokens, and the directions in which those of a site's reports differ most.

use std::collections::BTreeMap;

use rand::Rng;

use crate::data::rng_for;

/// A text's tokens with their values, ascending.
pub(super) type Counts = Vec<(usize, f32)>;

/// A token counts from this many reports on.
const LEAST_REPORTS: usize = 2;
/// Below this length a direction is no direction.
const SILENT: f64 = 1e-9;

/// The unit vector of a text's weighted counts, each `ln(1 + count)`; empty if no token has a weight.
pub(super) fn unit_counts(tokens: &[u32], weights: &[f32]) -> Counts {
    let mut counts: BTreeMap<usize, f32> = BTreeMap::new();
    for token in tokens {
        *counts.entry(*token as usize).or_default() += 1.0;
    }
    let mut values: Counts = counts
        .into_iter()
        .filter_map(|(token, count)| {
            let weight = *weights.get(token)?;
            (weight > 0.0).then(|| (token, weight * count.ln_1p()))
        })
        .collect();
    let length = values.iter().map(|(_, v)| v * v).sum::<f32>().sqrt();
    values.iter_mut().for_each(|(_, v)| *v /= length);
    values
}

/// Weights of tokens, `ln((1 + n) / (1 + df)) + 1` with `df` of the `n` reports that have the token; 0 for those of one report.
///
/// Source: scikit-learn's `TfidfTransformer` with `smooth_idf`.
pub(super) fn inverse_frequencies(reports: &[Vec<u32>], vocabulary: usize) -> Vec<f32> {
    let mut of_reports = vec![0usize; vocabulary];
    for report in reports {
        let mut own = report.clone();
        own.sort_unstable();
        own.dedup();
        for token in own {
            if let Some(count) = of_reports.get_mut(token as usize) {
                *count += 1;
            }
        }
    }
    let all = 1.0 + reports.len() as f32;
    of_reports
        .into_iter()
        .map(|df| match df >= LEAST_REPORTS {
            true => (all / (1.0 + df as f32)).ln() + 1.0,
            false => 0.0,
        })
        .collect()
}

/// The mean of rows, `[v]`.
pub(super) fn mean(rows: &[Counts], vocabulary: usize) -> Vec<f64> {
    let mut mean = vec![0f64; vocabulary];
    for (token, value) in rows.iter().flatten() {
        mean[*token] += f64::from(*value) / rows.len() as f64;
    }
    mean
}

/// Orthonormal directions in which rows differ most from their mean, `[v, d]` row-major: a randomised range finder with one power
/// iteration. Fewer than `d` are found if the rows span fewer; the other columns are 0.
///
/// Source: Halko, Martinsson and Tropp 2011, algorithm 4.3 with q = 1.
pub(super) fn directions(rows: &[Counts], mean: &[f64], d: usize, seed: u64) -> Vec<f64> {
    let v = mean.len();
    let mut rng = rng_for(seed, 0, 0);
    let mut start = vec![0f64; v * d];
    for token in (0..v).filter(|token| mean[*token] > 0.0) {
        for value in &mut start[token * d..][..d] {
            *value = rng.random_range(-1.0..1.0);
        }
    }
    let (mapped_mean, mut range) = (times(mean, &start, d), vec![0f64; v * d]);
    let mut total = vec![0f64; d];
    for row in rows {
        let mut mapped: Vec<f64> = mapped_mean.iter().map(|m| -m).collect();
        for (token, value) in row {
            add(&mut mapped, f64::from(*value), &start[token * d..][..d]);
        }
        for (token, value) in row {
            add(&mut range[token * d..][..d], f64::from(*value), &mapped);
        }
        add(&mut total, 1.0, &mapped);
    }
    // Rows less their mean: the sum of what was mapped, times the mean, goes off again.
    for (token, m) in mean.iter().enumerate() {
        add(&mut range[token * d..][..d], -m, &total);
    }
    orthonormal(&range, v, d)
}

/// `x` times a matrix `[v, d]`.
pub(super) fn times(x: &[f64], matrix: &[f64], d: usize) -> Vec<f64> {
    let mut out = vec![0f64; d];
    for (row, value) in x.iter().enumerate().filter(|(_, value)| **value != 0.0) {
        add(&mut out, *value, &matrix[row * d..][..d]);
    }
    out
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(t, w)| *t += factor * w);
}

/// Columns made orthonormal in turn, twice for accuracy; those that lie in the span of the earlier ones become 0.
fn orthonormal(matrix: &[f64], v: usize, d: usize) -> Vec<f64> {
    let mut columns: Vec<Vec<f64>> = Vec::with_capacity(d);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for j in 0..d {
        let mut column: Vec<f64> = (0..v).map(|i| matrix[i * d + j]).collect();
        let before = dot(&column, &column).sqrt();
        for _ in 0..2 {
            for earlier in &columns {
                let along = dot(&column, earlier);
                add(&mut column, -along, earlier);
            }
        }
        let left = dot(&column, &column).sqrt();
        match left > SILENT * before && left > 0.0 {
            true => column.iter_mut().for_each(|x| *x /= left),
            false => column.fill(0.0),
        }
        columns.push(column);
    }
    let mut out = vec![0f64; v * d];
    for (j, column) in columns.iter().enumerate() {
        for (i, value) in column.iter().enumerate() {
            out[i * d + j] = *value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_unit_and_words_of_one_report_do_not_count() {
        let reports = vec![vec![0, 1, 1], vec![0, 2], vec![0, 1]];
        let weights = inverse_frequencies(&reports, 4);
        assert_eq!((weights[2], weights[3]), (0.0, 0.0));
        assert!(weights[1] > weights[0], "rarer words weigh more");
        assert!((weights[0] - 1.0).abs() < 1e-6, "ln(4 / 4) + 1");
        let counts = unit_counts(&[1, 1, 0, 2], &weights);
        let length: f32 = counts.iter().map(|(_, v)| v * v).sum();
        assert!((length - 1.0).abs() < 1e-6);
        assert_eq!(counts.iter().map(|(t, _)| *t).collect::<Vec<_>>(), [0, 1]);
        assert!(unit_counts(&[2, 3, 9], &weights).is_empty());
    }

    #[test]
    fn directions_are_orthonormal_and_span_what_differs() {
        // Rows of two independent differences around a common part.
        let row = |a: f32, b: f32| vec![(0, 1.0), (1, 1.0 + a), (2, 1.0 - a), (3, b), (4, 2.0 * b)];
        let rows: Vec<Counts> = [(0.3, 0.1), (-0.2, 0.4), (0.5, 0.2), (0.1, 0.9)]
            .map(|(a, b)| row(a, b))
            .to_vec();
        let mean = mean(&rows, 6);
        let q = directions(&rows, &mean, 4, 1);
        let column = |j: usize| -> Vec<f64> { (0..6).map(|i| q[i * 4 + j]).collect() };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        for (i, j) in [(0, 0), (1, 1), (0, 1)] {
            let wanted = f64::from(u8::from(i == j));
            assert!((dot(&column(i), &column(j)) - wanted).abs() < 1e-9);
        }
        assert!(column(2).iter().chain(&column(3)).all(|x| *x == 0.0));
        let (a, b) = (
            [0.0, 1.0, -1.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 1.0, 2.0, 0.0],
        );
        for difference in [a, b] {
            let mapped = times(&difference, &q, 4);
            let kept = dot(&mapped, &mapped) / dot(&difference, &difference);
            assert!((kept - 1.0).abs() < 1e-9, "{kept} of a difference is kept");
        }
    }
}
