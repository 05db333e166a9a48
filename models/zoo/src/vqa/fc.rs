//! Small weight-normalised networks that the attention models share.

use candle_core::Tensor;
use lucency_nn::{Dropout, WeightNormLinear, Weights, ops};

use crate::Result;

/// Dropout in front of a projection. Source: Kim et al. 2018, the released code.
pub(super) const BEFORE: f64 = 0.2;

/// Dropout, a weight-normalised map, and a ReLU if it is wanted. Key: `main.1`, since dropout counts as `main.0`.
#[derive(Debug, Clone)]
pub(super) struct Projection {
    layer: WeightNormLinear,
    relu: bool,
}

impl Projection {
    pub(super) fn load(weights: &Weights, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Self {
            layer: WeightNormLinear::load(&weights.pp("main.1"), inputs, outputs)?,
            relu: false,
        })
    }

    pub(super) fn load_relu(weights: &Weights, inputs: usize, outputs: usize) -> Result<Self> {
        let plain = Self::load(weights, inputs, outputs)?;
        Ok(Self {
            relu: true,
            ..plain
        })
    }

    pub(super) fn forward(&self, x: &Tensor, dropout: &mut Option<&mut Dropout>) -> Result<Tensor> {
        let y = self.layer.forward(&Dropout::maybe(dropout, x, BEFORE)?)?;
        match self.relu {
            true => Ok(ops::relu(&y)?),
            false => Ok(y),
        }
    }
}

/// Two weight-normalised maps with a ReLU and dropout between them. Keys: `main.0` and `main.3`.
#[derive(Debug, Clone)]
pub(super) struct Classifier {
    first: WeightNormLinear,
    second: WeightNormLinear,
    dropout: f64,
}

impl Classifier {
    /// The layer between is twice as wide as the input.
    pub(super) fn load(
        weights: &Weights,
        inputs: usize,
        outputs: usize,
        dropout: f64,
    ) -> Result<Self> {
        Ok(Self {
            first: WeightNormLinear::load(&weights.pp("main.0"), inputs, 2 * inputs)?,
            second: WeightNormLinear::load(&weights.pp("main.3"), 2 * inputs, outputs)?,
            dropout,
        })
    }

    /// - `joint`: `[b, inputs]`; returns `[b, outputs]`
    pub(super) fn forward(
        &self,
        joint: &Tensor,
        dropout: &mut Option<&mut Dropout>,
    ) -> Result<Tensor> {
        let x = ops::relu(&self.first.forward(joint)?)?;
        Ok(self
            .second
            .forward(&Dropout::maybe(dropout, &x, self.dropout)?)?)
    }
}
