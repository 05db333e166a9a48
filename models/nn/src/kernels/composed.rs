//! The operations composed from differentiable tensor operations: what runs on accelerators and in other types than f32,
//! and what the fused kernels are tested against.

use candle_core::{D, DType, Device, Tensor};

use super::{Cell, Then};
use crate::batch_norm::Follow;
use crate::{Activation, Mask, Result, ops};

pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let inputs = x.dim(D::Minus1)?;
    let mut shape = x.dims().to_vec();
    *shape
        .last_mut()
        .expect("a tensor with a last axis has a shape") = weight.dim(0)?;
    let y = x.reshape(((), inputs))?.matmul(&weight.t()?)?;
    let y = match bias {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    };
    Ok(y.reshape(shape)?)
}

pub(crate) fn patches(x: &Tensor, side: usize) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let (rows, columns) = (h / side, w / side);
    let x = x
        .narrow(2, 0, rows * side)?
        .narrow(3, 0, columns * side)?
        .reshape((b, c, rows, side, columns, side))?
        .permute((0, 2, 4, 1, 3, 5))?;
    Ok(x.reshape((b, rows * columns, c * side * side))?)
}

/// Computes on a 16-bit operand in f32, since sums in 16 bits lose their small parts; the result has the operand's type.
fn widely(x: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    match x.dtype() {
        narrow @ (DType::BF16 | DType::F16) => Ok(f(&x.to_dtype(DType::F32)?)?.to_dtype(narrow)?),
        _ => f(x),
    }
}

pub(crate) fn softmax(x: &Tensor) -> Result<Tensor> {
    widely(x, |x| {
        let shifted = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?;
        let e = shifted.exp()?;
        Ok(e.broadcast_div(&e.sum_keepdim(D::Minus1)?)?)
    })
}

pub(crate) fn log_softmax(x: &Tensor) -> Result<Tensor> {
    widely(x, |x| {
        let shifted = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?;
        Ok(shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)?)
    })
}

/// `weight` and `bias` are of the operand's type, or f32.
pub(crate) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    widely(x, |x| {
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let var = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let unit = centred.broadcast_div(&(var + eps)?.sqrt()?)?;
        let (weight, bias) = (weight.to_dtype(x.dtype())?, bias.to_dtype(x.dtype())?);
        Ok(unit.broadcast_mul(&weight)?.broadcast_add(&bias)?)
    })
}

/// `factors` are of the operand's type, or f32.
pub(crate) fn scale(x: &Tensor, factors: &Tensor) -> Result<Tensor> {
    Ok(x.broadcast_mul(&factors.to_dtype(x.dtype())?)?)
}

pub(crate) fn activation(x: &Tensor, function: Activation) -> Result<Tensor> {
    let y = match function {
        Activation::QuickGelu => (x * candle_nn::ops::sigmoid(&(x * 1.702)?)?)?,
        Activation::GeluErf => {
            (x * (((x * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)? * 0.5)?)?
        }
        Activation::GeluTanh => {
            let inner =
                ((x + ((x.sqr()? * x)? * 0.044715)?)? * (2.0 / std::f64::consts::PI).sqrt())?;
            (x * ((inner.tanh()? + 1.0)? * 0.5)?)?
        }
        Activation::Relu => x.relu()?,
        Activation::Silu => (x * candle_nn::ops::sigmoid(x)?)?,
        Activation::Sigmoid => candle_nn::ops::sigmoid(x)?,
        Activation::Tanh => x.tanh()?,
    };
    Ok(y)
}

pub(crate) fn l2_normalise(x: &Tensor) -> Result<Tensor> {
    widely(x, |x| {
        let norm = x.sqr()?.sum_keepdim(D::Minus1)?.maximum(1e-24)?.sqrt()?;
        Ok(x.broadcast_div(&norm)?)
    })
}

pub(crate) fn avg_pool2d(x: &Tensor, size: usize) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let (oh, ow) = (h / size, w / size);
    let x = x
        .narrow(2, 0, oh * size)?
        .narrow(3, 0, ow * size)?
        .contiguous()?;
    Ok(x.reshape((b, c, oh, size, ow * size))?
        .mean(3)?
        .reshape((b, c, oh, ow, size))?
        .mean(4)?)
}

pub(crate) fn avg_pool2d_last(x: &Tensor, size: usize) -> Result<Tensor> {
    let y = avg_pool2d(&x.permute((0, 3, 1, 2))?.contiguous()?, size)?;
    Ok(y.permute((0, 2, 3, 1))?.contiguous()?)
}

