//! Affine maps, plain or with a low-rank adapter.

use candle_core::Tensor;

use crate::{Init, NnError, Result, Weights, kernels};

/// Whether a layer adds a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bias {
    /// It has a `bias` tensor.
    Yes,
    /// It has none.
    No,
}

/// `y = x Wᵀ + b`, optionally with a low-rank adapter: `y = x Wᵀ + b + (alpha / rank) · x Aᵀ Bᵀ`.
///
/// Frozen tensors get no gradient, and none is computed for them.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    lora: Option<Lora>,
}

/// A low-rank adapter. Source: Hu et al. 2021, eq. 3.
#[derive(Debug, Clone)]
struct Lora {
    a: Tensor,
    b: Tensor,
    scale: f64,
}

impl Linear {
    /// Loads `weight` of shape `[outputs, inputs]` and, if asked for, `bias` of shape `[outputs]`.
    ///
    /// A fresh layer is Kaiming uniform, as in PyTorch. Errors as [`Weights::get`].
    pub fn load(weights: &Weights, inputs: usize, outputs: usize, bias: Bias) -> Result<Self> {
        let init = Init::KaimingUniform { fan_in: inputs };
        let weight = weights.get((outputs, inputs), "weight", init)?;
        let bias = match bias {
            Bias::Yes => Some(weights.get(outputs, "bias", init)?),
            Bias::No => None,
        };
        Ok(Self::from_tensors(weight, bias))
    }

    /// A layer from tensors: `weight` `[out, in]`, `bias` `[out]`.
    pub fn from_tensors(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self {
            weight,
            bias,
            lora: None,
        }
    }

    /// Adds a low-rank adapter with keys `lora_A.weight` `[rank, in]` and `lora_B.weight` `[out, rank]` below `weights`.
    ///
    /// A is drawn Kaiming uniform and B is zero where the store does not have them, so the layer starts unchanged.
    /// Errors if `rank` is 0, or as [`Weights::get_or_init`].
    pub fn with_lora(mut self, rank: usize, alpha: f64, weights: &Weights) -> Result<Self> {
        if rank == 0 {
            return Err(NnError::argument("low-rank adapter", "rank is at least 1"));
        }
        let (outputs, inputs) = self.weight.dims2()?;
        let init = Init::KaimingUniform { fan_in: inputs };
        self.lora = Some(Lora {
            a: weights.get_or_init((rank, inputs), "lora_A.weight", init)?,
            b: weights.get_or_init((outputs, rank), "lora_B.weight", Init::Zeros)?,
            scale: alpha / rank as f64,
        });
        Ok(self)
    }

    /// The same function as a plain layer: the adapter is added into a frozen copy of the weight.
    pub fn merge(&self) -> Result<Self> {
        let Some(lora) = &self.lora else {
            return Ok(self.clone());
        };
        let delta = (lora.b.detach().matmul(&lora.a.detach())? * lora.scale)?; // [out, in]
        Ok(Self::from_tensors(
            (self.weight.detach() + delta)?,
            self.bias.as_ref().map(Tensor::detach),
        ))
    }

    /// Applies the map to the last axis.
    ///
    /// - `x`: `[.., in]`, f32
    /// - returns `[.., out]`
    ///
    /// Errors if the last axis is not `in` long.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = kernels::linear(x, &self.weight, self.bias.as_ref())?;
        match &self.lora {
            None => Ok(y),
            Some(lora) => {
                let low = kernels::linear(x, &lora.a, None)?; // [.., rank]
                let delta = kernels::linear(&low, &lora.b, None)?; // [.., out]
                Ok((y + (delta * lora.scale)?)?)
            }
        }
    }

    /// The weight without adapter, `[out, in]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias, `[out]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }
}
