//! Convolution without an unrolled image: row `(channel, ky, kx)` of the unrolled image is a phase of the padded image
//! itself, shifted, so a tile of the output is a product of packed weights with shifted rows that stay in cache.
//!
//! Positions are counted on the padded width ("pitch"); the few columns that this computes too many are not stored.
//! What follows a convolution (bias, ReLU, a 2×2 maximum) happens on a few rows while they are in cache, and the
//! gradient before it is formed plane by plane where it is needed, never as a whole.

mod frozen;
mod packed;
mod slope;
mod transposed;
mod unrolled;
mod upsample;
mod weight;

use std::sync::{Arc, OnceLock};

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use super::fused::{Fused2, Fused3, Gradients3, with_floats};
use super::simd::vectorised;
use crate::Result;
use packed::{Packed, correlate, with_scratch};
use slope::Slope;
use transposed::input_gradient;
use unrolled::{Geometry, Strip, Unrolled};
use weight::weight_gradient;

pub(crate) use frozen::FrozenConv;
pub(crate) use transposed::conv_transpose2d;
pub(crate) use upsample::upsample_project;

/// What follows the sums and the bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    Relu,
    /// A ReLU and the maximum of each 2×2 square; what is left over at the right and bottom is dropped.
    ReluPool,
}

/// A convolution as an operation: sizes, what follows, and which corner each maximum was taken from.
#[derive(Clone)]
struct Convolution {
    g: Geometry,
    then: Then,
    at: Arc<OnceLock<Vec<u8>>>,
}

/// Convolves `x` `[b, in, h, w]` with `weight` `[out, in, k, k]`, adds `bias` `[out]`; gradients for whatever is tracked.
pub(crate) fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
    then: Then,
) -> Result<Tensor> {
    let (batch, inputs, height, width) = x.dims4()?;
    let (outputs, _, kernel, _) = weight.dims4()?;
    let g = Geometry {
        batch,
        inputs,
        outputs,
        height,
        width,
        kernel,
        stride,
        padding,
    };
    let conv = Convolution {
        g,
        then,
        at: Arc::default(),
    };
    let again = conv.clone();
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let Some(bias) = bias else {
        let op = Fused2 {
            name: "conv2d",
            forward: move |x: &[f32], w: &[f32]| conv.forward(x, w, None),
            backward: move |x: &Tensor, w: &Tensor, y: &Tensor, dy: &Tensor| {
                let (dx, dw, _) = again.gradients(x, w, None, y, dy)?;
                Ok((dx, dw))
            },
        };
        return Ok(x.apply_op2(&weight, op)?);
    };
    let op = Fused3 {
        name: "conv2d",
        forward: move |x: &[f32], w: &[f32], b: &[f32]| conv.forward(x, w, Some(b)),
        backward: move |x: &Tensor, w: &Tensor, b: &Tensor, y: &Tensor, dy: &Tensor| {
            again.gradients(x, w, Some(b), y, dy)
        },
    };
    Ok(x.apply_op3(&weight, &bias.contiguous()?, op)?)
}

/// Gradients of the input, the weight and the bias, where they are wanted.
type Computed = (Option<Vec<f32>>, Option<Vec<f32>>, Option<Vec<f32>>);

impl Convolution {
    fn out_shape(&self) -> (usize, usize) {
        let (oh, ow) = (self.g.out_height(), self.g.out_width());
        match self.then {
            Then::ReluPool => (oh / 2, ow / 2),
            _ => (oh, ow),
        }
    }

    fn forward(&self, x: &[f32], w: &[f32], bias: Option<&[f32]>) -> (Vec<f32>, Shape) {
        let g = &self.g;
        let (oh, ow) = self.out_shape();
        let packed = Packed::new(g.outputs, g.depth(), |o, i| w[o * g.depth() + i]);
        let bias = |c: usize| bias.map_or(0.0, |bias| bias[c]);
        let mut y = vec![0.0; g.batch * g.outputs * oh * ow];
        if self.then == Then::ReluPool {
            let mut at = vec![0u8; y.len()];
            let images = y
                .par_chunks_exact_mut(g.outputs * oh * ow)
                .zip(at.par_chunks_exact_mut(g.outputs * oh * ow));
            let u = Unrolled::new(g);
            images
                .zip(x.par_chunks_exact(g.image()))
                .for_each(|((y, at), image)| {
                    prepared(g, &u, image, |image| {
                        correlate(&u, &packed, 0..g.outputs, image, |c, strip, sums| {
                            let span = (c * oh + strip.row / 2) * ow
                                ..(c * oh + (strip.row + strip.rows) / 2) * ow;
                            let (y, at) = (&mut y[span.clone()], &mut at[span]);
                            pool(sums, u.pitch, bias(c), y, at, ow);
                        });
                    });
                });
            self.at.get_or_init(|| at);
        } else {
            run(g, &packed, x, None, &mut y, |c, from, to| {
                finish(from, bias(c), self.then == Then::Relu, to)
            });
        }
        (y, Shape::from((g.batch, g.outputs, oh, ow)))
    }

