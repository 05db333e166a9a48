//! Functions of whole rows: softmax, its logarithm, unit length, layer normalisation, cross-entropy.

use candle_core::{D, Shape, Tensor};
use rayon::prelude::*;

use super::fused::{Fused1, Fused3, with_floats};
use super::math::{exp, max, sum1, sum2};
use super::simd::vectorised;
use crate::Result;

/// Floats that a task takes at least.
const CHUNK: usize = 16 * 1024;

/// Floats in the rows of one task, for rows of `n`.
fn chunk(n: usize) -> usize {
    CHUNK.div_ceil(n.max(1)) * n.max(1)
}

vectorised! {
    pub(crate) fn softmax_rows<A>(x: &[f32], y: &mut [f32], n: usize) {
        for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
            let top = max(x);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = exp::<A>(x - top);
            }
            let share = 1.0 / sum1(y, |y| y);
            for y in y.iter_mut() {
                *y *= share;
            }
        }
    }
}

vectorised! {
    /// `dx = y (dy − Σ dy y)`.
    pub(crate) fn softmax_slope(y: &[f32], dy: &[f32], dx: &mut [f32], n: usize) {
        let rows = y.chunks_exact(n).zip(dy.chunks_exact(n)).zip(dx.chunks_exact_mut(n));
        for ((y, dy), dx) in rows {
            let dot = sum2(y, dy, |y, dy| y * dy);
            for (dx, (&y, &dy)) in dx.iter_mut().zip(y.iter().zip(dy)) {
                *dx = y * (dy - dot);
            }
        }
    }
}

vectorised! {
    fn log_softmax_rows<A>(x: &[f32], y: &mut [f32], n: usize) {
        for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
            let top = max(x);
            // One logarithm a row needs no vector form.
            let log_sum = sum1(x, |x| exp::<A>(x - top)).ln();
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - top) - log_sum;
            }
        }
    }
}

vectorised! {
    /// `dx = dy − eʸ Σ dy`.
    fn log_softmax_slope<A>(y: &[f32], dy: &[f32], dx: &mut [f32], n: usize) {
        let rows = y.chunks_exact(n).zip(dy.chunks_exact(n)).zip(dx.chunks_exact_mut(n));
        for ((y, dy), dx) in rows {
            let total = sum1(dy, |dy| dy);
            for (dx, (&y, &dy)) in dx.iter_mut().zip(y.iter().zip(dy)) {
                *dx = dy - exp::<A>(y) * total;
            }
        }
    }
}

/// The shortest length that a row is divided by.
const SHORTEST: f32 = 1e-12;

vectorised! {
    fn unit_rows(x: &[f32], y: &mut [f32], n: usize) {
        for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
            let length = sum1(x, |x| x * x).sqrt();
            let length = if length < SHORTEST { SHORTEST } else { length };
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x / length;
            }
        }
    }
}

vectorised! {
    /// `dx = (dy − y Σ dy y) / |x|`.
    fn unit_slope(x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32], n: usize) {
        let rows = x.chunks_exact(n).zip(y.chunks_exact(n)).zip(dy.chunks_exact(n)).zip(dx.chunks_exact_mut(n));
        for (((x, y), dy), dx) in rows {
            let length = sum1(x, |x| x * x).sqrt();
            let (length, dot) = if length < SHORTEST {
                (SHORTEST, 0.0)
            } else {
                (length, sum2(y, dy, |y, dy| y * dy))
            };
            for (dx, (&y, &dy)) in dx.iter_mut().zip(y.iter().zip(dy)) {
                *dx = (dy - y * dot) / length;
            }
        }
    }
}

/// `(x, y, n)`: writes a function of each row of `n`.
type Forward = fn(&[f32], &mut [f32], usize);
/// `(x, y, dy, dx, n)`: writes the gradient of each row.
type Backward = fn(&[f32], &[f32], &[f32], &mut [f32], usize);

