//! A convolution whose weights are frozen: packed once, with the bias and a ReLU in the same pass.

use std::fmt;
use std::sync::Arc;

use candle_core::{Shape, Tensor};

use super::packed::Packed;
use super::slope::Slope;
use super::transposed::input_gradient;
use super::unrolled::Geometry;
use super::{finish, run};
use crate::Result;
use crate::kernels::fused::{Fused1, with_floats};

/// Packed weights `[out, in, k, k]` and a bias `[out]`.
#[derive(Clone)]
pub(crate) struct FrozenConv(Arc<Frozen>);

struct Frozen {
    packed: Packed,
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
        let pack = |w: &[f32]| Packed::new(outputs, depth, |o, i| w[o * depth + i] * scale[o]);
        Ok(Self(Arc::new(Frozen {
            packed: with_floats(weight, pack)?,
            bias,
            sizes,
        })))
    }

    /// Convolves `x` `[b, in, h, w]`, f32 on a CPU, at least as large as the kernel; gradients flow to `x`.
    pub(crate) fn forward(&self, x: &Tensor, relu: bool) -> Result<Tensor> {
        let (batch, _, height, width) = x.dims4()?;
        let g = Geometry {
            batch,
            height,
            width,
            ..self.0.sizes
        };
        let (frozen, again) = (self.0.clone(), self.0.clone());
        let op = Fused1 {
            name: "frozen_conv2d",
            forward: move |x: &[f32], _: &Shape| {
                let mut y = vec![0.0; g.batch * g.out_image()];
                run(&g, &frozen.packed, x, None, &mut y, |c, from, to| {
                    finish(from, frozen.bias[c], relu, to)
                });
                (
                    y,
                    Shape::from((g.batch, g.outputs, g.out_height(), g.out_width())),
                )
            },
            backward: move |x: &Tensor, y: &Tensor, dy: &Tensor| {
                let weight = again.packed.unpack(g.outputs);
                let dx = with_floats(y, |y| {
                    with_floats(dy, |dy| {
                        let slope = match relu {
                            true => Slope::Relu { y, dy },
                            false => Slope::Plain(dy),
                        };
                        input_gradient(&g, &weight, slope)
                    })
                })??;
                Tensor::from_vec(dx, x.shape(), x.device())
            },
        };
        Ok(x.contiguous()?.apply_op1(op)?)
    }
}
