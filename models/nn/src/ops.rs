//! Operations without tensors of their own; every one has a working backward.

use candle_core::{D, Tensor};
use rand::Rng;

use crate::{Activation, Mask, NnError, Result, kernels};

/// Softmax over the last axis.
///
/// - `x`: `[.., n]`, f32, of any magnitude
/// - returns the same shape; rows sum to one
pub fn softmax_last(x: &Tensor) -> Result<Tensor> {
    kernels::softmax(x)
}

/// Logarithm of the softmax over the last axis.
///
/// - `x`: `[.., n]`, f32, of any magnitude
/// - returns the same shape
pub fn log_softmax_last(x: &Tensor) -> Result<Tensor> {
    kernels::log_softmax(x)
}

/// Layer normalisation over the last axis; see [`crate::LayerNorm`].
///
/// - `x`: `[.., n]`; `weight` and `bias`: `[n]`; f32
/// - returns the shape of `x`
///
/// Errors if the lengths differ.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let n = x.dim(D::Minus1)?;
    if weight.dims() != [n] || bias.dims() != [n] {
        let reason = format!(
            "{n} values a row, scale {:?}, shift {:?}",
            weight.shape(),
            bias.shape()
        );
        return Err(NnError::argument("layer normalisation", reason));
    }
    kernels::layer_norm(x, weight, bias, eps)
}

/// Applies an elementwise function.
pub fn activation(x: &Tensor, function: Activation) -> Result<Tensor> {
    kernels::activation(x, function)
}

/// `x · sigmoid(1.702 x)`.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    activation(x, Activation::QuickGelu)
}

/// `x · Φ(x)`.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    activation(x, Activation::GeluErf)
}

/// `x · Φ(x)`, tanh approximation.
pub fn gelu_tanh(x: &Tensor) -> Result<Tensor> {
    activation(x, Activation::GeluTanh)
}

/// `max(x, 0)`.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    activation(x, Activation::Relu)
}

/// `x · sigmoid(x)`.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    activation(x, Activation::Silu)
}

/// `1 / (1 + e⁻ˣ)`.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    activation(x, Activation::Sigmoid)
}

/// Hyperbolic tangent.
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    activation(x, Activation::Tanh)
}

/// Largest value of each `kernel`×`kernel` square, `stride` apart, without padding.
///
/// - `x`: `[b, c, h, w]`, f32
/// - returns `[b, c, (h − kernel) / stride + 1, (w − kernel) / stride + 1]`; of equal values the first gets the gradient
///
/// Errors if `kernel` or `stride` is 0, or the kernel is larger than the image.
pub fn max_pool2d(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    if kernel == 0 || stride == 0 || kernel > h || kernel > w {
        return Err(NnError::argument(
            "maximum pooling",
            format!("size {kernel}, stride {stride} on {h}×{w}"),
        ));
    }
    kernels::max_pool2d(x, kernel, stride)
}

/// Rows of a table by number.
///
/// - `table`: `[rows, dim]`; `ids`: row numbers
/// - `padding`: a row that gets no gradient, as `padding_idx` in PyTorch
/// - returns `[ids, dim]`
///
/// Errors if an id is not a row.
pub fn lookup(table: &Tensor, ids: &[u32], padding: Option<u32>) -> Result<Tensor> {
    let rows = table.dim(0)?;
    if let Some(id) = ids.iter().find(|&&id| id as usize >= rows) {
        return Err(NnError::argument(
            "table",
            format!("row {id} where there are {rows}"),
        ));
    }
    kernels::lookup(table, ids.to_vec(), padding)
}

/// `g · v / ‖v‖` with the Euclidean length of the whole tensor.
///
/// - `v`: any shape; `g`: `[]`; f32
/// - returns the shape of `v`
///
/// Source: Salimans and Kingma 2016, eq. 2.
pub fn weight_norm(v: &Tensor, g: &Tensor) -> Result<Tensor> {
    if g.rank() != 0 {
        let reason = format!("a length of shape {:?}", g.shape());
        return Err(NnError::argument("weight normalisation", reason));
    }
    kernels::weight_norm(v, g)
}

/// Sum over all elements of the binary cross-entropy of `sigmoid(logits)` against targets in `[0, 1]`.
///
/// - `logits`, `targets`: one shape, f32; targets get no gradient
/// - returns a scalar
///
/// Errors if the shapes differ.
pub fn bce_with_logits_sum(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    if logits.shape() != targets.shape() {
        let reason = format!("logits {:?}, targets {:?}", logits.shape(), targets.shape());
        return Err(NnError::argument("binary cross-entropy", reason));
    }
    kernels::bce_with_logits(logits, targets)
}

/// Mean over non-overlapping `size`×`size` squares; what is left over at the right and bottom is dropped.
///
/// - `x`: `[b, c, h, w]`, f32
/// - returns `[b, c, h / size, w / size]`
///
/// Errors if `size` is 0 or larger than the image.
pub fn avg_pool2d(x: &Tensor, size: usize) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    check_pool(size, h, w)?;
    match size {
        1 => Ok(x.clone()),
        _ => kernels::avg_pool2d(x, size),
    }
}

