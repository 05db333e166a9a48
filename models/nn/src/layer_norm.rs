//! Normalisation over the last axis.

use candle_core::Tensor;

use crate::{Init, Result, Weights, ops};

/// Layer normalisation with scale and shift. Source: Ba et al. 2016, eq. 4.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Loads `weight` and `bias` of shape `[dim]`; fresh ones are one and zero.
    ///
    /// `eps` is added to the variance: 1e-5 in CLIP. Errors as [`Weights::get`].
    pub fn load(weights: &Weights, dim: usize, eps: f64) -> Result<Self> {
        let weights = weights.wide();
        Ok(Self {
            weight: weights.get(dim, "weight", Init::Ones)?,
            bias: weights.get(dim, "bias", Init::Zeros)?,
            eps,
        })
    }

    /// Normalises the last axis.
    ///
    /// - `x`: `[.., dim]`, f32
    /// - returns the same shape
    ///
    /// Errors if the last axis is not `dim` long.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        ops::layer_norm(x, &self.weight, &self.bias, self.eps)
    }
}
