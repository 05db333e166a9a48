//! The sigmoid contrastive loss.

use candle_core::Tensor;

use super::claims::softplus;
use super::similarity;
use crate::Result;

/// Every image–text pair is a binary decision of its own; row `i` of `images` belongs to row `i` of `texts`.
///
/// - `images`, `texts`: `[n, d]`; `logit_scale`, `bias`: `[]`
/// - returns `[]`: the sum over all pairs divided by `n`
///
/// Source: Zhai et al. 2023, algorithm 1.
pub fn siglip(
    images: &Tensor,
    texts: &Tensor,
    logit_scale: &Tensor,
    bias: &Tensor,
) -> Result<Tensor> {
    let n = images.dim(0)?;
    let logits = similarity(images, texts, logit_scale)?.broadcast_add(bias)?; // [n, n]
    let signs: Vec<f32> = (0..n * n)
        .map(|k| if k / n == k % n { 1.0 } else { -1.0 })
        .collect();
    let signs = Tensor::from_vec(signs, (n, n), images.device())?;
    let loss = softplus(&(logits * signs)?.neg()?)?; // -log sigmoid(z) = softplus(-z)
    Ok((loss.sum_all()? * (1.0 / n as f64))?)
}
