//! Weight normalisation, dropout, rows of a table, and the binary cross-entropy of logits.

use std::sync::Arc;

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use super::fused::{Fused1, Fused2, with_floats};
use super::math::{Split, sigmoid, sum1, sum2};
use super::simd::vectorised;
use crate::Result;

/// Elements that a task takes.
const CHUNK: usize = 16 * 1024;

vectorised! {
    fn squares(v: &[f32]) -> f32 {
        sum1(v, |v| v * v)
    }
}

vectorised! {
    fn dot(a: &[f32], b: &[f32]) -> f32 {
        sum2(a, b, |a, b| a * b)
    }
}

vectorised! {
    /// `out = a · x`.
    fn scaled(x: &[f32], a: f32, out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = a * x;
        }
    }
}

vectorised! {
    /// `out = a · x + b · y`.
    fn mixed(x: &[f32], y: &[f32], a: f32, b: f32, out: &mut [f32]) {
        for (out, (x, y)) in out.iter_mut().zip(x.iter().zip(y)) {
            *out = a * x + b * y;
        }
    }
}

/// Euclidean length of all elements.
fn length(v: &[f32]) -> f64 {
    let total: f64 = v
        .par_chunks(CHUNK)
        .map(|part| {
            part.chunks(1024)
                .map(|run| f64::from(squares(run)))
                .sum::<f64>()
        })
        .sum();
    total.sqrt()
}

/// `g · v / ‖v‖` with the length of the whole tensor; `g` is a scalar.
pub(crate) fn weight_norm(v: &Tensor, g: &Tensor) -> Result<Tensor> {
    let shape = v.shape().clone();
    let op = Fused2 {
        name: "weight_norm",
        forward: move |v: &[f32], g: &[f32]| {
            let scale = (f64::from(g[0]) / length(v)) as f32;
            let mut w = vec![0.0; v.len()];
            w.par_chunks_mut(CHUNK)
                .zip(v.par_chunks(CHUNK))
                .for_each(|(w, v)| scaled(v, scale, w));
            (w, shape.clone())
        },
        backward: |v: &Tensor, g: &Tensor, _: &Tensor, dw: &Tensor| {
            let gain = f64::from(with_floats(g, |g| g[0])?);
            let (dv, dg) = with_floats(v, |v| {
                with_floats(dw, |dw| {
                    let length = length(v);
                    let along: f64 = v
                        .par_chunks(CHUNK)
                        .zip(dw.par_chunks(CHUNK))
                        .map(|(v, dw)| {
                            let runs = v.chunks(1024).zip(dw.chunks(1024));
                            runs.map(|(v, dw)| f64::from(dot(v, dw))).sum::<f64>()
                        })
                        .sum();
                    // dv = g/‖v‖ (dw − v (v·dw)/‖v‖²)
                    let a = (gain / length) as f32;
                    let b = (-gain * along / length.powi(3)) as f32;
                    let mut dv = vec![0.0; v.len()];
                    dv.par_chunks_mut(CHUNK)
                        .zip(v.par_chunks(CHUNK).zip(dw.par_chunks(CHUNK)))
                        .for_each(|(dv, (v, dw))| mixed(dw, v, a, b, dv));
                    (dv, (along / length) as f32)
                })
            })??;
            let dv = match v.track_op() {
                true => Some(Tensor::from_vec(dv, v.shape(), v.device())?),
                false => None,
            };
            let dg = match g.track_op() {
                true => Some(Tensor::from_vec(vec![dg], g.shape(), g.device())?),
                false => None,
            };
            Ok((dv, dg))
        },
    };
    Ok(v.contiguous()?.apply_op2(g, op)?)
}

vectorised! {
    fn products(x: &[f32], mask: &[f32], y: &mut [f32]) {
        for (y, (x, mask)) in y.iter_mut().zip(x.iter().zip(mask)) {
            *y = x * mask;
        }
    }
}

/// `x · mask` for a mask without gradient, one factor an element.
pub(crate) fn mask(x: &Tensor, mask: Vec<f32>) -> Result<Tensor> {
    let mask = Arc::new(mask);
    let again = mask.clone();
    let apply = |x: &[f32], mask: &[f32]| {
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(CHUNK)
            .zip(x.par_chunks(CHUNK).zip(mask.par_chunks(CHUNK)))
            .for_each(|(y, (x, mask))| products(x, mask, y));
        y
    };
    let op = Fused1 {
        name: "mask",
        forward: move |x: &[f32], shape: &Shape| (apply(x, &mask), shape.clone()),
        backward: move |x: &Tensor, _: &Tensor, dy: &Tensor| {
            let dx = with_floats(dy, |dy| apply(dy, &again))?;
            Tensor::from_vec(dx, x.shape(), x.device())
        },
    };
    Ok(x.contiguous()?.apply_op1(op)?)
}

/// Rows of a table `[rows, dim]`: `[ids, dim]`. The row `padding` gets no gradient. Every id is a row.
pub(crate) fn lookup(table: &Tensor, ids: Vec<u32>, padding: Option<u32>) -> Result<Tensor> {
    let (_, dim) = table.dims2()?;
    let ids = Arc::new(ids);
    let again = ids.clone();
    let row = move |id: u32| id as usize * dim..(id as usize + 1) * dim;
    let op = Fused1 {
        name: "lookup",
        forward: move |table: &[f32], _: &Shape| {
            let mut y = Vec::with_capacity(ids.len() * dim);
            ids.iter()
                .for_each(|id| y.extend_from_slice(&table[row(*id)]));
            (y, Shape::from((ids.len(), dim)))
        },
        backward: move |table: &Tensor, _: &Tensor, dy: &Tensor| {
            let mut sums = vec![0.0; table.elem_count()];
            with_floats(dy, |dy| {
                for (id, dy) in again.iter().zip(dy.chunks_exact(dim)) {
                    if Some(*id) != padding {
                        let sums = sums[row(*id)].iter_mut();
                        sums.zip(dy).for_each(|(sum, dy)| *sum += dy);
                    }
                }
            })?;
            Tensor::from_vec(sums, table.shape(), table.device())
        },
    };
    Ok(table.contiguous()?.apply_op1(op)?)
}

/// Sum over all elements of `max(x, 0) − x t + ln(1 + e^(−|x|))`, the binary cross-entropy of `sigmoid(x)` against `t`.
pub(crate) fn bce_with_logits(x: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let targets = targets.contiguous()?.detach();
    let again = targets.clone();
    let op = Fused2 {
        name: "bce_with_logits",
        forward: |x: &[f32], t: &[f32]| {
            let total: f64 = x
                .iter()
                .zip(t)
                .map(|(&x, &t)| {
                    let (x, t) = (f64::from(x), f64::from(t));
                    x.max(0.0) - x * t + (-x.abs()).exp().ln_1p()
                })
                .sum();
            (vec![total as f32], Shape::from(()))
        },
        backward: move |x: &Tensor, _: &Tensor, _: &Tensor, dy: &Tensor| {
            let scale = dy.to_scalar::<f32>()?;
            let dx: Vec<f32> = with_floats(x, |x| {
                with_floats(&again, |t| {
                    x.iter()
                        .zip(t)
                        .map(|(&x, &t)| scale * (sigmoid::<Split>(x) - t))
                        .collect()
                })
            })??;
            Ok((Some(Tensor::from_vec(dx, x.shape(), x.device())?), None))
        },
    };
    Ok(x.contiguous()?.apply_op2(&targets, op)?)
}
