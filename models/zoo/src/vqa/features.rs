//! What the answer head sees of an image.

use candle_core::{D, Tensor};
use lucency_nn::Mode;
use lucency_nn::ops::l2_normalise;

use crate::Result;
use crate::clip::Clip;

/// How many features [`image_features`] gives for a model whose trunk has `channels` channels.
pub fn feature_count(channels: usize, embed_dim: usize) -> usize {
    2 * channels + embed_dim
}

/// Pools an image for the answer head: mean and largest value of every trunk channel, and the unit-length embedding.
///
/// - `pixels`: `[batch, 3, side, side]`
/// - returns `[batch, 2 · channels + embed_dim]`
pub fn image_features(clip: &Clip, pixels: &Tensor) -> Result<Tensor> {
    let trunk = clip.trunk(pixels, Mode::Eval)?;
    image_features_of_trunk(clip, &trunk.hidden)
}

/// [`image_features`] from the trunk's output on, so that a gradient can be taken with respect to it.
///
/// - `hidden`: what `Clip::trunk` gave
/// - returns `[batch, 2 · channels + embed_dim]`
pub fn image_features_of_trunk(clip: &Clip, hidden: &Tensor) -> Result<Tensor> {
    let tokens = clip.spatial_tokens(hidden)?; // [b, n, c]
    let mean = tokens.mean(1)?; // [b, c]
    let largest = tokens.max(1)?; // [b, c]
    let embedding = l2_normalise(&clip.head(hidden, Mode::Eval)?)?; // [b, d]
    Ok(Tensor::cat(&[mean, largest, embedding], D::Minus1)?)
}
