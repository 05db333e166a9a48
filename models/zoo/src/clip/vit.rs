//! The vision transformer.

use super::config::{KeyLayout, VitConfig};
use super::init::normal;
use super::parts::{Projection, block_keys};
use crate::error::{Result, ZooError};
use crate::transformer::{BlockShape, Blocks};
use candle_core::Tensor;
use lucency_nn::{Bias, LayerNorm, Linear, Mask, PatchEmbedding, Weights};

/// Patches and a class token through transformer blocks; the class token is projected.
#[derive(Debug, Clone)]
pub(super) struct Vit {
    class_embedding: Tensor,
    patches: PatchEmbedding,
    positions: Tensor,
    norm_before: LayerNorm,
    blocks: Blocks,
    norm_after: LayerNorm,
    projection: Projection,
    patch_size: usize,
    grid: usize,
}

impl Vit {
    pub(super) fn load(
        weights: &Weights,
        config: &VitConfig,
        embed_dim: usize,
        layout: KeyLayout,
    ) -> Result<Self> {
        let VitConfig {
            width, patch_size, ..
        } = *config;
        let grid = config.image_size / patch_size;
        let std = normal((width as f64).powf(-0.5));
        let shape = BlockShape {
            width,
            heads: config.heads,
            mlp_width: config.mlp_width,
            activation: config.activation,
            eps: config.layer_norm_eps,
        };
        let tower = match layout {
            KeyLayout::HuggingFace => weights.pp("vision_model"),
            KeyLayout::OpenAi => weights.pp("visual"),
        };
        // Upstream spells it "pre_layrnorm".
        let (embeddings, patches, positions, before, blocks, after) = match layout {
            KeyLayout::HuggingFace => (
                tower.pp("embeddings"),
                "patch_embedding",
                "position_embedding.weight",
                "pre_layrnorm",
                "encoder.layers",
                "post_layernorm",
            ),
            KeyLayout::OpenAi => (
                tower.clone(),
                "conv1",
                "positional_embedding",
                "ln_pre",
                "transformer.resblocks",
                "ln_post",
            ),
        };
        Ok(Self {
            class_embedding: embeddings.get(width, "class_embedding", std)?,
            patches: PatchEmbedding::load(&embeddings.pp(patches), 3, patch_size, width, Bias::No)?,
            positions: embeddings.get((grid * grid + 1, width), positions, std)?,
            norm_before: LayerNorm::load(&tower.pp(before), width, config.layer_norm_eps)?,
            blocks: Blocks::load(&tower.pp(blocks), config.layers, shape, block_keys(layout))?,
            norm_after: LayerNorm::load(&tower.pp(after), width, config.layer_norm_eps)?,
            projection: match layout {
                KeyLayout::HuggingFace => Projection::OutIn(Linear::load(
                    &weights.pp("visual_projection"),
                    width,
                    embed_dim,
                    Bias::No,
                )?),
                KeyLayout::OpenAi => {
                    Projection::InOut(tower.get((width, embed_dim), "proj", std)?)
                }
            },
            patch_size,
            grid,
        })
    }

    /// Patches, class token and positions. What is left over at the right and bottom edge is ignored.
    fn tokens(&self, pixels: &Tensor) -> Result<Tensor> {
        let (batch, channels, height, width) = pixels.dims4()?;
        let fits = |side: usize| side / self.patch_size == self.grid;
        if channels != 3 || !fits(height) || !fits(width) {
            let side = self.grid * self.patch_size;
            return Err(ZooError::PixelShape {
                wanted: format!("[batch, 3, {side}, {side}]"),
                found: pixels.dims().to_vec(),
            });
        }
        let patches = self.patches.forward(pixels)?; // [b, n, width]
        let dim = self.class_embedding.dim(0)?;
        let class = self
            .class_embedding
            .reshape((1, 1, dim))?
            .broadcast_as((batch, 1, dim))?;
        let tokens = Tensor::cat(&[&class, &patches], 1)?; // [b, 1 + n, width]
        Ok(self
            .norm_before
            .forward(&tokens.broadcast_add(&self.positions)?)?)
    }

    /// The input of the last block, `[b, 1 + n, width]`.
    pub(super) fn trunk(&self, pixels: &Tensor) -> Result<Tensor> {
        let last = self.blocks.len() - 1;
        self.blocks
            .forward(&self.tokens(pixels)?, 0..last, &Mask::None)
    }

    /// The last block's output, `[b, 1 + n, width]`.
    pub(super) fn last_hidden(&self, hidden: &Tensor) -> Result<Tensor> {
        let n = self.blocks.len();
        self.blocks.forward(hidden, n - 1..n, &Mask::None)
    }

    /// From the input of the last block to the embedding, `[b, embed_dim]`.
    pub(super) fn head(&self, hidden: &Tensor) -> Result<Tensor> {
        let class = self.blocks.last_first(hidden, 1)?; // [b, 1, width]
        self.projection.forward(&self.pool(&class)?)
    }

    /// The first of tokens, the class token, behind the last layer norm, `[b, width]`.
    pub(super) fn pool(&self, last_hidden: &Tensor) -> Result<Tensor> {
        let class = last_hidden.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?;
        Ok(self.norm_after.forward(&class)?)
    }

    /// Attention of every block, `[b, heads, 1 + n, 1 + n]` each.
    pub(super) fn attention(&self, pixels: &Tensor) -> Result<Vec<Tensor>> {
        self.blocks.attention(&self.tokens(pixels)?, &Mask::None)
    }

    /// Patches along a side.
    pub(super) fn grid(&self) -> usize {
        self.grid
    }
}
