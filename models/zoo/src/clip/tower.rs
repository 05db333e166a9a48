//! One tower of a CLIP on its own, for work that needs no other.

use candle_core::Tensor;
use lucency_nn::{Mode, Weights};

use super::config::{ClipConfig, VisionConfig};
use super::resnet::ResNet;
use super::text::TextTower;
use super::vit::Vit;
use super::{ImageTower, init};
use crate::error::Result;

/// The image tower of a CLIP.
#[derive(Debug, Clone)]
pub struct ImageEncoder(pub(super) ImageTower);

impl ImageEncoder {
    /// Takes the image tower's tensors from a store, or has a fresh store draw them; the text tower's are left alone.
    ///
    /// Errors as [`Clip::load`](super::Clip::load).
    pub fn load(weights: &Weights, config: &ClipConfig) -> Result<Self> {
        config.check()?;
        init::draw_blocks(weights, config)?;
        let (dim, layout) = (config.embed_dim, config.layout);
        Ok(Self(match &config.vision {
            VisionConfig::Vit(vit) => {
                ImageTower::Vit(Box::new(Vit::load(weights, vit, dim, layout)?))
            }
            VisionConfig::ResNet(resnet) => {
                ImageTower::ResNet(Box::new(ResNet::load(weights, resnet, dim)?))
            }
        }))
    }

    /// As [`Clip::encode_image`](super::Clip::encode_image).
    pub fn encode(&self, pixels: &Tensor, mode: Mode) -> Result<Tensor> {
        match &self.0 {
            ImageTower::Vit(vit) => vit.head(&vit.trunk(pixels)?),
            ImageTower::ResNet(resnet) => resnet.head(&resnet.trunk(pixels, mode)?, mode),
        }
    }
}

/// The text tower of a CLIP.
#[derive(Debug, Clone)]
pub struct TextEncoder(pub(super) TextTower);

impl TextEncoder {
    /// Takes the text tower's tensors from a store, or has a fresh store draw them; the image tower's are left alone.
    ///
    /// Errors as [`Clip::load`](super::Clip::load).
    pub fn load(weights: &Weights, config: &ClipConfig) -> Result<Self> {
        config.check()?;
        init::draw_blocks(weights, config)?;
        let (dim, layout) = (config.embed_dim, config.layout);
        Ok(Self(TextTower::load(weights, &config.text, dim, layout)?))
    }

    /// As [`Clip::encode_text`](super::Clip::encode_text).
    pub fn encode(&self, ids: &Tensor) -> Result<Tensor> {
        self.0.forward(ids)
    }
}
