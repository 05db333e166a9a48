//! The transformer block that towers are made of.

use std::ops::Range;
use std::sync::Arc;

use crate::error::Result;
use candle_core::Tensor;
use lucency_nn::{
    Activation, AttentionKeys, Bias, LayerNorm, LayerScale, Linear, Mask, MultiHeadAttention,
    Segments, Weights,
};

/// Sizes of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockShape {
    pub width: usize,
    pub heads: usize,
    pub mlp_width: usize,
    pub activation: Activation,
    pub eps: f64,
}

/// Names of a block's parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockKeys {
    pub attention: &'static str,
    pub inside_attention: AttentionKeys,
    pub norm1: &'static str,
    pub norm2: &'static str,
    pub widen: &'static str,
    pub narrow: &'static str,
    pub scales: Option<ScaleKeys>,
}

/// Names of the factors behind attention and MLP, and what they start with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScaleKeys {
    pub attention: &'static str,
    pub mlp: &'static str,
    pub init: f64,
}

/// Attention and an MLP, each behind a layer norm, beside a shortcut and, where a model has them, under learned factors.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    norm1: LayerNorm,
    attention: MultiHeadAttention,
    norm2: LayerNorm,
    widen: Linear,
    activation: Activation,
    narrow: Linear,
}

impl Block {
    fn load(weights: &Weights, shape: BlockShape, keys: BlockKeys) -> Result<Self> {
        let BlockShape {
            width,
            heads,
            mlp_width,
            activation,
            eps,
        } = shape;
        let scale = |key: fn(ScaleKeys) -> &'static str| -> Result<Option<LayerScale>> {
            let load = |keys| LayerScale::load(&weights.pp(key(keys)), width, keys.init);
            Ok(keys.scales.map(load).transpose()?)
        };
        let (scale1, scale2) = (scale(|keys| keys.attention)?, scale(|keys| keys.mlp)?);
        Ok(Self {
            norm1: LayerNorm::load(&weights.pp(keys.norm1), width, eps)?,
            attention: MultiHeadAttention::load_scaled(
                &weights.pp(keys.attention),
                width,
                heads,
                keys.inside_attention,
                scale1.as_ref(),
            )?,
            norm2: LayerNorm::load(&weights.pp(keys.norm2), width, eps)?,
            widen: Linear::load(&weights.pp(keys.widen), width, mlp_width, Bias::Yes)?,
            activation,
            narrow: Linear::load_scaled(
                &weights.pp(keys.narrow),
                mlp_width,
                width,
                Bias::Yes,
                scale2.as_ref(),
            )?,
        })
    }

    /// `[b, n, width]` to `[b, n, width]`.
    pub(crate) fn forward(&self, x: &Tensor, mask: &Mask) -> Result<Tensor> {
        let x = self
            .attention
            .forward_beside(x, &self.norm1.forward(x)?, mask)?;
        self.mlp(&x)
    }

    /// As [`forward`](Self::forward) without a mask, at the first `count` positions alone, `[b, count, width]`.
    fn forward_first(&self, x: &Tensor, count: usize) -> Result<Tensor> {
        let first = x.narrow(1, 0, count)?.contiguous()?;
        let first = self
            .attention
            .first_beside(&first, &self.norm1.forward(x)?)?;
        self.mlp(&first)
    }

    /// As [`forward`](Self::forward), and the attention `[b, heads, n, n]`.
    pub(crate) fn forward_with_weights(&self, x: &Tensor, mask: &Mask) -> Result<(Tensor, Tensor)> {
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
pub(crate) struct Blocks {
    blocks: Arc<[Block]>,
    segments: Segments,
}

impl Blocks {
    /// Loads blocks 0..`layers` below a prefix.
    pub(crate) fn load(
        weights: &Weights,
        layers: usize,
        shape: BlockShape,
        keys: BlockKeys,
    ) -> Result<Self> {
        Ok(Self {
            blocks: (0..layers)
                .map(|i| Block::load(&weights.pp(i), shape, keys))
                .collect::<Result<_>>()?,
            segments: Segments::of(weights),
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Through the last block without a mask, to its first `count` positions alone, `[b, count, width]`: others need not be computed
    /// for who does not look at them.
    pub(crate) fn last_first(&self, x: &Tensor, count: usize) -> Result<Tensor> {
        let blocks = self.blocks.clone();
        self.segments
            .run(x, move |x| blocks[blocks.len() - 1].forward_first(x, count))
    }

    /// Attention of every block on `[b, n, width]`, `[b, heads, n, n]` each.
    pub(crate) fn attention(&self, x: &Tensor, mask: &Mask) -> Result<Vec<Tensor>> {
        let mut x = x.clone();
        let mut maps = Vec::with_capacity(self.blocks.len());
        for block in self.blocks.iter() {
            let (next, map) = block.forward_with_weights(&x, mask)?;
            maps.push(map);
            x = next;
        }
        Ok(maps)
    }

    /// Through some of the blocks, `[b, n, width]` to `[b, n, width]`.
    pub(crate) fn forward(&self, x: &Tensor, which: Range<usize>, mask: &Mask) -> Result<Tensor> {
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
