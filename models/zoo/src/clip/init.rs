//! How a CLIP starts when it is trained from nothing. Source: openai/CLIP, `clip/model.py`, `initialize_parameters`.

use super::config::{ClipConfig, KeyLayout, VisionConfig};
use super::parts::block_keys;
use crate::error::Result;
use lucency_nn::{Init, Weights};

/// A normal distribution around zero.
pub(super) fn normal(std: f64) -> Init {
    Init::Normal { mean: 0.0, std }
}

/// The first value of the stored logit scale: ln(1 / 0.07).
pub(super) const LOGIT_SCALE: f64 = 2.659_260_036_932_778;

/// Draws the tensors of a fresh store whose first values differ from their layers' defaults.
///
/// The original leaves the blocks of its vision transformer at the framework's defaults; here they start like the text tower's.
pub(super) fn draw_blocks(weights: &Weights, config: &ClipConfig) -> Result<()> {
    if !weights.is_fresh() {
        return Ok(());
    }
    let (text, vision) = match config.layout {
        KeyLayout::HuggingFace => ("text_model.encoder.layers", "vision_model.encoder.layers"),
        KeyLayout::OpenAi => ("transformer.resblocks", "visual.transformer.resblocks"),
    };
    let t = &config.text;
    let text = weights.pp(text);
    draw(&text, config.layout, t.layers, t.width, t.mlp_width)?;
    if let VisionConfig::Vit(v) = &config.vision {
        let vision = weights.pp(vision);
        draw(&vision, config.layout, v.layers, v.width, v.mlp_width)?;
    }
    if config.layout == KeyLayout::HuggingFace {
        let mut projections = vec![("text_projection", t.width)];
        if let VisionConfig::Vit(v) = &config.vision {
            projections.push(("visual_projection", v.width));
        }
        for (key, width) in projections {
            let std = normal((width as f64).powf(-0.5));
            weights
                .pp(key)
                .get((config.embed_dim, width), "weight", std)?;
        }
    }
    Ok(())
}

fn draw(
    weights: &Weights,
    layout: KeyLayout,
    layers: usize,
    width: usize,
    mlp_width: usize,
) -> Result<()> {
    let keys = block_keys(layout);
    let attention = (width as f64).powf(-0.5);
    // The sum of many shortcuts keeps its size.
    let into_shortcut = attention * (2.0 * layers as f64).powf(-0.5);
    let widen = (2.0 * width as f64).powf(-0.5);
    for layer in 0..layers {
        let block = weights.pp(layer);
        let heads = block.pp(keys.attention);
        match layout {
            KeyLayout::OpenAi => {
                heads.get((3 * width, width), "in_proj_weight", normal(attention))?;
            }
            KeyLayout::HuggingFace => {
                for name in ["q_proj", "k_proj", "v_proj"] {
                    let part = heads.pp(name);
                    part.get((width, width), "weight", normal(attention))?;
                    part.get(width, "bias", Init::Zeros)?;
                }
            }
        }
        let out = heads.pp("out_proj");
        out.get((width, width), "weight", normal(into_shortcut))?;
        out.get(width, "bias", Init::Zeros)?;
        block
            .pp(keys.widen)
            .get((mlp_width, width), "weight", normal(widen))?;
        block
            .pp(keys.narrow)
            .get((width, mlp_width), "weight", normal(into_shortcut))?;
    }
    Ok(())
}
