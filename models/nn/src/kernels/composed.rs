//! The operations composed from differentiable tensor operations: what runs on accelerators and in other types than f32,
//! and what the fused kernels are tested against.

use candle_core::{D, DType, Device, Tensor};

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

pub(crate) fn softmax(x: &Tensor) -> Result<Tensor> {
    let shifted = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?;
    let e = shifted.exp()?;
    Ok(e.broadcast_div(&e.sum_keepdim(D::Minus1)?)?)
}

pub(crate) fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let shifted = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?;
    Ok(shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)?)
}

pub(crate) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let var = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let unit = centred.broadcast_div(&(var + eps)?.sqrt()?)?;
    Ok(unit.broadcast_mul(weight)?.broadcast_add(bias)?)
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
    };
    Ok(y)
}

pub(crate) fn l2_normalise(x: &Tensor) -> Result<Tensor> {
    let norm = x.sqr()?.sum_keepdim(D::Minus1)?.maximum(1e-24)?.sqrt()?;
    Ok(x.broadcast_div(&norm)?)
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

pub(crate) fn conv2d(x: &Tensor, weight: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    Ok(x.contiguous()?.conv2d(weight, padding, stride, 1, 1)?)
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
    let y = unit
        .broadcast_mul(&weight.reshape((c, 1))?)?
        .broadcast_add(&bias.reshape((c, 1))?)?;
    let y = y.reshape((c, b, h, w))?.transpose(0, 1)?.contiguous()?;
    let y = followed(y, follow)?;
    Ok((y, mean.detach().reshape(c)?, var.detach().reshape(c)?))
}

pub(crate) fn scale_shift(
    x: &Tensor,
    scale: &Tensor,
    shift: &Tensor,
    follow: Follow,
) -> Result<Tensor> {
    let y = x
        .broadcast_mul(&scale.reshape((1, (), 1, 1))?)?
        .broadcast_add(&shift.reshape((1, (), 1, 1))?)?;
    followed(y, follow)
}

fn followed(y: Tensor, follow: Follow) -> Result<Tensor> {
    match follow {
        Follow::Nothing => Ok(y),
        Follow::Relu => Ok(y.relu()?),
    }
}

pub(crate) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    mask: &Mask,
    scale: f64,
) -> Result<Tensor> {
    let (b, n, dim) = q.dims3()?;
    let split = |t: &Tensor| -> Result<Tensor> {
        let m = t.dim(1)?;
        Ok(t.reshape((b, m, heads, dim / heads))?
            .transpose(1, 2)?
            .contiguous()?)
    };
    let (mixed, _) = ops::attention_with_weights(&split(q)?, &split(k)?, &split(v)?, mask, scale)?;
    Ok(mixed.transpose(1, 2)?.contiguous()?.reshape((b, n, dim))?)
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
