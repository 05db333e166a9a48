//! A learned factor for every channel.

use candle_core::Tensor;

use crate::{Init, Result, Weights, kernels};

/// `y = γ x` on a residual branch. Source: Touvron et al. 2021, "Going deeper with image transformers", eq. 4.
///
/// [`crate::Linear::load_scaled`] works a frozen one into the map before it.
#[derive(Debug, Clone)]
pub struct LayerScale(Tensor);

impl LayerScale {
    /// Loads `gamma` of shape `[channels]`; fresh ones have the value `init`.
    ///
    /// Errors as [`Weights::get`].
    pub fn load(weights: &Weights, channels: usize, init: f64) -> Result<Self> {
        let gamma = weights.wide().get(channels, "gamma", Init::Const(init))?;
        Ok(Self(gamma))
    }

    /// Multiplies the last axis.
    ///
    /// - `x`: `[.., channels]`, f32
    /// - returns the same shape
    ///
    /// Errors if the last axis is not `channels` long.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        kernels::scale(x, &self.0)
    }

    /// The factors `[channels]` if nothing trains them.
    pub(crate) fn frozen(&self) -> Option<&Tensor> {
        (!self.0.track_op()).then_some(&self.0)
    }
}
