//! What a CLIP is made of.

use crate::checks::{divides, eps, positive};
use crate::error::{Result, ZooError};
use lucency_nn::Activation;
use serde::{Deserialize, Serialize};

/// How a checkpoint names its tensors and lays them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyLayout {
    /// `vision_model.…`, `text_model.…`, separate query, key and value, projections `[out, in]`.
    HuggingFace,
    /// `visual.…`, `transformer.…`, packed query, key and value, projections `[in, out]`.
    OpenAi,
}

/// A CLIP: an image tower, a text tower, and the space they share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipConfig {
    /// How the checkpoint names its tensors.
    pub layout: KeyLayout,
    /// Length of an embedding.
    pub embed_dim: usize,
    /// The image tower.
    pub vision: VisionConfig,
    /// The text tower.
    pub text: TextConfig,
}

/// The image tower.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum VisionConfig {
    /// A vision transformer.
    Vit(VitConfig),
    /// CLIP's modified ResNet.
    #[serde(rename = "resnet")]
    ResNet(ResNetConfig),
}

impl VisionConfig {
    /// Side of the square image, in pixels.
    pub fn image_size(&self) -> usize {
        match self {
            Self::Vit(vit) => vit.image_size,
            Self::ResNet(resnet) => resnet.image_size,
        }
    }
}

/// A vision transformer. Source: Dosovitskiy et al. 2021, with a layer norm before the first block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// Side of the square image, in pixels.
    pub image_size: usize,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
    /// Length of a token.
    pub width: usize,
    /// Transformer blocks.
    pub layers: usize,
    /// Attention heads; must divide `width`.
    pub heads: usize,
    /// Hidden units of a block's MLP.
    pub mlp_width: usize,
    /// The MLP's non-linearity.
    #[serde(default = "quick_gelu")]
    pub activation: Activation,
    /// Added to the variance in layer norms.
    #[serde(default = "norm_eps")]
    pub layer_norm_eps: f64,
}

/// CLIP's ResNet: a stem of three convolutions, anti-aliased strides, an attention pool.
/// Source: Radford et al. 2021, section 2.4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// Side of the square image, in pixels; a multiple of 32.
    pub image_size: usize,
    /// Bottlenecks in each of the four stages.
    pub layers: [usize; 4],
    /// Channels after the stem; the last stage has 32 times as many.
    pub width: usize,
    /// Heads of the attention pool; must divide 32 * `width`.
    pub heads: usize,
    /// Added to the variance in batch norms.
    #[serde(default = "norm_eps")]
    pub batch_norm_eps: f64,
}

/// The text tower: a transformer that looks only back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Ids.
    pub vocab: usize,
    /// Longest text in tokens, start and end included.
    pub context: usize,
    /// Length of a token.
    pub width: usize,
    /// Transformer blocks.
    pub layers: usize,
    /// Attention heads; must divide `width`.
    pub heads: usize,
    /// Hidden units of a block's MLP.
    pub mlp_width: usize,
    /// The MLP's non-linearity.
    #[serde(default = "quick_gelu")]
    pub activation: Activation,
    /// Added to the variance in layer norms.
    #[serde(default = "norm_eps")]
    pub layer_norm_eps: f64,
    /// Which position stands for the text.
    #[serde(default)]
    pub pooling: Pooling,
}

/// Which position of a text stands for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Pooling {
    /// The first position with the largest id: the end token, in CLIP's vocabulary.
    #[default]
    LargestId,
    /// The first position with this id; the first position of all where there is none.
    FirstEos {
        /// The id that ends a text.
        id: u32,
    },
}

pub(super) fn quick_gelu() -> Activation {
    Activation::QuickGelu
}

pub(super) fn norm_eps() -> f64 {
    1e-5
}

impl TextConfig {
    /// A text tower with heads of 64 channels (or one head), an MLP four times as wide, and CLIP's other choices.
    pub fn compact(vocab: usize, context: usize, width: usize, layers: usize) -> Self {
        Self {
            vocab,
            context,
            width,
            layers,
            heads: (width / 64).max(1),
            mlp_width: width * 4,
            activation: quick_gelu(),
            layer_norm_eps: norm_eps(),
            pooling: Pooling::LargestId,
        }
    }
}

impl ResNetConfig {
    /// A ResNet with CLIP's choice of heads: 64 channels each.
    pub fn new(image_size: usize, layers: [usize; 4], width: usize) -> Self {
        Self {
            image_size,
            layers,
            width,
            heads: (width * 32 / 64).max(1),
            batch_norm_eps: norm_eps(),
        }
    }

    /// Channels of the last stage.
    pub fn last_width(&self) -> usize {
        self.width * 32
    }
}

impl ClipConfig {
    /// Side of the square image, in pixels.
    pub fn image_size(&self) -> usize {
        self.vision.image_size()
    }

    /// Checks that such a model can exist.
    ///
    /// Errors with [`ZooError::Config`], which names the field.
    pub fn check(&self) -> Result<()> {
        positive(self.embed_dim, "embed_dim")?;
        match &self.vision {
            VisionConfig::Vit(vit) => {
                positive(vit.image_size, "vision.image_size")?;
                positive(vit.patch_size, "vision.patch_size")?;
                positive(vit.width, "vision.width")?;
                positive(vit.layers, "vision.layers")?;
                positive(vit.mlp_width, "vision.mlp_width")?;
                divides(vit.heads, vit.width, "vision.heads")?;
                eps(vit.layer_norm_eps)?;
                if vit.patch_size > vit.image_size {
                    return Err(ZooError::Config(
                        "vision.patch_size exceeds vision.image_size".into(),
                    ));
                }
            }
            VisionConfig::ResNet(resnet) => {
                positive(resnet.image_size, "vision.image_size")?;
                positive(resnet.width, "vision.width")?;
                for blocks in resnet.layers {
                    positive(blocks, "vision.layers")?;
                }
                divides(resnet.heads, resnet.last_width(), "vision.heads")?;
                eps(resnet.batch_norm_eps)?;
                if resnet.width % 2 == 1 {
                    return Err(ZooError::Config("vision.width must be even".into()));
                }
                if resnet.image_size % 32 != 0 {
                    return Err(ZooError::Config(
                        "vision.image_size must be a multiple of 32".into(),
                    ));
                }
                if self.layout == KeyLayout::HuggingFace {
                    return Err(ZooError::Config(
                        "the Hugging Face layout has no ResNet image tower".into(),
                    ));
                }
            }
        }
        let text = &self.text;
        positive(text.vocab, "text.vocab")?;
        positive(text.context, "text.context")?;
        positive(text.width, "text.width")?;
        positive(text.layers, "text.layers")?;
        positive(text.mlp_width, "text.mlp_width")?;
        divides(text.heads, text.width, "text.heads")?;
        eps(text.layer_norm_eps)
    }
}
