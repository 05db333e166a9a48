//! CLIP: images and texts in one space. Source: Radford et al. 2021, "Learning transferable visual models from natural
//! language supervision".
//!
//! Both published key layouts are read, and both image towers. Tensors that old files carry besides the model's own
//! (`position_ids`, `num_batches_tracked`) are ignored; none is ever invented.

mod config;
mod infer;
mod init;
mod parts;
mod resnet;
mod text;
mod tower;
mod vit;

pub use crate::shapes::{Shapes, shapes};
pub use config::{
    ClipConfig, KeyLayout, Pooling, ResNetConfig, TextConfig, VisionConfig, VitConfig,
};
pub use tower::{ImageEncoder, TextEncoder};

use crate::door::Door;
use crate::error::Result;
use candle_core::Tensor;
use lucency_nn::{Init, Mode, Weights, ops};
use resnet::ResNet;
use text::TextTower;
use vit::Vit;

/// A loaded CLIP.
///
/// It takes tensors of any device and gives tensors of the processor, f32, wherever its own are; gradients find the same way back.
#[derive(Debug, Clone)]
pub struct Clip {
    config: ClipConfig,
    image: ImageTower,
    text: TextTower,
    logit_scale: Tensor,
    door: Door,
}

#[derive(Debug, Clone)]
enum ImageTower {
    Vit(Box<Vit>),
    ResNet(Box<ResNet>),
}

/// What an image tower knows before it forgets where things are.
#[derive(Debug, Clone)]
pub struct Trunk {
    /// A vision transformer's tokens before the last block, `[b, 1 + rows * columns, channels]`, or a ResNet's third stage,
    /// `[b, channels, rows, columns]`.
    pub hidden: Tensor,
    /// Rows and columns of the grid of positions.
    pub grid: (usize, usize),
}

impl Clip {
    /// Takes the model's tensors from a store, or has a fresh store draw them.
    ///
    /// Errors if the configuration cannot exist, or a tensor is missing or has another shape.
    pub fn load(weights: &Weights, config: &ClipConfig) -> Result<Self> {
        Ok(Self {
            image: ImageEncoder::load(weights, config)?.tower,
            text: TextEncoder::load(weights, config)?.tower,
            logit_scale: weights
                .wide()
                .get((), "logit_scale", Init::Const(init::LOGIT_SCALE))?,
            config: config.clone(),
            door: Door::of(weights),
        })
    }

    /// What the model is made of.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// Encodes images.
    ///
    /// - `pixels`: `[batch, 3, side, side]`, f32, normalised as the pack states
    /// - `mode`: whether batch norms take the batch's statistics (a vision transformer has none)
    /// - returns `[batch, embed_dim]`, not normalised
    ///
    /// Errors if `side` is not the model's image size; a vision transformer ignores less than a patch at the right and bottom.
    pub fn encode_image(&self, pixels: &Tensor, mode: Mode) -> Result<Tensor> {
        self.door.pass(pixels, |pixels| {
            self.inner_head(&self.inner_trunk(pixels, mode)?, mode)
        })
    }

    /// Encodes texts.
    ///
    /// - `ids`: `[batch, up to context]`, u32 or i64, start and end included
    /// - returns `[batch, embed_dim]`, not normalised
    ///
    /// Errors if there are too many positions or an id is outside the vocabulary.
    pub fn encode_text(&self, ids: &Tensor) -> Result<Tensor> {
        self.door.pass_ids(ids, |ids| self.text.forward(ids))
    }

    /// Encodes texts with learned vectors in place of their first words, as prompt learning does.
    ///
    /// - `ids`: as [`encode_text`](Self::encode_text), with any ids that are no end at positions 1 to m
    /// - `context`: `[m, width]` of the text tower
    /// - returns `[batch, embed_dim]`, not normalised
    ///
    /// Errors if a text ends within its first m + 1 positions.
    /// Source: Zhou et al. 2022 (CoOp), eq. 2.
    pub fn encode_text_with_context(&self, ids: &Tensor, context: &Tensor) -> Result<Tensor> {
        let context = self.door.enter(context)?;
        self.door
            .pass_ids(ids, |ids| self.text.forward_with_context(ids, &context))
    }

    /// The vectors of tokens as they enter the text tower, before positions, `[batch, n, width]`.
    pub fn token_vectors(&self, ids: &Tensor) -> Result<Tensor> {
        self.door
            .leave(&self.text.token_vectors(&self.door.enter_ids(ids)?)?)
    }

    /// Embeds images: as [`encode_image`](Self::encode_image), scaled to unit length.
    pub fn embed_images(&self, pixels: &Tensor, mode: Mode) -> Result<Tensor> {
        Ok(ops::l2_normalise(&self.encode_image(pixels, mode)?)?)
    }

