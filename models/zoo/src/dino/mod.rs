//! DINOv2: a vision transformer trained without labels, with or without registers. Sources: Oquab et al. 2023, "DINOv2: learning
//! robust visual features without supervision"; Darcet et al. 2023, "Vision transformers need registers".
//!
//! Published keys and shapes are read as they are. What checkpoints carry besides (`mask_token`, which training alone needs) is
//! ignored; no tensor is ever invented.

mod config;
mod infer;
mod init;
mod positions;

pub use crate::shapes::{Shapes, shapes};
pub use config::{DinoConfig, Resizing};

use crate::door::Door;
use crate::error::{Result, ZooError};
use crate::transformer::{BlockKeys, BlockShape, Blocks, ScaleKeys};
use candle_core::Tensor;
use lucency_nn::{Activation, AttentionKeys, Bias, LayerNorm, Mask, PatchEmbedding, Weights};
use positions::Positions;

/// A loaded DINOv2 tower. Its tokens are the class token, the registers, and the patches row by row.
///
/// It takes tensors of any device and gives tensors of the processor, f32, wherever its own are; gradients find the same way back.
#[derive(Debug, Clone)]
pub struct Dino {
    config: DinoConfig,
    class: Tensor,
    registers: Option<Tensor>,
    patches: PatchEmbedding,
    positions: Positions,
    blocks: Blocks,
    norm: LayerNorm,
    door: Door,
}

/// What the tower says of images, behind the last layer norm.
#[derive(Debug, Clone)]
pub struct Features {
    /// Of the whole image, `[batch, width]`.
    pub class: Tensor,
    /// `[batch, registers, width]`; `None` if the model has none.
    pub registers: Option<Tensor>,
    /// Row by row, `[batch, rows · columns, width]`.
    pub patches: Tensor,
}

impl Dino {
    /// Takes the tower's tensors from a store, or has a fresh store draw them.
    ///
    /// Errors if the configuration cannot exist, or a tensor is missing or has another shape.
    pub fn load(weights: &Weights, config: &DinoConfig) -> Result<Self> {
        config.check()?;
        init::draw_blocks(weights, config)?;
        let DinoConfig {
            width, patch_size, ..
        } = *config;
        let shape = BlockShape {
            width,
            heads: config.heads,
            mlp_width: config.mlp_width,
            activation: Activation::GeluErf,
            eps: config.layer_norm_eps,
        };
        let patches = weights.pp("patch_embed.proj");
        Ok(Self {
            class: weights.get((1, 1, width), "cls_token", init::TOKENS)?,
            registers: match config.registers {
                0 => None,
                n => Some(weights.get((1, n, width), "register_tokens", init::TOKENS)?),
            },
            patches: PatchEmbedding::load(&patches, 3, patch_size, width, Bias::Yes)?,
            positions: Positions::load(weights, config)?,
            blocks: Blocks::load(&weights.pp("blocks"), config.layers, shape, keys(config))?,
            norm: LayerNorm::load(&weights.pp("norm"), width, config.layer_norm_eps)?,
            door: Door::of(weights),
            config: config.clone(),
        })
    }

    /// What the tower is made of.
    pub fn config(&self) -> &DinoConfig {
        &self.config
    }

    /// Encodes images.
    ///
    /// - `pixels`: `[batch, 3, height, width]`, f32, normalised as the pack states; both sides multiples of the patch's
    /// - returns `[batch, width]`, the class token behind the last layer norm
    ///
    /// Errors with [`ZooError::PixelShape`].
    pub fn encode(&self, pixels: &Tensor) -> Result<Tensor> {
        self.door.within(|| {
            let trunk = self.inner_trunk(pixels)?;
            let class = self.blocks.last_first(&trunk, 1)?; // [b, 1, width]
            Ok(self.norm.forward(&class.squeeze(1)?)?)
        })
    }

    /// All that the tower says of images.
    ///
    /// - `pixels`: as [`encode`](Self::encode)
    pub fn features(&self, pixels: &Tensor) -> Result<Features> {
        let tokens = self
            .norm
            .forward(&self.inner_head(&self.inner_trunk(pixels)?)?)?;
        let tokens = self.door.leave(&tokens)?;
        let registers = self.config.registers;
        Ok(Features {
            class: tokens.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?,
            registers: match registers {
                0 => None,
                n => Some(tokens.narrow(1, 1, n)?.contiguous()?),
            },
            patches: self.spatial_tokens(&tokens)?,
        })
    }

