//! The transformer block that both towers are made of.

use super::config::KeyLayout;
use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use candle_core::Tensor;
use lucency_nn::{
    Activation, AttentionKeys, Bias, LayerNorm, Linear, Mask, MultiHeadAttention, Segments, Weights,
};

/// Sizes of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockShape {
    pub width: usize,
    pub heads: usize,
    pub mlp_width: usize,
    pub activation: Activation,
    pub eps: f64,
}

/// Names of a block's parts.
pub(super) struct BlockKeys {
    pub attention: &'static str,
    pub norm1: &'static str,
    pub norm2: &'static str,
    pub widen: &'static str,
    pub narrow: &'static str,
}

impl BlockKeys {
    pub(super) fn of(layout: KeyLayout) -> Self {
        match layout {
            KeyLayout::HuggingFace => Self {
                attention: "self_attn",
                norm1: "layer_norm1",
                norm2: "layer_norm2",
                widen: "mlp.fc1",
                narrow: "mlp.fc2",
            },
            KeyLayout::OpenAi => Self {
                attention: "attn",
                norm1: "ln_1",
                norm2: "ln_2",
                widen: "mlp.c_fc",
                narrow: "mlp.c_proj",
            },
        }
    }
}

/// Attention and an MLP, each behind a layer norm and beside a shortcut.
#[derive(Debug, Clone)]
pub(super) struct Block {
    norm1: LayerNorm,
    attention: MultiHeadAttention,
    norm2: LayerNorm,
    widen: Linear,
    activation: Activation,
    narrow: Linear,
}

impl Block {
    fn load(weights: &Weights, shape: BlockShape, layout: KeyLayout) -> Result<Self> {
        let keys = BlockKeys::of(layout);
        let BlockShape {
            width,
            heads,
            mlp_width,
            activation,
            eps,
        } = shape;
        let attention_keys = match layout {
            KeyLayout::HuggingFace => AttentionKeys::Split,
            KeyLayout::OpenAi => AttentionKeys::Packed,
        };
        Ok(Self {
            norm1: LayerNorm::load(&weights.pp(keys.norm1), width, eps)?,
            attention: MultiHeadAttention::load(
                &weights.pp(keys.attention),
                width,
                heads,
                attention_keys,
            )?,
            norm2: LayerNorm::load(&weights.pp(keys.norm2), width, eps)?,
            widen: Linear::load(&weights.pp(keys.widen), width, mlp_width, Bias::Yes)?,
            activation,
            narrow: Linear::load(&weights.pp(keys.narrow), mlp_width, width, Bias::Yes)?,
        })
    }

    /// `[b, n, width]` to `[b, n, width]`.
    pub(super) fn forward(&self, x: &Tensor, mask: &Mask) -> Result<Tensor> {
        let x = self
            .attention
            .forward_beside(x, &self.norm1.forward(x)?, mask)?;
        self.mlp(&x)
    }

    /// As [`forward`](Self::forward), and the attention `[b, heads, n, n]`.
    pub(super) fn forward_with_weights(&self, x: &Tensor, mask: &Mask) -> Result<(Tensor, Tensor)> {
        let normed = self.norm1.forward(x)?;
        let (mixed, attention) = self.attention.forward_with_weights(&normed, mask)?;
        Ok((self.mlp(&(x + mixed)?)?, attention))
    }

    fn mlp(&self, x: &Tensor) -> Result<Tensor> {
        let hidden = self
            .widen
            .forward_activated(&self.norm2.forward(x)?, self.activation)?; // [b, n, mlp_width]
        Ok(self.narrow.forward_beside(x, &hidden)?)
    }
}

/// A transformer's blocks, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    blocks: Arc<[Block]>,
    segments: Segments,
}

impl Blocks {
    /// Loads blocks 0..`layers` below a prefix.
    pub(super) fn load(
        weights: &Weights,
        layers: usize,
        shape: BlockShape,
        layout: KeyLayout,
    ) -> Result<Self> {
        Ok(Self {
            blocks: (0..layers)
                .map(|i| Block::load(&weights.pp(i), shape, layout))
                .collect::<Result<_>>()?,
            segments: Segments::of(weights),
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter()
    }

    /// Through some of the blocks, `[b, n, width]` to `[b, n, width]`.
    pub(super) fn forward(&self, x: &Tensor, which: Range<usize>, mask: &Mask) -> Result<Tensor> {
        let mut x = x.clone();
        for i in which {
            if !self.segments.recompute() {
                x = self.blocks[i].forward(&x, mask)?;
                continue;
            }
            let (blocks, mask) = (self.blocks.clone(), mask.clone());
            x = self
                .segments
                .run(&x, move |x| blocks[i].forward(x, &mask))?;
        }
        Ok(x)
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
