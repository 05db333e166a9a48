//! The computations behind the layers: fused on a CPU, composed elsewhere.

use candle_core::Tensor;

use crate::batch_norm::Follow;
use crate::{Activation, Mask, Result};

mod batch_norm;
mod composed;
mod conv;
mod fused;
mod math;
mod pool;
mod simd;
#[cfg(test)]
mod tests;

pub(crate) use composed::causal_mask;

/// `x Wᵀ + b` over the last axis.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    composed::linear(x, weight, bias)
}

pub(crate) fn softmax(x: &Tensor) -> Result<Tensor> {
    composed::softmax(x)
}

pub(crate) fn log_softmax(x: &Tensor) -> Result<Tensor> {
    composed::log_softmax(x)
}

pub(crate) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    composed::layer_norm(x, weight, bias, eps)
}

pub(crate) fn activation(x: &Tensor, function: Activation) -> Result<Tensor> {
    composed::activation(x, function)
}

pub(crate) fn l2_normalise(x: &Tensor) -> Result<Tensor> {
    composed::l2_normalise(x)
}

pub(crate) fn avg_pool2d(x: &Tensor, size: usize) -> Result<Tensor> {
    if fused::fusible(&[x]) {
        return pool::avg_pool2d(x, size);
    }
    composed::avg_pool2d(x, size)
}

pub(crate) fn conv2d(x: &Tensor, weight: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    if fused::fusible(&[x, weight]) && x.elem_count() > 0 {
        return conv::conv2d(x, weight, stride, padding);
    }
    composed::conv2d(x, weight, stride, padding)
}

/// Normalised batch, and the batch's mean and biased variance without gradient.
pub(crate) fn batch_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
    follow: Follow,
) -> Result<(Tensor, Tensor, Tensor)> {
    if fused::fusible(&[x, weight, bias]) {
        return batch_norm::batch_norm(x, weight, bias, eps, follow);
    }
    composed::batch_norm(x, weight, bias, eps, follow)
}

/// `x · scale + shift` per channel of `[b, c, h, w]`.
pub(crate) fn scale_shift(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    follow: Follow,
) -> Result<Tensor> {
    if fused::fusible(&[x, scale, shift]) {
        return batch_norm::scale_shift(x, scale, shift, follow);
    }
    composed::scale_shift(x, scale, shift, follow)
}

/// Attention of `[b, n, heads·d]` queries over `[b, m, heads·d]` keys and values.
pub(crate) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    mask: &Mask,
    scale: f64,
) -> Result<Tensor> {
    composed::attention(q, k, v, heads, mask, scale)
}
