//! How a DINOv2 tower starts when it is trained from nothing. Source: facebookresearch/dinov2,
//! `dinov2/models/vision_transformer.py`, `init_weights`.

use super::config::DinoConfig;
use crate::error::Result;
use lucency_nn::{Init, Weights};

/// Positions and matrices.
pub(super) const DRAWN: Init = Init::TruncNormal { std: 0.02 };

/// The class token and the registers.
pub(super) const TOKENS: Init = Init::Normal {
    mean: 0.0,
    std: 1e-6,
};

/// Draws the blocks' matrices of a fresh store, whose first values differ from their layers' defaults.
pub(super) fn draw_blocks(weights: &Weights, config: &DinoConfig) -> Result<()> {
    if !weights.is_fresh() {
        return Ok(());
    }
    let (width, hidden) = (config.width, config.mlp_width);
    for layer in 0..config.layers {
        let block = weights.pp("blocks").pp(layer);
        for (key, outputs, inputs) in [
            ("attn.qkv", 3 * width, width),
            ("attn.proj", width, width),
            ("mlp.fc1", hidden, width),
            ("mlp.fc2", width, hidden),
        ] {
            let map = block.pp(key);
            map.get((outputs, inputs), "weight", DRAWN)?;
            map.get(outputs, "bias", Init::Zeros)?;
        }
    }
    Ok(())
}
