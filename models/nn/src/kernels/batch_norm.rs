//! Batch normalisation and per-channel affine maps of `[b, c, h, w]`, with an optional ReLU in the same pass.

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use super::fused::{Fused3, with_floats};
use super::math::{pair_of_sums, sum1};
use super::simd::vectorised;
use crate::Result;
use crate::batch_norm::Follow;

/// Channels and floats a channel of one image.
#[derive(Clone, Copy)]
struct Planes {
    channels: usize,
    plane: usize,
}

/// Planes of one image that a task takes at least.
const PLANES_A_TASK: usize = 8;

/// Floats that are summed in f32 before the sum goes on in f64.
const RUN: usize = 512;

impl Planes {
    /// The runs of channel `c`, one for each image.
    fn runs(self, x: &[f32], c: usize) -> impl Iterator<Item = &[f32]> {
        x.chunks_exact(self.plane).skip(c).step_by(self.channels)
    }
}

vectorised! {
    /// Mean of a run and the sum of squares around it.
    fn moments(run: &[f32]) -> (f32, f32) {
        let mean = sum1(run, |x| x) / run.len() as f32;
        (mean, sum1(run, |x| (x - mean) * (x - mean)))
    }
}

vectorised! {
    /// `(Σ dy, Σ dy (x − mean))` of a run; with `relu`, only where `x · scale + shift` is positive.
    fn gradient_sums(x: &[f32], dy: &[f32], mean: f32, scale: f32, shift: f32, relu: bool) -> (f32, f32) {
        if relu {
            pair_of_sums(x, dy, |x, dy| {
                let dy = if x * scale + shift > 0.0 { dy } else { 0.0 };
                (dy, dy * (x - mean))
            })
        } else {
            pair_of_sums(x, dy, |x, dy| (dy, dy * (x - mean)))
        }
    }
}

vectorised! {
    fn apply(x: &[f32], y: &mut [f32], scale: f32, shift: f32, relu: bool) {
        let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
        for (y, &x) in y.iter_mut().zip(x) {
            let v = x * scale + shift;
            *y = if v < floor { floor } else { v };
        }
    }
}

vectorised! {
    /// `dx = a · dy + b · x + c`; with `relu`, `dy` counts only where `x · scale + shift` is positive.
    fn combine(
        x: &[f32],
        dy: &[f32],
        dx: &mut [f32],
        coefficients: (f32, f32, f32),
        scale: f32,
        shift: f32,
        relu: bool,
    ) {
        let (a, b, c) = coefficients;
        if relu {
            for (dx, (&x, &dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
                let dy = if x * scale + shift > 0.0 { dy } else { 0.0 };
                *dx = a * dy + b * x + c;
            }
        } else {
            for (dx, (&x, &dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
                *dx = a * dy + b * x + c;
            }
        }
    }
}

/// Mean and biased variance of each channel; the runs' moments are merged in f64 (Chan et al. 1979, eq. 1.5).
fn statistics(x: &[f32], planes: Planes) -> (Vec<f32>, Vec<f32>) {
    (0..planes.channels)
        .into_par_iter()
        .map(|c| {
            let (mut count, mut mean, mut squares) = (0.0f64, 0.0f64, 0.0f64);
            for run in planes.runs(x, c) {
                for part in run.chunks(RUN) {
                    let (part_mean, part_squares) = moments(part);
                    let part_count = part.len() as f64;
                    let delta = f64::from(part_mean) - mean;
                    let sum = count + part_count;
                    mean += delta * part_count / sum;
                    squares += f64::from(part_squares) + delta * delta * count * part_count / sum;
                    count = sum;
                }
            }
            (mean as f32, (squares / count) as f32)
        })
        .unzip()
}

fn affine(x: &[f32], scale: &[f32], shift: &[f32], planes: Planes, relu: bool) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    y.par_chunks_exact_mut(planes.plane)
        .zip(x.par_chunks_exact(planes.plane))
        .with_min_len(PLANES_A_TASK)
        .enumerate()
        .for_each(|(i, (y, x))| {
            let c = i % planes.channels;
            apply(x, y, scale[c], shift[c], relu);
        });
    y
}

/// `(Σ dy, Σ dy (x − mean))` of each channel.
fn channel_sums(
    x: &[f32],
    dy: &[f32],
    mean: &[f32],
    (scale, shift): (&[f32], &[f32]),
    planes: Planes,
    relu: bool,
) -> Vec<(f64, f64)> {
    (0..planes.channels)
        .into_par_iter()
        .map(|c| {
            let runs = planes.runs(x, c).zip(planes.runs(dy, c));
            runs.fold((0.0, 0.0), |(a, b), (x, dy)| {
                x.chunks(RUN)
                    .zip(dy.chunks(RUN))
                    .fold((a, b), |(a, b), (x, dy)| {
                        let (sum, product) =
                            gradient_sums(x, dy, mean[c], scale[c], shift[c], relu);
                        (a + f64::from(sum), b + f64::from(product))
                    })
            })
        })
        .collect()
}

fn combine_all(
    x: &[f32],
    dy: &[f32],
    coefficients: &[(f32, f32, f32)],
    (scale, shift): (&[f32], &[f32]),
    planes: Planes,
    relu: bool,
) -> Vec<f32> {
    let mut dx = vec![0.0; x.len()];
    dx.par_chunks_exact_mut(planes.plane)
        .zip(x.par_chunks_exact(planes.plane))
        .zip(dy.par_chunks_exact(planes.plane))
        .with_min_len(PLANES_A_TASK)
        .enumerate()
        .for_each(|(i, ((dx, x), dy))| {
            let c = i % planes.channels;
            combine(x, dy, dx, coefficients[c], scale[c], shift[c], relu);
        });
    dx
}

/// Normalises with the batch's statistics; returns those too, `[c]` each, without gradient.
pub(crate) fn batch_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
    follow: Follow,
) -> Result<(Tensor, Tensor, Tensor)> {
    let (_, channels, h, w) = x.dims4()?;
    let planes = Planes {
        channels,
        plane: h * w,
    };
    let relu = follow == Follow::Relu;
    let x = x.contiguous()?;
    let (mean, var) = with_floats(&x, |x| statistics(x, planes))?;
    let inv_std: Vec<f32> = var
        .iter()
        .map(|&v| (1.0 / (f64::from(v) + eps).sqrt()) as f32)
        .collect();
    let stats = (
        Tensor::from_slice(&mean, channels, x.device())?,
        Tensor::from_vec(var, channels, x.device())?,
    );
    let map = {
        let (mean, inv_std) = (mean.clone(), inv_std.clone());
        move |weight: &[f32], bias: &[f32]| -> (Vec<f32>, Vec<f32>) {
            let scale: Vec<f32> = weight.iter().zip(&inv_std).map(|(w, i)| w * i).collect();
            let shift = (0..channels)
                .map(|c| bias[c] - mean[c] * scale[c])
                .collect();
            (scale, shift)
        }
    };
    let shape = x.shape().clone();
    let op = Fused3 {
        name: "batch_norm",
        forward: {
            let map = map.clone();
            move |x: &[f32], weight: &[f32], bias: &[f32]| {
                let (scale, shift) = map(weight, bias);
                (affine(x, &scale, &shift, planes, relu), shape.clone())
            }
        },
        backward: move |x: &Tensor, weight: &Tensor, bias: &Tensor, _: &Tensor, dy: &Tensor| {
            let (scale, shift) = with_floats(weight, |w| with_floats(bias, |b| map(w, b)))??;
            let maps = (scale.as_slice(), shift.as_slice());
            with_floats(x, |xs| {
                with_floats(dy, |dys| {
                    let sums = channel_sums(xs, dys, &mean, maps, planes, relu);
                    let count = (xs.len() / channels) as f64;
                    // dx = scale · (dy − mean(dy) − x̂ · mean(dy x̂)), with x̂ = (x − mean) · inv_std
                    let coefficients: Vec<_> = (0..channels)
                        .map(|c| {
                            let (s, i) = (f64::from(scale[c]), f64::from(inv_std[c]));
                            let slope = -s * i * i * sums[c].1 / count;
                            let level = -s * sums[c].0 / count - slope * f64::from(mean[c]);
                            (scale[c], slope as f32, level as f32)
                        })
                        .collect();
                    let dx = match x.track_op() {
                        true => {
                            let dx = combine_all(xs, dys, &coefficients, maps, planes, relu);
                            Some(Tensor::from_vec(dx, x.shape(), x.device())?)
                        }
                        false => None,
                    };
                    let dw: Vec<f32> = (0..channels)
                        .map(|c| (sums[c].1 * f64::from(inv_std[c])) as f32)
                        .collect();
                    let db: Vec<f32> = sums.iter().map(|s| s.0 as f32).collect();
                    Ok((dx, per_channel(weight, dw)?, per_channel(bias, db)?))
                })?
            })?
        },
    };
    let y = x.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)?;
    Ok((y, stats.0, stats.1))
}

