//! What a DINOv2 tower is made of.

use crate::checks::{divides, eps, positive};
use crate::error::{Result, ZooError};
use serde::{Deserialize, Serialize};

/// A DINOv2 vision transformer. Source: Oquab et al. 2023; its registers: Darcet et al. 2023.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DinoConfig {
    /// Side of the square image whose patches have a position each, in pixels; positions of other images are interpolated.
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
    /// Tokens without a place, between the class token and the patches.
    #[serde(default)]
    pub registers: usize,
    /// First value of the factors behind attention and MLP; `None` if the model has none.
    #[serde(default)]
    pub layer_scale: Option<f64>,
    /// Added to the variance in layer norms.
    #[serde(default = "norm_eps")]
    pub layer_norm_eps: f64,
    /// How positions are interpolated.
    pub resizing: Resizing,
}

/// How the square grid of learned positions becomes another grid: a piecewise cubic along each axis.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resizing {
    /// Whether the kernel widens where the grid shrinks (a = -0.5), or looks at four positions always (a = -0.75).
    pub antialias: bool,
    /// Added to the wanted number of patches before it is divided by the grid's, 0.1 in models without registers, 0 for none.
    pub offset: f64,
}

impl Resizing {
    /// What models with registers were trained with.
    pub const ANTIALIASED: Self = Self {
        antialias: true,
        offset: 0.0,
    };
    /// What models without registers were trained with.
    pub const OFFSET: Self = Self {
        antialias: false,
        offset: 0.1,
    };
}

fn norm_eps() -> f64 {
    1e-6
}

impl DinoConfig {
    /// Reads a configuration in the words of the published code: `embed_dim`, `depth`, `num_heads`, `patch_size`, `img_size`, …
    ///
    /// Absent fields have the values of the published models without registers. Fields of a model around the tower are ignored.
    /// Source: facebookresearch/dinov2, `dinov2/models/vision_transformer.py`, `dinov2/hub/backbones.py`.
    ///
    /// Errors with [`ZooError::ConfigJson`] if the text is not such a file, and with [`ZooError::Config`] for a gated MLP (the
    /// giant size), for another activation than the exact GELU, and for blocks in chunks.
    pub fn from_config_json(text: &str) -> Result<Self> {
        let file: Published = serde_json::from_str(text)?;
        if file.ffn_layer != "mlp" {
            return Err(ZooError::Config(format!(
                "ffn_layer {:?} is not supported, only \"mlp\" is; the giant size has gated MLPs, so take the small, base or large one",
                file.ffn_layer
            )));
        }
        if !matches!(file.activation.as_str(), "gelu" | "gelu (erf)") {
            return Err(ZooError::Config(format!(
                "activation {:?} is not supported, only the exact GELU is",
                file.activation
            )));
        }
        if file.block_chunks != 0 {
            return Err(ZooError::Config(
                "block_chunks must be 0: published weights number their blocks without chunks"
                    .into(),
            ));
        }
        let config = Self {
            image_size: file.img_size,
            patch_size: file.patch_size,
            width: file.embed_dim,
            layers: file.depth,
            heads: file.num_heads,
            mlp_width: (file.embed_dim as f64 * file.mlp_ratio) as usize,
            registers: file.num_register_tokens,
            // Zero means none there.
            layer_scale: file.init_values.filter(|init| *init != 0.0),
            layer_norm_eps: file.layer_norm_eps,
            resizing: Resizing {
                antialias: file.interpolate_antialias,
                offset: file.interpolate_offset,
            },
        };
        config.check()?;
        Ok(config)
    }

    /// Patches along a side of the grid whose positions were learned.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Checks that such a model can exist.
    ///
    /// Errors with [`ZooError::Config`], which names the field.
    pub fn check(&self) -> Result<()> {
        positive(self.image_size, "image_size")?;
        positive(self.patch_size, "patch_size")?;
        positive(self.width, "width")?;
        positive(self.layers, "layers")?;
        positive(self.mlp_width, "mlp_width")?;
        divides(self.heads, self.width, "heads")?;
        eps(self.layer_norm_eps)?;
        if self.registers > 0 {
            positive(self.registers, "registers")?;
        }
        if !self.image_size.is_multiple_of(self.patch_size) {
            return Err(ZooError::Config(
                "image_size must be a multiple of patch_size".into(),
            ));
        }
        if !(0.0..1.0).contains(&self.resizing.offset) {
            return Err(ZooError::Config(
                "resizing.offset lies between 0 and 1, without 1".into(),
            ));
        }
        match self.layer_scale {
            Some(init) if !init.is_finite() => {
                Err(ZooError::Config("layer_scale must be finite".into()))
            }
            _ => Ok(()),
        }
    }
}

/// The arguments of the published model.
#[derive(Deserialize)]
struct Published {
    img_size: usize,
    patch_size: usize,
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
    #[serde(default = "mlp_ratio")]
    mlp_ratio: f64,
    #[serde(default)]
    num_register_tokens: usize,
    #[serde(default = "init_values")]
    init_values: Option<f64>,
    #[serde(default = "norm_eps")]
    layer_norm_eps: f64,
    #[serde(default)]
    interpolate_antialias: bool,
    #[serde(default = "interpolate_offset")]
    interpolate_offset: f64,
    #[serde(default = "ffn_layer")]
    ffn_layer: String,
    #[serde(default = "activation")]
    activation: String,
    #[serde(default)]
    block_chunks: usize,
}

fn mlp_ratio() -> f64 {
    4.0
}

fn init_values() -> Option<f64> {
    Some(1.0)
}

fn interpolate_offset() -> f64 {
    Resizing::OFFSET.offset
}

fn ffn_layer() -> String {
    "mlp".into()
}

fn activation() -> String {
    "gelu".into()
}