/// Applies a function of rows and its backward.
fn by_rows(name: &'static str, x: &Tensor, forward: Forward, backward: Backward) -> Result<Tensor> {
    let n = x.dim(D::Minus1)?;
    if x.elem_count() == 0 {
        return Ok(x.clone());
    }
    let op = Fused1 {
        name,
        forward: move |x: &[f32], shape: &Shape| {
            let mut y = vec![0.0; x.len()];
            y.par_chunks_mut(chunk(n))
                .zip(x.par_chunks(chunk(n)))
                .for_each(|(y, x)| forward(x, y, n));
            (y, shape.clone())
        },
        backward: move |x: &Tensor, y: &Tensor, dy: &Tensor| {
            let mut dx = vec![0.0; x.elem_count()];
            with_floats(x, |x| {
                with_floats(y, |y| {
                    with_floats(dy, |dy| {
                        dx.par_chunks_mut(chunk(n))
                            .zip(x.par_chunks(chunk(n)))
                            .zip(y.par_chunks(chunk(n)))
                            .zip(dy.par_chunks(chunk(n)))
                            .for_each(|(((dx, x), y), dy)| backward(x, y, dy, dx, n));
                    })
                })
            })???;
            Tensor::from_vec(dx, x.shape(), x.device())
        },
    };
    Ok(x.contiguous()?.apply_op1(op)?)
}

pub(crate) fn softmax(x: &Tensor) -> Result<Tensor> {
    by_rows("softmax", x, softmax_rows, |_, y, dy, dx, n| {
        softmax_slope(y, dy, dx, n)
    })
}

pub(crate) fn log_softmax(x: &Tensor) -> Result<Tensor> {
    by_rows("log_softmax", x, log_softmax_rows, |_, y, dy, dx, n| {
        log_softmax_slope(y, dy, dx, n)
    })
}

pub(crate) fn l2_normalise(x: &Tensor) -> Result<Tensor> {
    by_rows("l2_normalise", x, unit_rows, unit_slope)
}

vectorised! {
    fn layer_norm_rows(x: &[f32], y: &mut [f32], weight: &[f32], bias: &[f32], eps: f32) {
        let n = weight.len();
        for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
            let mean = sum1(x, |x| x) / n as f32;
            let var = sum1(x, |x| (x - mean) * (x - mean)) / n as f32;
            let inv_std = 1.0 / (var + eps).sqrt();
            for ((y, &x), (&w, &b)) in y.iter_mut().zip(x).zip(weight.iter().zip(bias)) {
                *y = (x - mean) * inv_std * w + b;
            }
        }
    }
}

vectorised! {
    /// `dx = (g − mean(g) − x̂ mean(g x̂)) / σ` with `g = dy · weight`; adds `Σ dy x̂` and `Σ dy` to the sums.
    fn layer_norm_slope(
        x: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        weight: &[f32],
        sums: (&mut [f32], &mut [f32]),
        eps: f32,
    ) {
        let n = weight.len();
        let (d_weight, d_bias) = sums;
        for ((x, dy), dx) in x.chunks_exact(n).zip(dy.chunks_exact(n)).zip(dx.chunks_exact_mut(n)) {
            let mean = sum1(x, |x| x) / n as f32;
            let var = sum1(x, |x| (x - mean) * (x - mean)) / n as f32;
            let inv_std = 1.0 / (var + eps).sqrt();
            for (((dw, db), (&x, &dy)), (dx, &w)) in d_weight
                .iter_mut()
                .zip(d_bias.iter_mut())
                .zip(x.iter().zip(dy))
                .zip(dx.iter_mut().zip(weight))
            {
                *dw += dy * ((x - mean) * inv_std);
                *db += dy;
                *dx = dy * w;
            }
            let level = sum1(dx, |g| g) / n as f32;
            let slope = sum2(dx, x, |g, x| g * ((x - mean) * inv_std)) / n as f32;
            for (dx, &x) in dx.iter_mut().zip(x) {
                *dx = inv_std * (*dx - level - (x - mean) * inv_std * slope);
            }
        }
    }
}

