//! Reads a configuration off the shapes of a published checkpoint, which comes without one.

use super::config::{DinoConfig, Resizing};
use crate::error::{Result, ZooError};
use crate::shapes::{Shapes, blocks, grid, shape};

impl DinoConfig {
    /// Reads the configuration off the shapes of a checkpoint with the published keys.
    ///
    /// Heads have 64 channels and positions are interpolated as in all published models of the kind; a checkpoint does not tell, so
    /// change `heads` and `resizing` for others. Source: facebookresearch/dinov2, `dinov2/hub/backbones.py`.
    ///
    /// - `shapes`: without what a model around the tower puts before its keys
    ///
    /// Errors with [`ZooError::UnknownLayout`] if a key is missing, a shape has the wrong rank or the MLPs are gated (the giant size).
    pub fn infer_from_keys(shapes: &Shapes) -> Result<Self> {
        if shapes.contains_key("blocks.0.mlp.w12.weight") {
            return Err(ZooError::UnknownLayout(
                "its MLPs are gated (`mlp.w12`), as in the giant size, which is not supported; take the small, base or large one".into(),
            ));
        }
        let [width, _, patch_size, _] = shape(shapes, "patch_embed.proj.weight")?;
        let [_, positions, _] = shape(shapes, "pos_embed")?;
        let [mlp_width, _] = shape(shapes, "blocks.0.mlp.fc1.weight")?;
        let registers = match shapes.contains_key("register_tokens") {
            true => shape::<3>(shapes, "register_tokens")?[1],
            false => 0,
        };
        let config = Self {
            image_size: patch_size * grid(positions)?,
            patch_size,
            width,
            layers: blocks(shapes, "blocks."),
            heads: (width / 64).max(1),
            mlp_width,
            registers,
            layer_scale: shapes.contains_key("blocks.0.ls1.gamma").then_some(1.0),
            layer_norm_eps: 1e-6,
            resizing: match registers {
                0 => Resizing::OFFSET,
                _ => Resizing::ANTIALIASED,
            },
        };
        config.check()?;
        Ok(config)
    }
}
