//! A claim and its denial: the objective that trains what zero-shot findings use.

use candle_core::Tensor;

use crate::Result;

/// `ln(1 + e^x)` without overflow, with a gradient everywhere.
///
/// - `x`: any shape
pub(crate) fn softplus(x: &Tensor) -> Result<Tensor> {
    let positive = x.relu()?;
    let decay = x.abs()?.neg()?.exp()?; // e^-|x|, in (0, 1]
    Ok((positive + (decay + 1.0)?.log()?)?)
}

/// Binary cross-entropy from logits, averaged with weights.
///
/// - `logits`: `[n]` or any shape
/// - `labels`, `weights`: as many numbers; labels in 0..=1, weights at least 0
/// - returns `[]`; 0 if all weights are 0
pub fn binary_cross_entropy(logits: &Tensor, labels: &[f32], weights: &[f32]) -> Result<Tensor> {
    let device = logits.device();
    let shape = logits.dims();
    let total: f32 = weights.iter().sum::<f32>().max(1e-6);
    let labels = Tensor::from_slice(labels, shape, device)?;
    let weights = Tensor::from_slice(weights, shape, device)?;
    let loss = (softplus(logits)? - (logits * labels)?)?; // -y log s(z) - (1-y) log(1 - s(z))
    Ok(((loss * weights)?.sum_all()? * (1.0 / f64::from(total)))?)
}

/// [`binary_cross_entropy`] that leans on what is still hard: every weight is multiplied by `(1 − p)^focus`, where `p` is the
/// probability that the model gives to the right outcome, and the mean is taken over what is left of the weights.
///
/// - `logits`, `labels`, `weights`: as there; no gradient flows through the factor
///
/// Source: Lin et al. 2017 (focal loss), equation 4, with a normalisation of its own.
pub fn focal_cross_entropy(
    logits: &Tensor,
    labels: &[f32],
    weights: &[f32],
    focus: f32,
) -> Result<Tensor> {
    let scores: Vec<f32> = logits.detach().flatten_all()?.to_vec1()?;
    let weights: Vec<f32> = scores
        .iter()
        .zip(labels)
        .zip(weights)
        .map(|((score, label), weight)| {
            let p = 1.0 / (1.0 + (-score).exp());
            let miss = if *label > 0.5 { 1.0 - p } else { p };
            weight * miss.powf(focus)
        })
        .collect();
    binary_cross_entropy(logits, labels, &weights)
}

/// Cross-entropy of "does the claim hold?" read off an image's similarity to a claim and to its denial.
///
/// - `images`: `[n, d]`, `claims`, `denials`: `[m, d]`, all of unit length; `logit_scale`: `[]`
/// - `truth`: `n × m` row-major, 1 where the claim holds, 0 where its denial holds, -1 where nobody knows
/// - `focus`: how much the loss leans on hard claims, see [`focal_cross_entropy`]; 0 for the plain mean
/// - returns `[]`
///
/// The logit is `scale · (image·claim − image·denial)`, which is the logit of a softmax over the two.
/// Source: the zero-shot rule of Radford et al. 2021, section 3.1, with two prompts a label as in Tiu et al. 2022.
pub fn claim_loss(
    images: &Tensor,
    claims: &Tensor,
    denials: &Tensor,
    logit_scale: &Tensor,
    truth: &[f32],
    focus: f32,
) -> Result<Tensor> {
    let direction = (claims - denials)?; // [m, d]
    let logits = images
        .matmul(&direction.t()?)?
        .broadcast_mul(&logit_scale.exp()?)?; // [n, m]
    let labels: Vec<f32> = truth.iter().map(|t| t.max(0.0)).collect();
    let weights: Vec<f32> = truth
        .iter()
        .map(|t| if *t < 0.0 { 0.0 } else { 1.0 })
        .collect();
    focal_cross_entropy(&logits, &labels, &weights, focus)
}
