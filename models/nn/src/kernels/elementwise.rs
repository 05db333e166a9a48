//! Activations and their derivatives.

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use super::fused::{Fused1, with_floats};
use super::math;
use super::simd::{Value, vectorised};
use crate::{Activation, Result};

/// Elements that a task takes.
const CHUNK: usize = 16 * 1024;

/// `√(2/π)` and the cubic coefficient of the tanh approximation. Source: Hendrycks and Gimpel 2016, section 2.
const TANH_SCALE: f32 = 0.797_884_6;
const TANH_CUBE: f32 = 0.044_715;

/// `1/√(2π)`, the height of the normal bell.
const BELL: f32 = 0.398_942_3;

macro_rules! function {
    ($value:ident, $slope:ident, |$x:ident| $y:expr, $dy:expr) => {
        vectorised! {
            fn $value<A>(x: &[f32], y: &mut [f32]) {
                for (y, &$x) in y.iter_mut().zip(x) {
                    *y = $y;
                }
            }
        }
        vectorised! {
            /// `dx = dy · f′(x)`.
            fn $slope<A>(x: &[f32], dy: &[f32], dx: &mut [f32]) {
                for (dx, (&$x, &dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
                    *dx = dy * $dy;
                }
            }
        }
    };
}

function!(
    quick_gelu,
    quick_gelu_slope,
    |x| x * math::sigmoid::<A>(1.702 * x),
    {
        let s = math::sigmoid::<A>(1.702 * x);
        s + 1.702 * x * s * (1.0 - s)
    }
);
function!(silu, silu_slope, |x| x * math::sigmoid::<A>(x), {
    let s = math::sigmoid::<A>(x);
    s + x * s * (1.0 - s)
});
function!(
    gelu_tanh,
    gelu_tanh_slope,
    // (1 + tanh u) / 2 = sigmoid(2 u)
    |x| x * math::sigmoid::<A>(2.0 * TANH_SCALE * (x + TANH_CUBE * x * x * x)),
    {
        let s = math::sigmoid::<A>(2.0 * TANH_SCALE * (x + TANH_CUBE * x * x * x));
        s + x * s * (1.0 - s) * 2.0 * TANH_SCALE * (1.0 + 3.0 * TANH_CUBE * x * x)
    }
);
function!(
    gelu_erf,
    gelu_erf_slope,
    |x| 0.5 * x * (1.0 + math::erf_and_bell::<A>(x * std::f32::consts::FRAC_1_SQRT_2).0),
    {
        let (erf, bell) = math::erf_and_bell::<A>(x * std::f32::consts::FRAC_1_SQRT_2);
        0.5 * (1.0 + erf) + x * BELL * bell
    }
);
function!(
    relu,
    relu_slope,
    |x| if x < 0.0 { 0.0 } else { x },
    if x > 0.0 { 1.0 } else { 0.0 }
);
function!(sigmoid, sigmoid_slope, |x| math::sigmoid::<A>(x), {
    let s = math::sigmoid::<A>(x);
    s * (1.0 - s)
});
function!(tanh, tanh_slope, |x| math::tanh::<A>(x), {
    let t = math::tanh::<A>(x);
    1.0 - t * t
});

type Slope = fn(&[f32], &[f32], &mut [f32]);

fn functions(function: Activation) -> (Value, Slope) {
    match function {
        Activation::QuickGelu => (quick_gelu, quick_gelu_slope),
        Activation::GeluErf => (gelu_erf, gelu_erf_slope),
        Activation::GeluTanh => (gelu_tanh, gelu_tanh_slope),
        Activation::Relu => (relu, relu_slope),
        Activation::Silu => (silu, silu_slope),
        Activation::Sigmoid => (sigmoid, sigmoid_slope),
        Activation::Tanh => (tanh, tanh_slope),
    }
}

/// What writes a function of one slice into another.
pub(crate) fn value(function: Activation) -> Value {
    functions(function).0
}

pub(crate) fn activation(x: &Tensor, function: Activation) -> Result<Tensor> {
    let (value, slope) = functions(function);
    let op = Fused1 {
        name: "activation",
        forward: move |x: &[f32], shape: &Shape| {
            let mut y = vec![0.0; x.len()];
            y.par_chunks_mut(CHUNK)
                .zip(x.par_chunks(CHUNK))
                .for_each(|(y, x)| value(x, y));
            (y, shape.clone())
        },
        backward: move |x: &Tensor, _: &Tensor, dy: &Tensor| {
            let mut dx = vec![0.0; x.elem_count()];
            with_floats(x, |x| {
                with_floats(dy, |dy| {
                    dx.par_chunks_mut(CHUNK)
                        .zip(x.par_chunks(CHUNK))
                        .zip(dy.par_chunks(CHUNK))
                        .for_each(|((dx, x), dy)| slope(x, dy, dx));
                })
            })??;
            Tensor::from_vec(dx, x.shape(), x.device())
        },
    };
    Ok(x.contiguous()?.apply_op1(op)?)
}
