//! Self-supervision between two views of the same images.

use candle_core::Tensor;
use lucency_nn::ops::l2_normalise;

use super::{cross_entropy, infonce};
use crate::Result;

/// NT-Xent: each of the `2n` views must find the other view of its image among all others.
///
/// - `a`, `b`: `[n, d]`, two views of the same images
/// - returns `[]`: the mean over `2n` anchors
///
/// Source: Chen et al. 2020 (SimCLR), equation 1.
pub fn nt_xent(a: &Tensor, b: &Tensor, temperature: f64) -> Result<Tensor> {
    let n = a.dim(0)?;
    let views = l2_normalise(&Tensor::cat(&[a, b], 0)?)?; // [2n, d]
    let logits = (views.matmul(&views.t()?)? * (1.0 / temperature))?; // [2n, 2n]
    let own: Vec<f32> = (0..4 * n * n)
        .map(|k| {
            if k / (2 * n) == k % (2 * n) {
                -1e9
            } else {
                0.0
            }
        })
        .collect();
    let logits = (logits + Tensor::from_vec(own, (2 * n, 2 * n), a.device())?)?;
    let partner: Vec<u32> = (0..2 * n).map(|i| ((i + n) % (2 * n)) as u32).collect();
    cross_entropy(&logits, &Tensor::from_vec(partner, 2 * n, a.device())?)
}

/// Language supervision plus self-supervision.
///
/// - `images`, `texts`: `[n, d]`; `logit_scale`: `[]`; `view_a`, `view_b`: `[n, e]`
///
/// Source: Mu et al. 2022 (SLIP), section 3.
pub fn slip(
    images: &Tensor,
    texts: &Tensor,
    logit_scale: &Tensor,
    (view_a, view_b): (&Tensor, &Tensor),
    temperature: f64,
    weight: f64,
) -> Result<Tensor> {
    let language = infonce(images, texts, logit_scale)?;
    Ok((language + (nt_xent(view_a, view_b, temperature)? * weight)?)?)
}