/// [`avg_pool2d`] of an image with channels innermost.
///
/// - `x`: `[b, h, w, c]`, f32
/// - returns `[b, h / size, w / size, c]`
pub fn avg_pool2d_last(x: &Tensor, size: usize) -> Result<Tensor> {
    let (_, h, w, _) = x.dims4()?;
    check_pool(size, h, w)?;
    match size {
        1 => Ok(x.clone()),
        _ => kernels::avg_pool2d_last(x, size),
    }
}

fn check_pool(size: usize, h: usize, w: usize) -> Result<()> {
    if size == 0 || size > h || size > w {
        let reason = format!("size {size} on {h}×{w}");
        return Err(NnError::argument("average pooling", reason));
    }
    Ok(())
}

/// `[b, c, h, w]` as `[b, h, w, c]`.
pub fn channels_last(x: &Tensor) -> Result<Tensor> {
    Ok(x.permute((0, 2, 3, 1))?.contiguous()?)
}

/// `[b, h, w, c]` as `[b, c, h, w]`.
pub fn channels_first(x: &Tensor) -> Result<Tensor> {
    Ok(x.permute((0, 3, 1, 2))?.contiguous()?)
}

/// Zeroes each element with probability `p` and scales the others by `1 / (1 − p)`.
///
/// Call it in [`crate::Mode::Train`] alone. Errors unless `0 ≤ p < 1`.
pub fn dropout(x: &Tensor, p: f64, rng: &mut impl Rng) -> Result<Tensor> {
    if !(0.0..1.0).contains(&p) {
        return Err(NnError::argument("dropout", format!("probability {p}")));
    }
    if p == 0.0 {
        return Ok(x.clone());
    }
    let keep = (1.0 / (1.0 - p)) as f32;
    let mask: Vec<f32> = (0..x.elem_count())
        .map(|_| if rng.random::<f64>() < p { 0.0 } else { keep })
        .collect();
    let mask = Tensor::from_vec(mask, x.shape(), x.device())?.to_dtype(x.dtype())?;
    Ok((x * mask)?)
}

/// Scales the last axis to unit Euclidean length; a row shorter than 1e-12 is divided by 1e-12.
///
/// - `x`: `[.., n]`, f32
/// - returns the same shape
pub fn l2_normalise(x: &Tensor) -> Result<Tensor> {
    kernels::l2_normalise(x)
}

/// Mean cross-entropy of rows of logits against class numbers.
///
/// - `logits`: `[n, classes]`, f32; `targets`: `[n]`, u32 or i64
/// - returns a scalar
///
/// Errors if the lengths differ or a target is not a class.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let (n, classes) = logits.dims2()?;
    if targets.dims() != [n] || n == 0 {
        let reason = format!("{n} rows of logits, targets {:?}", targets.shape());
        return Err(NnError::argument("cross-entropy", reason));
    }
    let targets = targets
        .to_dtype(candle_core::DType::I64)?
        .to_vec1::<i64>()?;
    if let Some(target) = targets.iter().find(|&&t| t < 0 || t >= classes as i64) {
        let reason = format!("target {target} with {classes} classes");
        return Err(NnError::argument("cross-entropy", reason));
    }
    kernels::cross_entropy(logits, &targets)
}

/// Scaled dot-product attention.
///
/// - `q`: `[b, heads, n, d]`; `k`, `v`: `[b, heads, m, d]`; f32
/// - returns `[b, heads, n, d]`
///
/// `scale` multiplies the scores, usually `1/√d`. Source: Vaswani et al. 2017, eq. 1.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: &Mask, scale: f64) -> Result<Tensor> {
    let (b, heads, n, d) = q.dims4()?;
    let flat =
        |t: &Tensor| -> Result<Tensor> { Ok(t.transpose(1, 2)?.contiguous()?.flatten_from(2)?) };
    let mixed = kernels::attention(&flat(q)?, &flat(k)?, &flat(v)?, heads, mask, scale)?; // [b, n, heads·d]
    Ok(mixed.reshape((b, n, heads, d))?.transpose(1, 2)?)
}

/// [`attention`], and the weights `[b, heads, n, m]` whose rows sum to one; gradients flow through both.
pub fn attention_with_weights(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: &Mask,
    scale: f64,
) -> Result<(Tensor, Tensor)> {
    let k_t = k.transpose(2, 3)?.contiguous()?;
    let scores = (q.contiguous()?.matmul(&k_t)? * scale)?; // [b, heads, n, m]
    let scores = match mask {
        Mask::None => scores,
        Mask::Causal => scores.broadcast_add(&kernels::causal_mask(
            q.dim(2)?,
            k.dim(2)?,
            q.dtype(),
            q.device(),
        )?)?,
        Mask::Additive(mask) => scores.broadcast_add(&mask.detach().to_dtype(q.dtype())?)?,
    };
    let weights = softmax_last(&scores)?;
    Ok((weights.matmul(&v.contiguous()?)?, weights))
}
