//! The text tower.

use super::config::{KeyLayout, Pooling, TextConfig};
use super::init::normal;
use super::parts::{Projection, block_keys};
use crate::error::{Result, ZooError};
use crate::transformer::{BlockShape, Blocks};
use candle_core::{DType, Tensor};
use lucency_nn::{Bias, Embedding, LayerNorm, Linear, Mask, Weights};

/// A transformer that looks only back; the state where the text ends is projected.
#[derive(Debug, Clone)]
pub(super) struct TextTower {
    tokens: Embedding,
    positions: Tensor,
    blocks: Blocks,
    norm: LayerNorm,
    projection: Projection,
    pooling: Pooling,
    context: usize,
}

impl TextTower {
    pub(super) fn load(
        weights: &Weights,
        config: &TextConfig,
        embed_dim: usize,
        layout: KeyLayout,
    ) -> Result<Self> {
        let TextConfig { width, context, .. } = *config;
        let shape = BlockShape {
            width,
            heads: config.heads,
            mlp_width: config.mlp_width,
            activation: config.activation,
            eps: config.layer_norm_eps,
        };
        let tower = match layout {
            KeyLayout::HuggingFace => weights.pp("text_model"),
            KeyLayout::OpenAi => weights.clone(),
        };
        let (tokens, positions, blocks, norm) = match layout {
            KeyLayout::HuggingFace => (
                "embeddings.token_embedding",
                "embeddings.position_embedding.weight",
                "encoder.layers",
                "final_layer_norm",
            ),
            KeyLayout::OpenAi => (
                "token_embedding",
                "positional_embedding",
                "transformer.resblocks",
                "ln_final",
            ),
        };
        Ok(Self {
            tokens: Embedding::load(&tower.pp(tokens), config.vocab, width)?,
            positions: tower.get((context, width), positions, normal(0.01))?,
            blocks: Blocks::load(&tower.pp(blocks), config.layers, shape, block_keys(layout))?,
            norm: LayerNorm::load(&tower.pp(norm), width, config.layer_norm_eps)?,
            projection: match layout {
                KeyLayout::HuggingFace => Projection::OutIn(Linear::load(
                    &weights.pp("text_projection"),
                    width,
                    embed_dim,
                    Bias::No,
                )?),
                KeyLayout::OpenAi => Projection::InOut(weights.get(
                    (width, embed_dim),
                    "text_projection",
                    normal((width as f64).powf(-0.5)),
                )?),
            },
            pooling: config.pooling,
            context,
        })
    }

    /// The last block's output, `[b, n, width]`, before the last layer norm.
    fn hidden(&self, ids: &Tensor) -> Result<Tensor> {
        self.states(&self.tokens.forward(ids)?)
    }

    /// Token vectors `[b, n, width]` through all blocks.
    fn states(&self, tokens: &Tensor) -> Result<Tensor> {
        let n = tokens.dim(1)?;
        let x = tokens.broadcast_add(&self.positions.narrow(0, 0, n)?)?;
        self.blocks.forward(&x, 0..self.blocks.len(), &Mask::Causal)
    }

    /// Every position behind the last layer norm, `[b, n, width]`.
    pub(super) fn last_hidden(&self, ids: &Tensor) -> Result<Tensor> {
        self.check(ids)?;
        Ok(self.norm.forward(&self.hidden(ids)?)?)
    }

    /// Texts to embeddings, `[b, embed_dim]`, not normalised.
    pub(super) fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        self.projection.forward(&self.pooled(ids)?)
    }

    /// Vectors of tokens before their positions are added, `[b, n, width]`.
    pub(super) fn token_vectors(&self, ids: &Tensor) -> Result<Tensor> {
        Ok(self.tokens.forward(ids)?)
    }

    /// As [`forward`](Self::forward), with `context` `[m, width]` in place of the token vectors at positions 1 to m.
    pub(super) fn forward_with_context(&self, ids: &Tensor, context: &Tensor) -> Result<Tensor> {
        self.check(ids)?;
        let ends = ends(ids, self.pooling)?;
        let n = ends.iter().max().map_or(1, |end| end + 1);
        let (m, width) = context.dims2()?;
        if ends.iter().any(|end| *end <= m) {
            return Err(ZooError::Config(format!(
                "{m} context vectors do not fit between a text's start and its end"
            )));
        }
        let tokens = self.tokens.forward(&ids.narrow(1, 0, n)?.contiguous()?)?; // [b, n, width]
        let context = context
            .unsqueeze(0)?
            .broadcast_as((tokens.dim(0)?, m, width))?
            .contiguous()?;
        let start = tokens.narrow(1, 0, 1)?.contiguous()?;
        let rest = tokens.narrow(1, 1 + m, n - 1 - m)?.contiguous()?;
        let hidden = self.states(&Tensor::cat(&[start, context, rest], 1)?)?;
        self.projection.forward(&self.at_ends(&hidden, &ends)?)
    }

    /// The state where each text ends, `[b, width]`.
    pub(super) fn pooled(&self, ids: &Tensor) -> Result<Tensor> {
        self.check(ids)?;
        let ends = ends(ids, self.pooling)?;
        // Nothing looks ahead, so what follows the last end changes nothing and is not computed.
        let n = ends.iter().max().map_or(1, |end| end + 1);
        let hidden = self.hidden(&ids.narrow(1, 0, n)?.contiguous()?)?; // [b, n, width]
        self.at_ends(&hidden, &ends)
    }

    /// The states `[b, n, width]` at each text's end behind the last layer norm, `[b, width]`.
    fn at_ends(&self, hidden: &Tensor, ends: &[usize]) -> Result<Tensor> {
        let n = hidden.dim(1)?;
        let rows: Vec<u32> = ends
            .iter()
            .enumerate()
            .map(|(row, end)| (row * n + end) as u32)
            .collect();
        let rows = Tensor::from_vec(rows, ends.len(), hidden.device())?;
        let states = hidden.flatten_to(1)?.index_select(&rows, 0)?; // [b, width]
        Ok(self.norm.forward(&states)?)
    }

    fn check(&self, ids: &Tensor) -> Result<()> {
        match ids.dims() {
            [batch, n] if *batch > 0 && (1..=self.context).contains(n) => Ok(()),
            found => Err(ZooError::TokenShape {
                context: self.context,
                found: found.to_vec(),
            }),
        }
    }
}

/// The position that stands for each text.
fn ends(ids: &Tensor, pooling: Pooling) -> Result<Vec<usize>> {
    let rows = ids.to_dtype(DType::U32)?.to_vec2::<u32>()?;
    Ok(rows
        .iter()
        .map(|row| match pooling {
            Pooling::FirstEos { id } => row.iter().position(|i| *i == id).unwrap_or(0),
            Pooling::LargestId => {
                let largest = row.iter().max();
                row.iter().position(|i| Some(i) == largest).unwrap_or(0)
            }
        })
        .collect())
}
