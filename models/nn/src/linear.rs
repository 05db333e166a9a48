//! Affine maps, plain or adapted.

use candle_core::Tensor;

use crate::adapter::{self, Adapter};
use crate::{Init, Result, Weights};

/// Whether a layer adds a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bias {
    /// It has a `bias` tensor.
    Yes,
    /// It has none.
    No,
}

/// `y = x Wᵀ + b`, with a low-rank update or a learned scale where the store's [`crate::Adaptation`] says so.
///
/// Frozen tensors get no gradient, and none is computed for them.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    adapter: Option<Adapter>,
    unmerged: Option<Box<Linear>>,
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
        Self::from_tensors(weight, bias).adapted(weights)
    }

    /// A layer from tensors: `weight` `[out, in]`, `bias` `[out]`.
    pub fn from_tensors(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self {
            weight,
            bias,
            adapter: None,
            unmerged: None,
        }
    }

    /// The layer with the part that the adaptation of `weights` has for its key.
    pub(crate) fn adapted(mut self, weights: &Weights) -> Result<Self> {
        self.adapter = Adapter::of(weights, self.weight.dims())?;
        Ok(self)
    }

    /// Adds a low-rank adapter with keys `lora_A.weight` `[rank, in]` and `lora_B.weight` `[out, rank]` below `weights`.
    ///
    /// A is drawn Kaiming uniform and B is zero where the store does not have them, so the layer starts unchanged.
    /// Errors if `rank` is 0, or as [`Weights::get_or_init`].
    pub fn with_lora(mut self, rank: usize, alpha: f64, weights: &Weights) -> Result<Self> {
        let lora = Adapter::lora(weights, self.weight.dims(), rank, alpha)?;
        self.adapter = Some(Adapter::Lora(lora));
        Ok(self)
    }

    /// The same function as a plain layer: the adapter is worked into a frozen copy of the weight.
    pub fn merge(&self) -> Result<Self> {
        let Some(adapter) = &self.adapter else {
            return Ok(self.clone());
        };
        let (weight, bias) = adapter::merged(&self.weight, self.bias.as_ref(), adapter)?;
        Ok(Self {
            unmerged: Some(Box::new(self.clone())),
            ..Self::from_tensors(weight, bias)
        })
    }

    /// The layer before [`Linear::merge`], bit for bit.
    pub fn unmerge(&self) -> Self {
        match &self.unmerged {
            Some(before) => (**before).clone(),
            None => self.clone(),
        }
    }

    /// Applies the map to the last axis.
    ///
    /// - `x`: `[.., in]`, f32
    /// - returns `[.., out]`
    ///
    /// Errors if the last axis is not `in` long.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        adapter::linear(x, &self.weight, self.bias.as_ref(), self.adapter.as_ref())
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