pub(crate) fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
    then: Then,
) -> Result<Tensor> {
    // On a processor the tensor library convolves no 16-bit numbers.
    let dtype = match (x.device().is_cpu(), x.dtype()) {
        (true, DType::BF16 | DType::F16) => DType::F32,
        (_, dtype) => dtype,
    };
    let (wide, kernel) = (x.contiguous()?.to_dtype(dtype)?, weight.to_dtype(dtype)?);
    let y = wide
        .conv2d(&kernel, padding, stride, 1, 1)?
        .to_dtype(x.dtype())?;
    let y = match bias {
        Some(bias) => y.broadcast_add(&bias.reshape((1, (), 1, 1))?)?,
        None => y,
    };
    match then {
        Then::Nothing => Ok(y),
        Then::Relu => Ok(y.relu()?),
        Then::ReluPool => max_pool2d(&y.relu()?, 2, 2),
    }
}

pub(crate) fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    stride: usize,
    padding: usize,
    output_padding: usize,
    follow: Follow,
) -> Result<Tensor> {
    let y = x
        .contiguous()?
        .conv_transpose2d(weight, padding, output_padding, stride, 1)?;
    followed(y.broadcast_add(&bias.reshape((1, (), 1, 1))?)?, follow)
}

pub(crate) fn max_pool2d(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    let (oh, ow) = ((h - kernel) / stride + 1, (w - kernel) / stride + 1);
    let every = |first: usize, count: usize| -> Result<Tensor> {
        let at: Vec<u32> = (0..count).map(|i| (first + i * stride) as u32).collect();
        Ok(Tensor::new(at, x.device())?)
    };
    let mut corners = Vec::with_capacity(kernel * kernel);
    for ky in 0..kernel {
        let rows = x.contiguous()?.index_select(&every(ky, oh)?, 2)?;
        for kx in 0..kernel {
            corners.push(rows.index_select(&every(kx, ow)?, 3)?);
        }
    }
    Ok(Tensor::stack(&corners, 0)?.max(0)?)
}

pub(crate) fn recurrent(x: &Tensor, weight: &Tensor, bias: &Tensor, cell: Cell) -> Result<Tensor> {
    let (b, steps, _) = x.dims3()?;
    let h = weight.dim(1)?;
    let zeros = Tensor::zeros((b, h), x.dtype(), x.device())?;
    let (mut state, mut memory) = (zeros.clone(), zeros);
    let mut states = Vec::with_capacity(steps);
    for t in 0..steps {
        let x = x.narrow(1, t, 1)?.squeeze(1)?; // [b, gates · h]
        let a = state.matmul(&weight.t()?)?.broadcast_add(bias)?; // [b, gates · h]
        let part = |t: &Tensor, i: usize| t.narrow(1, i * h, h);
        let gate = |i: usize| -> Result<Tensor> {
            Ok(candle_nn::ops::sigmoid(&(part(&x, i)? + part(&a, i)?)?)?)
        };
        state = match cell {
            Cell::Lstm => {
                let new = (part(&x, 2)? + part(&a, 2)?)?.tanh()?;
                memory = ((gate(1)? * &memory)? + (gate(0)? * new)?)?;
                (gate(3)? * memory.tanh()?)?
            }
            Cell::Gru => {
                let new = (part(&x, 2)? + (gate(0)? * part(&a, 2)?)?)?.tanh()?;
                (&new + (gate(1)? * (&state - &new)?)?)?
            }
        };
        states.push(state.clone());
    }
    Ok(Tensor::stack(&states, 1)?)
}

pub(crate) fn weight_norm(v: &Tensor, g: &Tensor) -> Result<Tensor> {
    let length = v.sqr()?.sum_all()?.sqrt()?;
    Ok(v.broadcast_mul(&(g / length)?)?)
}

pub(crate) fn mask(x: &Tensor, mask: Vec<f32>) -> Result<Tensor> {
    let mask = Tensor::from_vec(mask, x.shape(), x.device())?.to_dtype(x.dtype())?;
    Ok((x * mask)?)
}

pub(crate) fn lookup(table: &Tensor, ids: Vec<u32>, padding: Option<u32>) -> Result<Tensor> {
    let keep: Vec<f32> = ids
        .iter()
        .map(|id| f32::from(u8::from(Some(*id) != padding)))
        .collect();
    let keep = Tensor::from_vec(keep, (ids.len(), 1), table.device())?.to_dtype(table.dtype())?;
    let ids = Tensor::new(ids, table.device())?;
    let rows = table.index_select(&ids, 0)?;
    // The rows that are not kept come back without their gradient.
    let still = rows.detach().broadcast_mul(&(1.0 - &keep)?)?;
    Ok((rows.broadcast_mul(&keep)? + still)?)
}

pub(crate) fn bce_with_logits(x: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let soft = (x.abs()?.neg()?.exp()? + 1.0)?.log()?;
    Ok(((x.relu()? - (x * targets.detach())?)? + soft)?.sum_all()?)
}

