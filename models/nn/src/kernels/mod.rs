//! The computations behind the layers: fused on a CPU, composed elsewhere.

use candle_core::{D, Tensor};

use crate::batch_norm::Follow;
use crate::{Activation, Mask, NnError, Result};

mod attention;
mod batch_norm;
mod composed;
mod conv;
mod elementwise;
mod fused;
mod linear;
mod math;
mod packed;
mod patches;
mod pool;
mod recurrent;
mod regular;
mod rows;
mod scale;
mod simd;
#[cfg(test)]
mod tests;

pub(crate) use composed::causal_mask;
pub(crate) use conv::{FrozenConv, Then};
pub(crate) use packed::{After, Packed, packable};
pub(crate) use recurrent::Cell;
pub(crate) use simd::instructions;
pub use simd::{keep_freed_memory, release_freed_memory};

/// `x Wᵀ + b` over the last axis.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let fusible = fused::fusible(&[x, weight]) && bias.is_none_or(|bias| fused::fusible(&[bias]));
    if fusible && x.elem_count() > 0 {
        return linear::linear(x, weight, bias);
    }
    composed::linear(x, weight, bias)
}

pub(crate) fn softmax(x: &Tensor) -> Result<Tensor> {
    if fused::fusible(&[x]) {
        return rows::softmax(x);
    }
    composed::softmax(x)
}

pub(crate) fn log_softmax(x: &Tensor) -> Result<Tensor> {
    if fused::fusible(&[x]) {
        return rows::log_softmax(x);
    }
    composed::log_softmax(x)
}

pub(crate) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    if fused::fusible(&[x, weight, bias]) {
        return rows::layer_norm(x, weight, bias, eps);
    }
    composed::layer_norm(x, weight, bias, eps)
}

/// `x` times `factors` `[n]` over the last axis.
pub(crate) fn scale(x: &Tensor, factors: &Tensor) -> Result<Tensor> {
    if x.dim(D::Minus1)? != factors.elem_count() {
        let reason = format!("{:?} by {} factors", x.shape(), factors.elem_count());
        return Err(NnError::argument("scale", reason));
    }
    if fused::fusible(&[x, factors]) && factors.elem_count() > 0 {
        return scale::scale(x, factors);
    }
    composed::scale(x, factors)
}

pub(crate) fn activation(x: &Tensor, function: Activation) -> Result<Tensor> {
    if fused::fusible(&[x]) {
        return elementwise::activation(x, function);
    }
    composed::activation(x, function)
}

pub(crate) fn l2_normalise(x: &Tensor) -> Result<Tensor> {
    if fused::fusible(&[x]) {
        return rows::l2_normalise(x);
    }
    composed::l2_normalise(x)
}

pub(crate) fn avg_pool2d(x: &Tensor, size: usize) -> Result<Tensor> {
    if fused::fusible(&[x]) {
        return pool::avg_pool2d(x, size);
    }
    composed::avg_pool2d(x, size)
}

pub(crate) fn avg_pool2d_last(x: &Tensor, size: usize) -> Result<Tensor> {
    if fused::fusible(&[x]) {
        return pool::avg_pool2d_last(x, size);
    }
    composed::avg_pool2d_last(x, size)
}

/// Convolution, bias, and what follows.
pub(crate) fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
    then: Then,
) -> Result<Tensor> {
    let fusible = fused::fusible(&[x, weight]) && bias.is_none_or(|bias| fused::fusible(&[bias]));
    if fusible && x.elem_count() > 0 {
        return conv::conv2d(x, weight, bias, stride, padding, then);
    }
    composed::conv2d(x, weight, bias, stride, padding, then)
}

/// Transposed convolution and bias; `output_padding` is below `stride`.
pub(crate) fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    stride: usize,
    padding: usize,
    output_padding: usize,
    follow: Follow,
) -> Result<Tensor> {
    if fused::fusible(&[x, weight, bias]) && x.elem_count() > 0 {
        return conv::conv_transpose2d(x, weight, bias, stride, padding, output_padding, follow);
    }
    composed::conv_transpose2d(x, weight, bias, stride, padding, output_padding, follow)
}

