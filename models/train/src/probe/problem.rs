//! Logistic regressions on one matrix, minimised side by side.

use rayon::prelude::*;

use super::lbfgs::{Lbfgs, State};
use super::matrix::Features;
use lucency_nn::Interrupt;

use crate::Result;

/// What a regression predicts.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// Yes or no, one column; `[rows]`, 0 or 1.
    Binary(Vec<f64>),
    /// One of several classes, a column each; `[rows]`.
    Classes { of: Vec<usize>, classes: usize },
}

impl Target {
    fn width(&self) -> usize {
        match self {
            Self::Binary(_) => 1,
            Self::Classes { classes, .. } => *classes,
        }
    }
}

/// One regression: `strength · Σ wᵢ lossᵢ + ½ ‖coefficients‖²`, intercepts free.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub target: Target,
    /// `[rows]`; 0 for a row that is held out or whose label is not known.
    pub weights: Vec<f64>,
    /// scikit-learn's `C`.
    pub strength: f64,
}

/// Coefficients `[width][columns]` with the intercept behind each row.
pub(super) type Solution = Vec<f64>;

/// Minimises all problems; what is not finished when `stop` is pressed stays where it is.
///
/// - `starts`: of each problem, `[width · (columns + 1)]`
/// - `tolerance`: of the largest entry of the gradient of the mean loss
///
/// Source of the scaling: scikit-learn, `LogisticRegression` with `lbfgs`, where the objective is divided by `C Σ wᵢ`.
pub(super) fn minimise(
    features: &Features,
    problems: &[Problem],
    starts: Vec<Solution>,
    tolerance: f64,
    steps: usize,
    stop: &Interrupt,
) -> Result<Vec<Solution>> {
    let mut walks: Vec<Lbfgs> = starts
        .into_iter()
        .map(|start| Lbfgs::new(start, tolerance, steps))
        .collect();
    loop {
        let active: Vec<usize> = (0..walks.len())
            .filter(|i| walks[*i].state() == State::Asking)
            .collect();
        if active.is_empty() || stop.is_stopped() {
            break;
        }
        let asked: Vec<(&Problem, &[f64])> = active
            .iter()
            .map(|i| (&problems[*i], walks[*i].point()))
            .collect();
        let told = evaluate(features, &asked)?;
        for (i, (value, gradient)) in active.into_iter().zip(told) {
            walks[i].tell(value, gradient);
        }
    }
    Ok(walks.into_iter().map(|w| w.point().to_vec()).collect())
}

/// Value and gradient of each problem at its point.
fn evaluate(features: &Features, asked: &[(&Problem, &[f64])]) -> Result<Vec<(f64, Vec<f64>)>> {
    let (n, d) = (features.rows(), features.columns());
    let firsts: Vec<usize> = asked
        .iter()
        .scan(0, |next, (problem, _)| {
            let first = *next;
            *next += problem.target.width();
            Some(first)
        })
        .collect();
    let width: usize = asked.iter().map(|(p, _)| p.target.width()).sum();
    let mut theta = vec![0.0; d * width];
    for ((problem, point), first) in asked.iter().zip(&firsts) {
        for k in 0..problem.target.width() {
            for j in 0..d {
                theta[j * width + first + k] = point[k * (d + 1) + j];
            }
        }
    }
    let mut z = features.times(theta, width)?; // [n, width]
    // Chunks are fixed, so that sums do not depend on the number of threads.
    const CHUNK: usize = 256;
    let sums: Vec<Vec<f64>> = z
        .par_chunks_mut(CHUNK * width)
        .enumerate()
        .map(|(chunk, rows)| {
            // Per problem the loss, per column the sum of residuals.
            let mut sums = vec![0.0; asked.len() + width];
            for (r, row) in rows.chunks_exact_mut(width).enumerate() {
                let i = chunk * CHUNK + r;
                for (p, ((problem, point), first)) in asked.iter().zip(&firsts).enumerate() {
                    let k = problem.target.width();
                    let part = &mut row[*first..first + k];
                    sums[p] += residual(problem, point, i, d, part);
                    for (c, v) in part.iter().enumerate() {
                        sums[asked.len() + first + c] += v;
                    }
                }
            }
            sums
        })
        .collect();
    let mut total = vec![0.0; asked.len() + width];
    for part in &sums {
        total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
    }
    debug_assert_eq!(z.len(), n * width);
    let slopes = features.transposed_times(z, width)?; // [width, d]
    Ok(asked
        .iter()
        .zip(&firsts)
        .enumerate()
        .map(|(p, ((problem, point), first))| {
            let weight: f64 = problem.weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
            let ridge = 1.0 / (problem.strength * weight);
            let mut value = total[p] / weight;
            let mut gradient = Vec::with_capacity(point.len());
            for k in 0..problem.target.width() {
                let own = &point[k * (d + 1)..][..d];
                let slope = &slopes[(first + k) * d..][..d];
                value += 0.5 * ridge * own.iter().map(|v| v * v).sum::<f64>();
                gradient.extend(slope.iter().zip(own).map(|(s, v)| s / weight + ridge * v));
                gradient.push(total[asked.len() + first + k] / weight);
            }
            (value, gradient)
        })
        .collect())
}

/// Turns one row's products into weighted residuals and returns its weighted loss.
fn residual(problem: &Problem, point: &[f64], row: usize, d: usize, z: &mut [f64]) -> f64 {
    let weight = problem.weights[row];
    if weight == 0.0 {
        z.fill(0.0);
        return 0.0;
    }
    for (k, v) in z.iter_mut().enumerate() {
        *v += point[k * (d + 1) + d];
    }
    match &problem.target {
        Target::Binary(labels) => {
            let (label, score) = (labels[row], z[0]);
            let small = (-score.abs()).exp();
            let p = match score >= 0.0 {
                true => 1.0 / (1.0 + small),
                false => small / (1.0 + small),
            };
            z[0] = weight * (p - label);
            weight * (score.max(0.0) + small.ln_1p() - label * score)
        }
        Target::Classes { of, .. } => {
            let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let own = z[of[row]] - top;
            let mut sum = 0.0;
            for v in z.iter_mut() {
                *v = (*v - top).exp();
                sum += *v;
            }
            for (k, v) in z.iter_mut().enumerate() {
                *v = weight * (*v / sum - f64::from(u8::from(k == of[row])));
            }
            weight * (sum.ln() - own)
        }
    }
}