    /// Embeds texts: as [`encode_text`](Self::encode_text), scaled to unit length.
    pub fn embed_texts(&self, ids: &Tensor) -> Result<Tensor> {
        Ok(ops::l2_normalise(&self.encode_text(ids)?)?)
    }

    /// The natural logarithm of what multiplies a cosine, shape `[]`.
    pub fn logit_scale(&self) -> Result<Tensor> {
        self.door.leave(&self.logit_scale)
    }

    /// Scaled cosines.
    ///
    /// - `images`: `[n, embed_dim]`, `texts`: `[m, embed_dim]`, unit length
    /// - returns `[n, m]`
    pub fn logits(&self, images: &Tensor, texts: &Tensor) -> Result<Tensor> {
        let cosines = images.matmul(&texts.t()?)?; // [n, m]
        Ok(cosines.broadcast_mul(&self.logit_scale()?.exp()?)?)
    }

    /// The first part of the image tower: up to the last representation that has positions.
    ///
    /// - `pixels`: as [`encode_image`](Self::encode_image)
    pub fn trunk(&self, pixels: &Tensor, mode: Mode) -> Result<Trunk> {
        let side = match &self.image {
            ImageTower::Vit(vit) => vit.grid(),
            ImageTower::ResNet(resnet) => resnet.grid(),
        };
        let hidden = self
            .door
            .pass(pixels, |pixels| self.inner_trunk(pixels, mode))?;
        Ok(Trunk {
            hidden,
            grid: (side, side),
        })
    }

    fn inner_trunk(&self, pixels: &Tensor, mode: Mode) -> Result<Tensor> {
        match &self.image {
            ImageTower::Vit(vit) => vit.trunk(pixels),
            ImageTower::ResNet(resnet) => resnet.trunk(pixels, mode),
        }
    }

    /// The rest of the image tower.
    ///
    /// - `hidden`: a trunk's representation, shaped as in [`Trunk`]
    /// - returns `[batch, embed_dim]`, not normalised
    pub fn head(&self, hidden: &Tensor, mode: Mode) -> Result<Tensor> {
        self.door
            .pass(hidden, |hidden| self.inner_head(hidden, mode))
    }

    fn inner_head(&self, hidden: &Tensor, mode: Mode) -> Result<Tensor> {
        match &self.image {
            ImageTower::Vit(vit) => vit.head(hidden),
            ImageTower::ResNet(resnet) => resnet.head(hidden, mode),
        }
    }

    /// A trunk's representation as one vector a position.
    ///
    /// - `hidden`: shaped as in [`Trunk`]
    /// - returns `[batch, rows * columns, channels]`, row by row, without the class token
    pub fn spatial_tokens(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(match &self.image {
            ImageTower::Vit(_) => hidden.narrow(1, 1, hidden.dim(1)? - 1)?.contiguous()?,
            ImageTower::ResNet(_) => hidden.flatten_from(2)?.transpose(1, 2)?.contiguous()?,
        })
    }

    /// Attention of a vision transformer's blocks.
    ///
    /// - `pixels`: as [`encode_image`](Self::encode_image)
    /// - returns `[batch, heads, 1 + n, 1 + n]` a block, the class token first; nothing for a ResNet
    pub fn attention_maps(&self, pixels: &Tensor) -> Result<Vec<Tensor>> {
        let maps = match &self.image {
            ImageTower::Vit(vit) => vit.attention(&self.door.enter(pixels)?)?,
            ImageTower::ResNet(_) => Vec::new(),
        };
        maps.iter().map(|map| self.door.leave(map)).collect()
    }

    /// Maps inside the image tower, to compare with other implementations.
    ///
    /// - returns a ResNet's stem and four stages, `[batch, channels, rows, columns]` each, or a vision transformer's last block
    ///   `[batch, 1 + n, width]` and the class token behind the last layer norm `[batch, width]`
    pub fn image_activations(&self, pixels: &Tensor, mode: Mode) -> Result<Vec<Tensor>> {
        let pixels = self.door.enter(pixels)?;
        let maps = match &self.image {
            ImageTower::ResNet(resnet) => resnet.stages(&pixels, mode)?,
            ImageTower::Vit(vit) => {
                let hidden = vit.last_hidden(&vit.trunk(&pixels)?)?;
                let pooled = vit.pool(&hidden)?;
                vec![hidden, pooled]
            }
        };
        maps.iter().map(|map| self.door.leave(map)).collect()
    }

    /// States inside the text tower, to compare with other implementations.
    ///
    /// - returns every position `[batch, n, width]` and the pooled position `[batch, width]`, both behind the last layer norm
    pub fn text_activations(&self, ids: &Tensor) -> Result<(Tensor, Tensor)> {
        let ids = self.door.enter_ids(ids)?;
        let (every, pooled) = (self.text.last_hidden(&ids)?, self.text.pooled(&ids)?);
        Ok((self.door.leave(&every)?, self.door.leave(&pooled)?))
    }
}