pub(crate) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let n = weight.elem_count();
    let eps = eps as f32;
    let shape = x.shape().clone();
    let op = Fused3 {
        name: "layer_norm",
        forward: move |x: &[f32], weight: &[f32], bias: &[f32]| {
            let mut y = vec![0.0; x.len()];
            y.par_chunks_mut(chunk(n))
                .zip(x.par_chunks(chunk(n)))
                .for_each(|(y, x)| layer_norm_rows(x, y, weight, bias, eps));
            (y, shape.clone())
        },
        backward: move |x: &Tensor, weight: &Tensor, bias: &Tensor, _: &Tensor, dy: &Tensor| {
            let mut dx = vec![0.0; x.elem_count()];
            let sums: Vec<(Vec<f32>, Vec<f32>)> = with_floats(x, |x| {
                with_floats(weight, |weight| {
                    with_floats(dy, |dy| {
                        dx.par_chunks_mut(chunk(n))
                            .zip(x.par_chunks(chunk(n)))
                            .zip(dy.par_chunks(chunk(n)))
                            .map(|((dx, x), dy)| {
                                let (mut dw, mut db) = (vec![0.0; n], vec![0.0; n]);
                                layer_norm_slope(x, dy, dx, weight, (&mut dw, &mut db), eps);
                                (dw, db)
                            })
                            .collect()
                    })
                })
            })???;
            let (mut d_weight, mut d_bias) = (vec![0.0f32; n], vec![0.0f32; n]);
            for (dw, db) in &sums {
                d_weight.iter_mut().zip(dw).for_each(|(sum, v)| *sum += v);
                d_bias.iter_mut().zip(db).for_each(|(sum, v)| *sum += v);
            }
            let dx = match x.track_op() {
                true => Some(Tensor::from_vec(dx, x.shape(), x.device())?),
                false => None,
            };
            let dw = match weight.track_op() {
                true => Some(Tensor::from_vec(d_weight, n, x.device())?),
                false => None,
            };
            let db = match bias.track_op() {
                true => Some(Tensor::from_vec(d_bias, n, x.device())?),
                false => None,
            };
            Ok((dx, dw, db))
        },
    };
    Ok(x.contiguous()?
        .apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)?)
}

/// Mean over rows of `log Σ exp(x) − x[target]`; every target is below the row's length.
pub(crate) fn cross_entropy(logits: &Tensor, targets: Vec<usize>) -> Result<Tensor> {
    let (rows, n) = logits.dims2()?;
    let share = 1.0 / rows as f64;
    let picked = targets.clone();
    let op = Fused1 {
        name: "cross_entropy",
        forward: move |x: &[f32], _: &Shape| {
            let mut log_p = vec![0.0; x.len()];
            log_p
                .par_chunks_mut(chunk(n))
                .zip(x.par_chunks(chunk(n)))
                .for_each(|(y, x)| log_softmax_rows(x, y, n));
            let total: f64 = log_p
                .chunks_exact(n)
                .zip(&picked)
                .map(|(row, &t)| f64::from(row[t]))
                .sum();
            (vec![(-total * share) as f32], Shape::from(()))
        },
        backward: move |x: &Tensor, _: &Tensor, dy: &Tensor| {
            let scale = (f64::from(dy.to_scalar::<f32>()?) * share) as f32;
            let mut dx = vec![0.0; x.elem_count()];
            with_floats(x, |x| {
                dx.par_chunks_mut(chunk(n))
                    .zip(x.par_chunks(chunk(n)))
                    .for_each(|(dx, x)| softmax_rows(x, dx, n));
            })?;
            for (row, &target) in dx.chunks_exact_mut(n).zip(&targets) {
                row[target] -= 1.0;
                row.iter_mut().for_each(|v| *v *= scale);
            }
            Tensor::from_vec(dx, x.shape(), x.device())
        },
    };
    Ok(logits.contiguous()?.apply_op1(op)?)
}
