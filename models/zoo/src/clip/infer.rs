//! Reads a configuration off a Hugging Face `config.json`, or off the shapes of an OpenAI checkpoint.

use super::config::{
    ClipConfig, KeyLayout, Pooling, ResNetConfig, TextConfig, VisionConfig, VitConfig, norm_eps,
    quick_gelu,
};
use crate::error::{Result, ZooError};
use crate::shapes::{Shapes, blocks, grid, shape};
use lucency_nn::Activation;
use serde::Deserialize;

impl KeyLayout {
    /// Tells the layout from the keys; `None` if they are no CLIP's.
    pub fn detect<'a>(keys: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        keys.into_iter().find_map(|key| match key {
            "text_model.embeddings.token_embedding.weight" => Some(Self::HuggingFace),
            "token_embedding.weight" => Some(Self::OpenAi),
            _ => None,
        })
    }
}

impl ClipConfig {
    /// Reads the `config.json` of a Hugging Face folder.
    ///
    /// Fields that old files lack have the values of CLIP ViT-B/32. `eos_token_id = 2` is the mark of files written before the
    /// id was right, and stands for pooling at the largest id.
    ///
    /// Errors if the text is not such a file, or the model has other than three image channels.
    pub fn from_hf_config_json(text: &str) -> Result<Self> {
        let file: HfConfig = serde_json::from_str(text)?;
        if file.vision_config.num_channels != 3 {
            return Err(ZooError::Config(
                "the image tower must take three channels".into(),
            ));
        }
        let (vision, text) = (file.vision_config, file.text_config);
        let config = Self {
            layout: KeyLayout::HuggingFace,
            embed_dim: file.projection_dim,
            vision: VisionConfig::Vit(VitConfig {
                image_size: vision.image_size,
                patch_size: vision.patch_size,
                width: vision.hidden_size,
                layers: vision.num_hidden_layers,
                heads: vision.num_attention_heads,
                mlp_width: vision.intermediate_size,
                activation: vision.hidden_act.into(),
                layer_norm_eps: vision.layer_norm_eps,
            }),
            text: TextConfig {
                vocab: text.vocab_size,
                context: text.max_position_embeddings,
                width: text.hidden_size,
                layers: text.num_hidden_layers,
                heads: text.num_attention_heads,
                mlp_width: text.intermediate_size,
                activation: text.hidden_act.into(),
                layer_norm_eps: text.layer_norm_eps,
                pooling: match text.eos_token_id {
                    LEGACY_EOS => Pooling::LargestId,
                    id => Pooling::FirstEos { id },
                },
            },
        };
        config.check()?;
        Ok(config)
    }

    /// Reads the configuration off the shapes of a checkpoint with OpenAI's keys.
    ///
    /// Heads have 64 channels, as in all published models; a checkpoint does not tell, so change `heads` for others.
    /// Source: openai/CLIP, `clip/model.py`, `build_model`.
    ///
    /// Errors with [`ZooError::UnknownLayout`] if a key is missing or a shape has the wrong rank.
    pub fn infer_from_openai_keys(shapes: &Shapes) -> Result<Self> {
        let [vocab, width] = shape(shapes, "token_embedding.weight")?;
        let [context, _] = shape(shapes, "positional_embedding")?;
        let [_, embed_dim] = shape(shapes, "text_projection")?;
        let [mlp_width, _] = shape(shapes, "transformer.resblocks.0.mlp.c_fc.weight")?;
        let config = Self {
            layout: KeyLayout::OpenAi,
            embed_dim,
            vision: if shapes.contains_key("visual.proj") {
                VisionConfig::Vit(infer_vit(shapes)?)
            } else {
                VisionConfig::ResNet(infer_resnet(shapes)?)
            },
            text: TextConfig {
                mlp_width,
                ..TextConfig::compact(
                    vocab,
                    context,
                    width,
                    blocks(shapes, "transformer.resblocks."),
                )
            },
        };
        config.check()?;
        Ok(config)
    }
}

/// What `eos_token_id` says in files that were written with a wrong default.
const LEGACY_EOS: u32 = 2;

fn infer_vit(shapes: &Shapes) -> Result<VitConfig> {
    let [width, _, patch_size, _] = shape(shapes, "visual.conv1.weight")?;
    let [positions, _] = shape(shapes, "visual.positional_embedding")?;
    let [mlp_width, _] = shape(shapes, "visual.transformer.resblocks.0.mlp.c_fc.weight")?;
    Ok(VitConfig {
        image_size: patch_size * grid(positions)?,
        patch_size,
        width,
        layers: blocks(shapes, "visual.transformer.resblocks."),
        heads: (width / 64).max(1),
        mlp_width,
        activation: quick_gelu(),
        layer_norm_eps: norm_eps(),
    })
}

fn infer_resnet(shapes: &Shapes) -> Result<ResNetConfig> {
    let [width, ..]: [usize; 4] = shape(shapes, "visual.layer1.0.conv1.weight")?;
    let [positions, _] = shape(shapes, "visual.attnpool.positional_embedding")?;
    let layers = [1, 2, 3, 4].map(|stage| blocks(shapes, &format!("visual.layer{stage}.")));
    Ok(ResNetConfig::new(grid(positions)? * 32, layers, width))
}

#[derive(Deserialize)]
struct HfConfig {
    #[serde(default = "projection_dim")]
    projection_dim: usize,
    text_config: HfText,
    vision_config: HfVision,
}

fn projection_dim() -> usize {
    512
}

#[derive(Deserialize)]
#[serde(default)]
struct HfText {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    hidden_act: HfActivation,
    layer_norm_eps: f64,
    eos_token_id: u32,
}

impl Default for HfText {
    fn default() -> Self {
        Self {
            vocab_size: 49_408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: HfActivation::QuickGelu,
            layer_norm_eps: norm_eps(),
            eos_token_id: LEGACY_EOS,
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct HfVision {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_channels: usize,
    image_size: usize,
    patch_size: usize,
    hidden_act: HfActivation,
    layer_norm_eps: f64,
}

impl Default for HfVision {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: HfActivation::QuickGelu,
            layer_norm_eps: norm_eps(),
        }
    }
}

/// Hugging Face's names of the non-linearities that CLIP models use.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum HfActivation {
    QuickGelu,
    Gelu,
    GeluNew,
    GeluPytorchTanh,
}

impl From<HfActivation> for Activation {
    fn from(name: HfActivation) -> Self {
        match name {
            HfActivation::QuickGelu => Self::QuickGelu,
            HfActivation::Gelu => Self::GeluErf,
            HfActivation::GeluNew | HfActivation::GeluPytorchTanh => Self::GeluTanh,
        }
    }
}