    /// The last block's output, before the last layer norm.
    ///
    /// - `pixels`: as [`encode`](Self::encode)
    /// - returns `[batch, 1 + registers + rows · columns, width]`
    pub fn hidden(&self, pixels: &Tensor) -> Result<Tensor> {
        let hidden = self.inner_head(&self.inner_trunk(pixels)?)?;
        self.door.leave(&hidden)
    }

    /// The tower but for its last block: the last representation whose positions still speak to each other.
    ///
    /// - `pixels`: as [`encode`](Self::encode)
    /// - returns `[batch, 1 + registers + rows · columns, width]`
    pub fn trunk(&self, pixels: &Tensor) -> Result<Tensor> {
        self.door.leave(&self.inner_trunk(pixels)?)
    }

    fn inner_trunk(&self, pixels: &Tensor) -> Result<Tensor> {
        let last = self.blocks.len() - 1;
        self.blocks
            .forward(&self.tokens(pixels)?, 0..last, &Mask::None)
    }

    /// The last block: from a [`trunk`](Self::trunk) to the [`hidden`](Self::hidden) tokens.
    pub fn head(&self, trunk: &Tensor) -> Result<Tensor> {
        self.door.leave(&self.inner_head(&self.door.enter(trunk)?)?)
    }

    fn inner_head(&self, trunk: &Tensor) -> Result<Tensor> {
        let n = self.blocks.len();
        self.blocks.forward(trunk, n - 1..n, &Mask::None)
    }

    /// The patches among tokens, without class token and registers.
    ///
    /// - `tokens`: `[batch, 1 + registers + n, width]`
    /// - returns `[batch, n, width]`
    pub fn spatial_tokens(&self, tokens: &Tensor) -> Result<Tensor> {
        let first = 1 + self.config.registers;
        Ok(tokens
            .narrow(1, first, tokens.dim(1)? - first)?
            .contiguous()?)
    }

    /// Attention of every block.
    ///
    /// - `pixels`: as [`encode`](Self::encode)
    /// - returns `[batch, heads, n, n]` a block over all tokens, the class token first
    pub fn attention_maps(&self, pixels: &Tensor) -> Result<Vec<Tensor>> {
        let maps = self.blocks.attention(&self.tokens(pixels)?, &Mask::None)?;
        maps.iter().map(|map| self.door.leave(map)).collect()
    }

    /// Rows and columns of an image's patches.
    ///
    /// Errors with [`ZooError::PixelShape`] if a side is no multiple of the patch's, or there are not three channels.
    pub fn grid(&self, pixels: &Tensor) -> Result<(usize, usize)> {
        let side = self.config.patch_size;
        match *pixels.dims() {
            [_, 3, height, width]
                if height.min(width) >= side && height % side == 0 && width % side == 0 =>
            {
                Ok((height / side, width / side))
            }
            _ => Err(ZooError::PixelShape {
                wanted: format!("[batch, 3, a multiple of {side}, a multiple of {side}]"),
                found: pixels.dims().to_vec(),
            }),
        }
    }

    /// What enters the first block. Registers have no position.
    fn tokens(&self, pixels: &Tensor) -> Result<Tensor> {
        let (rows, columns) = self.grid(pixels)?;
        let pixels = self.door.enter(pixels)?;
        let batch = pixels.dim(0)?;
        let spread = |token: &Tensor| -> Result<Tensor> {
            let (_, n, width) = token.dims3()?;
            Ok(token.broadcast_as((batch, n, width))?)
        };
        let places = self.positions.places(rows, columns)?;
        let patches = self.patches.forward(&pixels)?.broadcast_add(&places)?; // [b, n, width]
        let mut parts = vec![spread(&(&self.class + self.positions.class())?)?];
        if let Some(registers) = &self.registers {
            parts.push(spread(registers)?);
        }
        parts.push(patches);
        Ok(Tensor::cat(&parts, 1)?)
    }
}

/// Published names of a block's parts.
fn keys(config: &DinoConfig) -> BlockKeys {
    BlockKeys {
        attention: "attn",
        inside_attention: AttentionKeys::Fused,
        norm1: "norm1",
        norm2: "norm2",
        widen: "mlp.fc1",
        narrow: "mlp.fc2",
        scales: config.layer_scale.map(|init| ScaleKeys {
            attention: "ls1",
            mlp: "ls2",
            init,
        }),
    }
}