pub(crate) fn batch_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
    follow: Follow,
) -> Result<(Tensor, Tensor, Tensor)> {
    let (b, c, h, w) = x.dims4()?;
    let rows = x.transpose(0, 1)?.contiguous()?.reshape((c, b * h * w))?;
    let mean = rows.mean_keepdim(1)?; // [c, 1]
    let centred = rows.broadcast_sub(&mean)?;
    let var = centred.sqr()?.mean_keepdim(1)?; // [c, 1]
    let unit = centred.broadcast_div(&(&var + eps)?.sqrt()?)?;
    let of_x = |t: &Tensor| t.reshape((c, 1))?.to_dtype(x.dtype());
    let y = unit
        .broadcast_mul(&of_x(weight)?)?
        .broadcast_add(&of_x(bias)?)?;
    let y = y.reshape((c, b, h, w))?.transpose(0, 1)?.contiguous()?;
    let y = followed(y, follow)?;
    let kept = |t: &Tensor| t.detach().reshape(c)?.to_dtype(weight.dtype());
    Ok((y, kept(&mean)?, kept(&var)?))
}

pub(crate) fn scale_shift(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    follow: Follow,
) -> Result<Tensor> {
    let of_x = |t: &Tensor| t.reshape((1, (), 1, 1))?.to_dtype(x.dtype());
    let y = x
        .broadcast_mul(&of_x(scale)?)?
        .broadcast_add(&of_x(shift)?)?;
    followed(y, follow)
}

fn followed(y: Tensor, follow: Follow) -> Result<Tensor> {
    match follow {
        Follow::Nothing => Ok(y),
        Follow::Relu => Ok(y.relu()?),
    }
}

/// Scores that are held at once where no gradient is wanted: 64 MiB in f32.
const SCORES: usize = 1 << 24;

/// Attention in blocks of queries, so that at most [`SCORES`] scores (or those of one query) are in memory at a time; a gradient wants
/// them all, and then they are.
pub(crate) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    mask: &Mask,
    scale: f64,
) -> Result<Tensor> {
    let (b, n, dim) = q.dims3()?;
    let m = k.dim(1)?;
    let tracked = [q, k, v].iter().any(|t| t.track_op());
    let block = match tracked {
        true => n,
        false => (SCORES / (b * heads * m).max(1)).max(1),
    };
    attention_in_blocks(q, k, v, heads, mask, scale, block, (b, n, m, dim))
}

#[allow(clippy::too_many_arguments)] // attention's six, the block, and the sizes that were read already
pub(super) fn attention_in_blocks(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    mask: &Mask,
    scale: f64,
    block: usize,
    (b, n, m, dim): (usize, usize, usize, usize),
) -> Result<Tensor> {
    let split = |t: &Tensor, length: usize| -> Result<Tensor> {
        Ok(t.reshape((b, length, heads, dim / heads))?
            .transpose(1, 2)?
            .contiguous()?)
    };
    let (q, k, v) = (split(q, n)?, split(k, m)?, split(v, m)?);
    let mixed = match block >= n {
        true => ops::attention_with_weights(&q, &k, &v, mask, scale)?.0,
        false => {
            let mut parts = Vec::with_capacity(n.div_ceil(block));
            for first in (0..n).step_by(block) {
                let rows = block.min(n - first);
                let mask = mask_of(mask, first, rows, (n, m), &q)?;
                let q = q.narrow(2, first, rows)?;
                parts.push(ops::attention_with_weights(&q, &k, &v, &mask, scale)?.0);
            }
            Tensor::cat(&parts, 2)?
        }
    };
    Ok(mixed.transpose(1, 2)?.contiguous()?.reshape((b, n, dim))?)
}

/// The mask of some queries.
fn mask_of(
    mask: &Mask,
    first: usize,
    rows: usize,
    (n, m): (usize, usize),
    q: &Tensor,
) -> Result<Mask> {
    let whole = match mask {
        Mask::None => return Ok(Mask::None),
        Mask::Causal => causal_mask(n, m, q.dtype(), q.device())?,
        Mask::Additive(mask) => mask.clone(),
    };
    let axis = whole.rank().checked_sub(2);
    Ok(Mask::Additive(match axis {
        Some(axis) if whole.dim(axis)? == n && n > 1 => whole.narrow(axis, first, rows)?,
        _ => whole,
    }))
}

/// `[n, m]`: zero where a query may look, minus infinity after it; the last query sees the last position.
pub(crate) fn causal_mask(n: usize, m: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    let mask: Vec<f32> = (0..n)
        .flat_map(|i| {
            (0..m).map(move |j| {
                if j + n > i + m {
                    f32::NEG_INFINITY
                } else {
                    0.0
                }
            })
        })
        .collect();
    Ok(Tensor::from_vec(mask, (n, m), device)?.to_dtype(dtype)?)
}

pub(crate) fn cross_entropy(logits: &Tensor, targets: &[i64]) -> Result<Tensor> {
    let targets = Tensor::new(targets, logits.device())?.unsqueeze(1)?; // [n, 1]
    Ok(log_softmax(logits)?
        .gather(&targets, 1)?
        .mean_all()?
        .neg()?)
}
