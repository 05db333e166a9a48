//! Solving a symmetric positive definite system, in 64 bits, on all cores.

use rayon::prelude::*;

/// Solves `A x = b` for several right-hand sides.
///
/// - `a`: `[n, n]` row-major, symmetric; only its lower triangle is read
/// - `b`: `[n, m]` row-major
/// - returns `[n, m]`; `None` if `a` is not positive definite
///
/// Source: Golub and Van Loan 2013, section 4.2.
pub(crate) fn solve(mut a: Vec<f64>, n: usize, b: &[f64]) -> Option<Vec<f64>> {
    factorise(&mut a, n)?;
    let m = b.len() / n.max(1);
    // Every thread takes a share of the right-hand sides.
    let width = m.div_ceil(rayon::current_num_threads()).max(1);
    let shares: Vec<(usize, Vec<f64>)> = (0..m)
        .step_by(width)
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|first| {
            let width = width.min(m - first);
            let mut x: Vec<f64> = (0..n)
                .flat_map(|i| &b[i * m + first..][..width])
                .copied()
                .collect();
            substitute(&a, n, &mut x, width);
            (first, x)
        })
        .collect();
    let mut out = vec![0.0; n * m];
    for (first, x) in shares {
        let width = x.len() / n;
        for (i, row) in x.chunks_exact(width).enumerate() {
            out[i * m + first..][..width].copy_from_slice(row);
        }
    }
    Some(out)
}

/// Turns the lower triangle of `a` into its Cholesky factor.
fn factorise(a: &mut [f64], n: usize) -> Option<()> {
    const BLOCK: usize = 64;
    for start in (0..n).step_by(BLOCK) {
        let end = (start + BLOCK).min(n);
        for j in start..end {
            let (above, rest) = a.split_at_mut(j * n);
            let row = &mut rest[..n];
            for i in start..j {
                let other = &above[i * n..][..i + 1];
                row[i] = (row[i] - dot(&row[start..i], &other[start..i])) / other[i];
            }
            let pivot = row[j] - dot(&row[start..j], &row[start..j]);
            if pivot.is_nan() || pivot <= 0.0 {
                return None;
            }
            row[j] = pivot.sqrt();
        }
        let (done, below) = a.split_at_mut(end * n);
        let block = &done[start * n..];
        below.par_chunks_exact_mut(n).for_each(|row| {
            for j in start..end {
                let other = &block[(j - start) * n..][..j + 1];
                row[j] = (row[j] - dot(&row[start..j], &other[start..j])) / other[j];
            }
        });
        // What the block explains is taken from everything to its right.
        let panel: Vec<f64> = below
            .chunks_exact(n)
            .flat_map(|row| &row[start..end])
            .copied()
            .collect();
        let width = end - start;
        below
            .par_chunks_exact_mut(n)
            .enumerate()
            .for_each(|(i, row)| {
                let own = &panel[i * width..][..width];
                for j in 0..=i {
                    row[end + j] -= dot(own, &panel[j * width..][..width]);
                }
            });
    }
    Some(())
}

/// Forward and back substitution of `x` `[n, width]` with the factor in the lower triangle of `l`.
fn substitute(l: &[f64], n: usize, x: &mut [f64], width: usize) {
    for i in 0..n {
        let (done, rest) = x.split_at_mut(i * width);
        let row = &mut rest[..width];
        for (k, other) in done.chunks_exact(width).enumerate() {
            subtract(row, l[i * n + k], other);
        }
        row.iter_mut().for_each(|v| *v /= l[i * n + i]);
    }
    for i in (0..n).rev() {
        let (above, rest) = x.split_at_mut(i * width);
        let row = &mut rest[..width];
        row.iter_mut().for_each(|v| *v /= l[i * n + i]);
        for (k, other) in above.chunks_exact_mut(width).enumerate() {
            subtract(other, l[i * n + k], row);
        }
    }
}

fn subtract(from: &mut [f64], factor: f64, other: &[f64]) {
    for (v, o) in from.iter_mut().zip(other) {
        *v -= factor * o;
    }
}

/// A dot product in eight running sums, which the compiler turns into vector instructions.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0f64; 8];
    let (a_whole, b_whole) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_whole
        .remainder()
        .iter()
        .zip(b_whole.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a_whole.zip(b_whole) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn what_it_solves_solves_the_system() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for (n, m) in [(1, 1), (7, 3), (64, 2), (150, 5)] {
            let half: Vec<f64> = (0..n * n).map(|_| rng.random_range(-1.0..1.0)).collect();
            let a: Vec<f64> = (0..n * n)
                .map(|k| {
                    let (i, j) = (k / n, k % n);
                    let product = dot(&half[i * n..][..n], &half[j * n..][..n]);
                    product + if i == j { 0.5 } else { 0.0 }
                })
                .collect();
            let b: Vec<f64> = (0..n * m).map(|_| rng.random_range(-1.0..1.0)).collect();
            let x = solve(a.clone(), n, &b).unwrap();
            for i in 0..n {
                for k in 0..m {
                    let product: f64 = (0..n).map(|j| a[i * n + j] * x[j * m + k]).sum();
                    assert!((product - b[i * m + k]).abs() < 1e-9, "{n} {m}: {product}");
                }
            }
        }
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_is_refused() {
        assert!(solve(vec![1.0, 2.0, 2.0, 1.0], 2, &[1.0, 1.0]).is_none());
    }
}
