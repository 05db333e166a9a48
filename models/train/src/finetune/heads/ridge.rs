//! Ridge regression onto several targets.

use rayon::prelude::*;

use crate::answers::cholesky::solve;

/// A linear map with the least squared error and `strength` times its squared length, in units of the mean squared length of a row.
///
/// - `x`: `[n, f]`, centred; `y`: `[n, d]`, centred; both row-major
/// - returns `[f, d]`; `None` if `x` is 0
///
/// Solved in the space of the rows or of the columns, whichever is smaller; both give the same map.
/// Source: Hastie, Tibshirani and Friedman 2009, sections 3.4.1 and 18.3.5.
pub(super) fn ridge(x: &[f64], y: &[f64], n: usize, strength: f64) -> Option<Vec<f64>> {
    let (f, d) = (x.len() / n, y.len() / n);
    let squares: f64 = x.iter().map(|v| v * v).sum();
    let penalty = strength * squares / n as f64;
    if n <= f {
        let mut gram = product(x, x, n, n, f, |i, k| i * f + k, |j, k| j * f + k);
        (0..n).for_each(|i| gram[i * n + i] += penalty);
        let dual = solve(gram, n, y)?; // [n, d]
        return Some(product(
            x,
            &dual,
            f,
            d,
            n,
            |i, k| k * f + i,
            |j, k| k * d + j,
        ));
    }
    let mut gram = product(x, x, f, f, n, |i, k| k * f + i, |j, k| k * f + j);
    (0..f).for_each(|i| gram[i * f + i] += penalty);
    let right = product(x, y, f, d, n, |i, k| k * f + i, |j, k| k * d + j);
    solve(gram, f, &right)
}

/// `[rows, columns]` of sums over `inner` products; `left(i, k)` and `right(j, k)` say where the factors stand.
fn product(
    a: &[f64],
    b: &[f64],
    rows: usize,
    columns: usize,
    inner: usize,
    left: impl Fn(usize, usize) -> usize + Sync,
    right: impl Fn(usize, usize) -> usize + Sync,
) -> Vec<f64> {
    let mut out = vec![0f64; rows * columns];
    out.par_chunks_mut(columns)
        .enumerate()
        .for_each(|(i, row)| {
            for k in 0..inner {
                let factor = a[left(i, k)];
                for (j, value) in row.iter_mut().enumerate() {
                    *value += factor * b[right(j, k)];
                }
            }
        });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_give_the_same_map() {
        let x = [1.0, 2.0, -1.0, 1.0, 3.0, -2.0, -3.0, -1.0]; // [4, 2]; squares sum to 30
        let y = [1.0, 0.0, -1.0, 0.0, 2.0, 1.0, -2.0, -1.0];
        let strength = 2.0;
        let tall = ridge(&x, &y, 4, strength).unwrap();
        // By hand: (X'X + 15 I) B = X'Y with X'X = [[20, -2], [-2, 10]] and X'Y = [[14, 6], [-1, -1]].
        let det = 35.0 * 25.0 - 4.0;
        let wanted = [
            (25.0 * 14.0 - 2.0) / det,
            (25.0 * 6.0 - 2.0) / det,
            (2.0 * 14.0 - 35.0) / det,
            (2.0 * 6.0 - 35.0) / det,
        ];
        for (found, wanted) in tall.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-12, "{tall:?}");
        }
        // The same rows with four idle columns are wider than tall.
        let wide: Vec<f64> = x
            .chunks(2)
            .flat_map(|row| [row[0], row[1], 0.0, 0.0, 0.0, 0.0])
            .collect();
        let wide = ridge(&wide, &y, 4, strength).unwrap();
        for (found, wanted) in wide.iter().zip(wanted.iter().chain(&[0.0; 8])) {
            assert!((found - wanted).abs() < 1e-12, "{wide:?}");
        }
        assert!(ridge(&[0.0; 8], &y, 4, strength).is_none());
    }
}