/// `x · scale + shift` per channel, then perhaps ReLU.
pub(crate) fn scale_shift(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    follow: Follow,
) -> Result<Tensor> {
    let (_, channels, h, w) = x.dims4()?;
    let planes = Planes {
        channels,
        plane: h * w,
    };
    let relu = follow == Follow::Relu;
    let shape: Shape = x.shape().clone();
    let op = Fused3 {
        name: "scale_shift",
        forward: move |x: &[f32], scale: &[f32], shift: &[f32]| {
            (affine(x, scale, shift, planes, relu), shape.clone())
        },
        backward: move |x: &Tensor, scale: &Tensor, shift: &Tensor, _: &Tensor, dy: &Tensor| {
            let (s, t) = (scale.to_vec1::<f32>()?, shift.to_vec1::<f32>()?);
            let maps = (s.as_slice(), t.as_slice());
            with_floats(x, |xs| {
                with_floats(dy, |dys| {
                    let dx = match x.track_op() {
                        true => {
                            let coefficients: Vec<_> = s.iter().map(|&s| (s, 0.0, 0.0)).collect();
                            let dx = combine_all(xs, dys, &coefficients, maps, planes, relu);
                            Some(Tensor::from_vec(dx, x.shape(), x.device())?)
                        }
                        false => None,
                    };
                    if !scale.track_op() && !shift.track_op() {
                        return Ok((dx, None, None));
                    }
                    let sums = channel_sums(xs, dys, &vec![0.0; channels], maps, planes, relu);
                    let d_scale = sums.iter().map(|s| s.1 as f32).collect();
                    let d_shift = sums.iter().map(|s| s.0 as f32).collect();
                    Ok((
                        dx,
                        per_channel(scale, d_scale)?,
                        per_channel(shift, d_shift)?,
                    ))
                })?
            })?
        },
    };
    Ok(x.contiguous()?
        .apply_op3(&scale.contiguous()?, &shift.contiguous()?, op)?)
}

/// A gradient for `parameter`, if it is tracked.
fn per_channel(parameter: &Tensor, gradient: Vec<f32>) -> candle_core::Result<Option<Tensor>> {
    match parameter.track_op() {
        true => Ok(Some(Tensor::from_vec(
            gradient,
            parameter.shape(),
            parameter.device(),
        )?)),
        false => Ok(None),
    }
}
