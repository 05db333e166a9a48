//! One tower of a CLIP on its own, for work that needs no other.

use candle_core::Tensor;
use lucency_nn::{Mode, Weights};

use super::config::{ClipConfig, VisionConfig};
use super::resnet::ResNet;
use super::text::TextTower;
use super::vit::Vit;
use super::{ImageTower, init};
use crate::door::Door;
use crate::error::Result;

/// The image tower of a CLIP. Tensors come and go as a [`Clip`](super::Clip)'s do.
#[derive(Debug, Clone)]
pub struct ImageEncoder {
    pub(super) tower: ImageTower,
    door: Door,
}

impl ImageEncoder {
    /// Takes the image tower's tensors from a store, or has a fresh store draw them; the text tower's are left alone.
    ///
    /// Errors as [`Clip::load`](super::Clip::load).
    pub fn load(weights: &Weights, config: &ClipConfig) -> Result<Self> {
        config.check()?;
        init::draw_blocks(weights, config)?;
        let (dim, layout) = (config.embed_dim, config.layout);
        let tower = match &config.vision {
            VisionConfig::Vit(vit) => {
                ImageTower::Vit(Box::new(Vit::load(weights, vit, dim, layout)?))
            }
            VisionConfig::ResNet(resnet) => {
                ImageTower::ResNet(Box::new(ResNet::load(weights, resnet, dim)?))
            }
        };
        Ok(Self {
            tower,
            door: Door::of(weights),
        })
    }

    /// As [`Clip::encode_image`](super::Clip::encode_image).
    pub fn encode(&self, pixels: &Tensor, mode: Mode) -> Result<Tensor> {
        self.door.pass(pixels, |pixels| match &self.tower {
            ImageTower::Vit(vit) => vit.head(&vit.trunk(pixels)?),
            ImageTower::ResNet(resnet) => resnet.head(&resnet.trunk(pixels, mode)?, mode),
        })
    }
}

/// The text tower of a CLIP. Tensors come and go as a [`Clip`](super::Clip)'s do.
#[derive(Debug, Clone)]
pub struct TextEncoder {
    pub(super) tower: TextTower,
    door: Door,
}

impl TextEncoder {
    /// Takes the text tower's tensors from a store, or has a fresh store draw them; the image tower's are left alone.
    ///
    /// Errors as [`Clip::load`](super::Clip::load).
    pub fn load(weights: &Weights, config: &ClipConfig) -> Result<Self> {
        config.check()?;
        init::draw_blocks(weights, config)?;
        let (dim, layout) = (config.embed_dim, config.layout);
        Ok(Self {
            tower: TextTower::load(weights, &config.text, dim, layout)?,
            door: Door::of(weights),
        })
    }

    /// As [`Clip::encode_text`](super::Clip::encode_text).
    pub fn encode(&self, ids: &Tensor) -> Result<Tensor> {
        self.door.pass_ids(ids, |ids| self.tower.forward(ids))
    }
}