    fn gradients(
        &self,
        x: &Tensor,
        w: &Tensor,
        bias: Option<&Tensor>,
        y: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<Gradients3> {
        let g = &self.g;
        let slope = |y: &'_ [f32], dy: &'_ [f32]| -> candle_core::Result<Computed> {
            let slope = match (self.then, self.at.get()) {
                (Then::Relu, _) => Slope::Relu { y, dy },
                (Then::ReluPool, Some(at)) => Slope::ReluPool { y, dy, at },
                _ => Slope::Plain(dy),
            };
            let dx = match x.track_op() {
                true => Some(with_floats(w, |w| input_gradient(g, w, slope))?),
                false => None,
            };
            let wants_bias = bias.is_some_and(Tensor::track_op);
            let (dw, db) = match w.track_op() || wants_bias {
                true => {
                    let (dw, db) = with_floats(x, |x| weight_gradient(g, x, None, slope))?;
                    (w.track_op().then_some(dw), wants_bias.then_some(db))
                }
                false => (None, None),
            };
            Ok((dx, dw, db))
        };
        let (dx, dw, db) = with_floats(y, |y| with_floats(dy, |dy| slope(y, dy)))???;
        let tensor = |values: Option<Vec<f32>>, like: &Tensor| {
            values
                .map(|values| Tensor::from_vec(values, like.shape(), like.device()))
                .transpose()
        };
        Ok((
            tensor(dx, x)?,
            tensor(dw, w)?,
            bias.map_or(Ok(None), |bias| tensor(db, bias))?,
        ))
    }
}

/// Runs `f` on an image as `u` wants it.
fn prepared<R>(g: &Geometry, u: &Unrolled, image: &[f32], f: impl FnOnce(&[f32]) -> R) -> R {
    if u.size == 0 {
        return f(image);
    }
    with_scratch(u.size, |prepared| {
        u.prepare(g, image, None, prepared);
        f(prepared)
    })
}

/// Runs `packed` weights over every image into `out` `[batch, outputs, out_plane]`.
///
/// - `keep`: as for [`Unrolled::prepare`], for the whole batch
/// - `finish`: `(channel, sums of a row, row of the output)`
fn run(
    g: &Geometry,
    packed: &Packed,
    x: &[f32],
    keep: Option<&[f32]>,
    out: &mut [f32],
    finish: impl Fn(usize, &[f32], &mut [f32]) + Sync,
) {
    let u = Unrolled::new(g);
    let (plane, ow) = (g.out_plane(), g.out_width());
    let threads = rayon::current_num_threads();
    // A batch keeps all threads busy with whole images; a single image is split by output channels.
    let group = if g.batch >= threads {
        g.outputs
    } else {
        packed.group(threads * 2)
    };
    out.par_chunks_exact_mut(g.out_image())
        .zip(x.par_chunks_exact(g.image()))
        .enumerate()
        .for_each(|(i, (out, image))| {
            let run_group = |first: usize, image: &[f32], out: &mut [f32]| {
                let channels = first..first + out.len() / plane;
                correlate(&u, packed, channels, image, |c, strip: &Strip, sums| {
                    let to = &mut out[(c - first) * plane + strip.row * ow..][..strip.rows * ow];
                    for (to, from) in to.chunks_exact_mut(ow).zip(sums.chunks(u.pitch)) {
                        finish(c, &from[..ow], to);
                    }
                });
            };
            let by_group = |out: &mut [f32], image: &[f32]| {
                if group >= g.outputs {
                    return run_group(0, image, out);
                }
                out.par_chunks_mut(group * plane)
                    .enumerate()
                    .for_each(|(i, out)| run_group(i * group, image, out));
            };
            match keep {
                Some(keep) if u.size > 0 => with_scratch(u.size, |prepared| {
                    let keep = &keep[i * g.image()..][..g.image()];
                    u.prepare(g, image, Some(keep), prepared);
                    by_group(out, prepared);
                }),
                _ => prepared(g, &u, image, |image| by_group(out, image)),
            }
        });
}

vectorised! {
    fn finish(from: &[f32], bias: f32, relu: bool, to: &mut [f32]) {
        let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
        for (to, from) in to.iter_mut().zip(from) {
            let v = from + bias;
            *to = if v < floor { floor } else { v };
        }
    }
}

/// The largest of each 2×2 square of sums plus bias, at least 0, and which corner it was.
fn pool(sums: &[f32], pitch: usize, bias: f32, y: &mut [f32], at: &mut [u8], ow: usize) {
    let rows = y.chunks_exact_mut(ow).zip(at.chunks_exact_mut(ow));
    for ((y, at), sums) in rows.zip(sums.chunks(2 * pitch)) {
        let (top, bottom) = sums.split_at(pitch);
        pool_row(top, bottom, bias, y, at);
    }
}

vectorised! {
    fn pool_row(top: &[f32], bottom: &[f32], bias: f32, y: &mut [f32], at: &mut [u8]) {
        let pairs = top.as_chunks::<2>().0.iter().zip(bottom.as_chunks::<2>().0);
        for ((y, at), (&[a, b], &[c, d])) in y.iter_mut().zip(at).zip(pairs) {
            let (mut most, mut corner) = (a, 0);
            if b > most { (most, corner) = (b, 1); }
            if c > most { (most, corner) = (c, 2); }
            if d > most { (most, corner) = (d, 3); }
            let v = most + bias;
            *y = if v < 0.0 { 0.0 } else { v };
            *at = corner as u8;
        }
    }
}
