//! A convolution whose weights are frozen, over images with channels innermost: packed once, with the bias, a shortcut and a
//! ReLU in the same pass.

use std::fmt;
use std::sync::Arc;

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use super::slope::Slope;
use super::transposed::input_gradient;
use super::unrolled::Geometry;
use crate::kernels::fused::{Fused1, Fused2, with_floats};
use crate::kernels::simd::{Finish, Gathered, Panels};
use crate::{NnError, Result};

/// Packed weights `[out, in, k, k]` and a bias `[out]`.
#[derive(Clone)]
pub(crate) struct FrozenConv(Arc<Frozen>);

struct Frozen {
    /// `[out, k, k, in]`
    panels: Panels,
    bias: Vec<f32>,
    /// Sizes but for the image's.
    sizes: Geometry,
}

impl fmt::Debug for FrozenConv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrozenConv({:?})", self.0.sizes)
    }
}

impl FrozenConv {
    /// Packs a weight `[out, in, k, k]`, f32 on a CPU, each output's share times its `scale`.
    pub(crate) fn new(
        weight: &Tensor,
        scale: &[f32],
        bias: Vec<f32>,
        stride: usize,
        padding: usize,
    ) -> Result<Self> {
        let (outputs, inputs, kernel, _) = weight.dims4()?;
        let sizes = Geometry {
            batch: 0,
            inputs,
            outputs,
            height: 0,
            width: 0,
            kernel,
            stride,
            padding,
        };
        let depth = sizes.depth();
        let pack = |w: &[f32]| {
            let mut last = reordered(w, inputs, kernel * kernel);
            let rows = last.chunks_exact_mut(depth.max(1)).zip(scale);
            rows.for_each(|(row, scale)| row.iter_mut().for_each(|w| *w *= scale));
            Panels::pack(&last, outputs, depth)
        };
        Ok(Self(Arc::new(Frozen {
            panels: with_floats(weight, pack)?,
            bias,
            sizes,
        })))
    }

    /// Convolves `x` `[b, h, w, in]`, f32 on a CPU, at least as large as the kernel, adds a `shortcut` shaped like the result
    /// and takes `max(·, 0)`, if that is wanted; returns `[b, h', w', out]`. Gradients flow to `x` and to the shortcut.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        shortcut: Option<&Tensor>,
        relu: bool,
    ) -> Result<Tensor> {
        let (batch, height, width, _) = x.dims4()?;
        let g = Geometry {
            batch,
            height,
            width,
            ..self.0.sizes
        };
        let shape = [g.batch, g.out_height(), g.out_width(), g.outputs];
        let x = x.contiguous()?;
        let (frozen, again) = (self.0.clone(), self.0.clone());
        let Some(shortcut) = shortcut else {
            let op = Fused1 {
                name: "frozen_conv2d",
                forward: move |x: &[f32], _: &Shape| {
                    (frozen.run(&g, x, None, relu), Shape::from(&shape[..]))
                },
                backward: move |_: &Tensor, y: &Tensor, dy: &Tensor| {
                    again.input_gradient(&g, &sloped(y, dy, relu)?)
                },
            };
            return Ok(x.apply_op1(op)?);
        };
        if shortcut.dims() != shape {
            let reason = format!("{:?} cannot be added to {shape:?}", shortcut.shape());
            return Err(NnError::argument("convolution", reason));
        }
        let op = Fused2 {
            name: "frozen_conv2d_add",
            forward: move |x: &[f32], add: &[f32]| {
                (frozen.run(&g, x, Some(add), relu), Shape::from(&shape[..]))
            },
            backward: move |x: &Tensor, shortcut: &Tensor, y: &Tensor, dy: &Tensor| {
                let dy = sloped(y, dy, relu)?;
                let dx = x.track_op().then(|| again.input_gradient(&g, &dy));
                Ok((dx.transpose()?, shortcut.track_op().then_some(dy)))
            },
        };
        Ok(x.apply_op2(&shortcut.contiguous()?, op)?)
    }
}

