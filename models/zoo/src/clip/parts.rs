//! What both towers of a CLIP share: the names of a block's parts, and the projection.

use super::config::KeyLayout;
use crate::error::Result;
use crate::transformer::BlockKeys;
use candle_core::Tensor;
use lucency_nn::{AttentionKeys, Linear};

/// Names of a block's parts in a layout.
pub(super) fn block_keys(layout: KeyLayout) -> BlockKeys {
    match layout {
        KeyLayout::HuggingFace => BlockKeys {
            attention: "self_attn",
            inside_attention: AttentionKeys::Split,
            norm1: "layer_norm1",
            norm2: "layer_norm2",
            widen: "mlp.fc1",
            narrow: "mlp.fc2",
            scales: None,
        },
        KeyLayout::OpenAi => BlockKeys {
            attention: "attn",
            inside_attention: AttentionKeys::Packed,
            norm1: "ln_1",
            norm2: "ln_2",
            widen: "mlp.c_fc",
            narrow: "mlp.c_proj",
            scales: None,
        },
    }
}

/// A linear map without bias into the shared space, stored `[out, in]` or `[in, out]`.
#[derive(Debug, Clone)]
pub(super) enum Projection {
    OutIn(Linear),
    InOut(Tensor),
}

impl Projection {
    /// `[b, in]` to `[b, out]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::OutIn(linear) => Ok(linear.forward(x)?),
            // A plain product would compute a gradient of a frozen weight too.
            Self::InOut(weight) => {
                Ok(Linear::from_tensors(weight.t()?.contiguous()?, None).forward(x)?)
            }
        }
    }
}
