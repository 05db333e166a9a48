//! A factor for every element of the last axis.

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use super::fused::{Fused2, with_floats};
use super::simd::vectorised;
use crate::Result;

/// Elements that a task takes.
const CHUNK: usize = 16 * 1024;

vectorised! {
    fn scale_rows(x: &[f32], factors: &[f32], y: &mut [f32]) {
        let n = factors.len();
        for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
            for ((y, &x), &factor) in y.iter_mut().zip(x).zip(factors) {
                *y = x * factor;
            }
        }
    }
}

vectorised! {
    /// Adds the rows of `x · dy`.
    fn sum_products(x: &[f32], dy: &[f32], sums: &mut [f32]) {
        let n = sums.len();
        for (x, dy) in x.chunks_exact(n).zip(dy.chunks_exact(n)) {
            for ((sum, &x), &dy) in sums.iter_mut().zip(x).zip(dy) {
                *sum += x * dy;
            }
        }
    }
}

/// Elements of the whole rows that a task takes.
fn chunk(n: usize) -> usize {
    (CHUNK / n).max(1) * n
}

fn scaled(x: &[f32], factors: &[f32]) -> Vec<f32> {
    let n = factors.len();
    let mut y = vec![0.0; x.len()];
    y.par_chunks_mut(chunk(n))
        .zip(x.par_chunks(chunk(n)))
        .for_each(|(y, x)| scale_rows(x, factors, y));
    y
}

/// `Σ x · dy` over rows of `n`.
fn slopes(x: &[f32], dy: &[f32], n: usize) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = x
        .par_chunks(chunk(n))
        .zip(dy.par_chunks(chunk(n)))
        .map(|(x, dy)| {
            let mut sums = vec![0.0; n];
            sum_products(x, dy, &mut sums);
            sums
        })
        .collect();
    let mut total = vec![0.0f32; n];
    for part in &parts {
        total.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
    }
    total
}

/// `x · factors` over the last axis; `factors` `[n]` is as long as it, and not empty.
pub(crate) fn scale(x: &Tensor, factors: &Tensor) -> Result<Tensor> {
    let n = factors.elem_count();
    let shape: Shape = x.shape().clone();
    let op = Fused2 {
        name: "scale",
        forward: move |x: &[f32], factors: &[f32]| (scaled(x, factors), shape.clone()),
        backward: move |x: &Tensor, factors: &Tensor, _: &Tensor, dy: &Tensor| {
            let dx = x.track_op().then(|| {
                let dx = with_floats(dy, |dy| with_floats(factors, |f| scaled(dy, f)))??;
                Tensor::from_vec(dx, x.shape(), x.device())
            });
            let slope = factors.track_op().then(|| {
                let slope = with_floats(x, |x| with_floats(dy, |dy| slopes(x, dy, n)))??;
                Tensor::from_vec(slope, n, x.device())
            });
            Ok((dx.transpose()?, slope.transpose()?))
        },
    };
    Ok(x.contiguous()?.apply_op2(&factors.contiguous()?, op)?)
}
