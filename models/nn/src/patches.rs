//! The first layer of a vision transformer.

use candle_core::Tensor;

use crate::{Bias, Linear, NnError, Result, Weights, kernels};

/// A linear map of the patches of an image: a convolution whose stride is its kernel's side.
/// Source: Dosovitskiy et al. 2021, section 3.1.
#[derive(Debug, Clone)]
pub struct PatchEmbedding {
    map: Linear,
    channels: usize,
    side: usize,
}

impl PatchEmbedding {
    /// Loads `weight` of shape `[width, channels, side, side]` and, if asked for, `bias` of shape `[width]`.
    ///
    /// A fresh layer is Kaiming uniform, as in PyTorch. Errors as [`Weights::get`], or if `side` is 0.
    pub fn load(
        weights: &Weights,
        channels: usize,
        side: usize,
        width: usize,
        bias: Bias,
    ) -> Result<Self> {
        if side == 0 {
            return Err(NnError::argument("patches", "a patch is at least 1 wide"));
        }
        let map = Linear::of_kernel(weights, [width, channels, side, side], bias)?;
        Ok(Self {
            map,
            channels,
            side,
        })
    }

    /// Embeds the patches row by row; what is left over at the right and bottom edge is ignored.
    ///
    /// - `x`: `[b, channels, h, w]`, f32
    /// - returns `[b, (h / side) · (w / side), width]`
    ///
    /// Errors if `x` has another number of channels.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let channels = x.dims4()?.1;
        if channels != self.channels {
            let reason = format!("{channels} channels where {} are wanted", self.channels);
            return Err(NnError::argument("patches", reason));
        }
        self.map.forward(&kernels::patches(x, self.side)?)
    }
}