impl Frozen {
    fn run(&self, g: &Geometry, x: &[f32], add: Option<&[f32]>, relu: bool) -> Vec<f32> {
        let finish = Finish {
            bias: Some(&self.bias),
            add,
            relu,
            ..Finish::default()
        };
        let padded = (g.padding > 0).then(|| padded(g, x));
        let x = padded.as_deref().unwrap_or(x);
        let (starts, taps) = (starts(g), taps(g));
        let rows = Gathered::new(x, &starts, &taps, g.kernel * g.inputs);
        self.panels.gathered_product(&rows, &finish)
    }

    /// The gradient of `x` from that of the convolution, both with channels innermost.
    fn input_gradient(&self, g: &Geometry, dy: &Tensor) -> candle_core::Result<Tensor> {
        let squares = g.kernel * g.kernel;
        let weight = reordered(&self.panels.unpack(), squares, g.inputs);
        let dy = dy.permute((0, 3, 1, 2))?;
        let dx = with_floats(&dy, |dy| input_gradient(g, &weight, Slope::Plain(dy)))?;
        let shape = (g.batch, g.inputs, g.height, g.width);
        Tensor::from_vec(dx, shape, dy.device())?.permute((0, 2, 3, 1))
    }
}

/// The gradient in front of the ReLU.
fn sloped(y: &Tensor, dy: &Tensor, relu: bool) -> candle_core::Result<Tensor> {
    match relu {
        true => dy.mul(&y.gt(0.0)?.to_dtype(dy.dtype())?),
        false => Ok(dy.clone()),
    }
}

/// Rows of `outer` runs of `inner` floats as `inner` runs of `outer` floats.
fn reordered(w: &[f32], outer: usize, inner: usize) -> Vec<f32> {
    let mut last = vec![0.0; w.len()];
    let size = (outer * inner).max(1);
    for (row, into) in w.chunks_exact(size).zip(last.chunks_exact_mut(size)) {
        for (o, run) in row.chunks_exact(inner.max(1)).enumerate() {
            for (into, &w) in into.iter_mut().skip(o).step_by(outer).zip(run) {
                *into = w;
            }
        }
    }
    last
}

/// The images with zeros around them, `[b, h + 2p, w + 2p, in]`.
fn padded(g: &Geometry, x: &[f32]) -> Vec<f32> {
    let row = g.width * g.inputs;
    let edge = g.padding * g.inputs;
    let wide = row + 2 * edge;
    let mut out = vec![0.0; g.batch * (g.height + 2 * g.padding) * wide];
    let images = out.par_chunks_exact_mut((g.height + 2 * g.padding) * wide);
    images
        .zip(x.par_chunks_exact(g.height * row))
        .for_each(|(out, x)| {
            let rows = out.chunks_exact_mut(wide).skip(g.padding);
            for (out, x) in rows.zip(x.chunks_exact(row)) {
                out[edge..][..row].copy_from_slice(x);
            }
        });
    out
}

/// Where the square under the kernel begins for every position of the result, in the padded images.
fn starts(g: &Geometry) -> Vec<usize> {
    let (high, wide) = (g.height + 2 * g.padding, g.width + 2 * g.padding);
    let mut starts = Vec::with_capacity(g.batch * g.out_plane());
    for image in 0..g.batch {
        for oy in 0..g.out_height() {
            let row = (image * high + oy * g.stride) * wide;
            starts.extend((0..g.out_width()).map(|ox| (row + ox * g.stride) * g.inputs));
        }
    }
    starts
}

/// Where the kernel's rows begin below a start; a row is one run of floats.
fn taps(g: &Geometry) -> Vec<usize> {
    let wide = g.width + 2 * g.padding;
    (0..g.kernel).map(|ky| ky * wide * g.inputs).collect()
}