/// A transposed convolution with a ReLU and then a convolution with stride 1; each layer as weight, bias.
pub(crate) fn upsample_project(
    x: &Tensor,
    grow: (&Tensor, &Tensor),
    strides: (usize, usize, usize),
    project: (&Tensor, &Tensor),
    padding: usize,
) -> Result<Tensor> {
    let tensors = [x, grow.0, grow.1, project.0, project.1];
    if fused::fusible(&tensors) && x.elem_count() > 0 && project.0.dim(2)? > 1 {
        return conv::upsample_project(x, grow, strides, project, padding);
    }
    let (stride, own, extra) = strides;
    let wide = conv_transpose2d(x, grow.0, grow.1, stride, own, extra, Follow::Relu)?;
    conv2d(&wide, project.0, Some(project.1), 1, padding, Then::Nothing)
}

/// `[b, c, h, w]` to `[b, patches, c · side · side]`.
pub(crate) fn patches(x: &Tensor, side: usize) -> Result<Tensor> {
    if fused::fusible(&[x]) {
        return patches::patches(x, side);
    }
    composed::patches(x, side)
}

pub(crate) fn max_pool2d(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    if fused::fusible(&[x]) {
        return pool::max_pool2d(x, kernel, stride);
    }
    composed::max_pool2d(x, kernel, stride)
}

/// All states of a recurrence over projected inputs.
pub(crate) fn recurrent(x: &Tensor, weight: &Tensor, bias: &Tensor, cell: Cell) -> Result<Tensor> {
    if fused::fusible(&[x, weight, bias]) && x.elem_count() > 0 {
        return recurrent::recurrent(x, weight, bias, cell);
    }
    composed::recurrent(x, weight, bias, cell)
}

pub(crate) fn weight_norm(v: &Tensor, g: &Tensor) -> Result<Tensor> {
    if fused::fusible(&[v, g]) {
        return regular::weight_norm(v, g);
    }
    composed::weight_norm(v, g)
}

/// `x` times a factor an element.
pub(crate) fn mask(x: &Tensor, mask: Vec<f32>) -> Result<Tensor> {
    if fused::fusible(&[x]) {
        return regular::mask(x, mask);
    }
    composed::mask(x, mask)
}

/// Rows of a table; every id is a row.
pub(crate) fn lookup(table: &Tensor, ids: Vec<u32>, padding: Option<u32>) -> Result<Tensor> {
    if fused::fusible(&[table]) {
        return regular::lookup(table, ids, padding);
    }
    composed::lookup(table, ids, padding)
}

/// Summed binary cross-entropy of logits; shapes are equal.
pub(crate) fn bce_with_logits(x: &Tensor, targets: &Tensor) -> Result<Tensor> {
    if fused::fusible(&[x, targets]) {
        return regular::bce_with_logits(x, targets);
    }
    composed::bce_with_logits(x, targets)
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
    if fused::fusible(&[q, k, v]) {
        return attention::attention(q, k, v, heads, mask, scale);
    }
    composed::attention(q, k, v, heads, mask, scale)
}

/// [`attention()`] of a `[b, n, 3·heads·d]` tensor that holds queries, keys and values side by side.
pub(crate) fn packed_attention(
    qkv: &Tensor,
    heads: usize,
    mask: &Mask,
    scale: f64,
) -> Result<Tensor> {
    if fused::fusible(&[qkv]) {
        return attention::packed_attention(qkv, heads, mask, scale);
    }
    let dim = qkv.dim(2)? / 3;
    let part = |i: usize| qkv.narrow(2, i * dim, dim);
    composed::attention(&part(0)?, &part(1)?, &part(2)?, heads, mask, scale)
}

/// Mean cross-entropy; every target is a class.
pub(crate) fn cross_entropy(logits: &Tensor, targets: &[i64]) -> Result<Tensor> {
    if fused::fusible(&[logits]) {
        return rows::cross_entropy(logits, targets.iter().map(|&t| t as usize).collect());
    }
    composed::cross_entropy(logits, targets)
}
