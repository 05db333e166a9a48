//! Contrastive losses between images and texts.

use candle_core::{D, Tensor};
use lucency_nn::ops::{l2_normalise, log_softmax_last};

use crate::{Result, TrainError};

/// Scaled cosine similarity of every image with every text.
///
/// - `images`: `[n, d]`, `texts`: `[m, d]`, of any length
/// - `logit_scale`: `[]`, the log of the scale
/// - returns `[n, m]`
pub fn similarity(images: &Tensor, texts: &Tensor, logit_scale: &Tensor) -> Result<Tensor> {
    let images = l2_normalise(images)?; // [n, d]
    let texts = l2_normalise(texts)?; // [m, d]
    Ok(images
        .matmul(&texts.t()?)?
        .broadcast_mul(&logit_scale.exp()?)?)
}

/// Mean negative log-likelihood of one class a row.
///
/// - `logits`: `[n, classes]`; `labels`: `[n]` u32
/// - returns `[]`
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let log_p = log_softmax_last(logits)?; // [n, classes]
    let picked = log_p.gather(&labels.unsqueeze(1)?, 1)?; // [n, 1]
    Ok(picked.neg()?.mean_all()?)
}

/// Symmetric InfoNCE: row `i` of `images` belongs to row `i` of `texts`; the mean of both directions.
///
/// - `images`, `texts`: `[n, d]`; `logit_scale`: `[]`
/// - returns `[]`
///
/// Source: Radford et al. 2021, fig. 3.
pub fn infonce(images: &Tensor, texts: &Tensor, logit_scale: &Tensor) -> Result<Tensor> {
    let logits = similarity(images, texts, logit_scale)?; // [n, n]
    let labels = Tensor::arange(0u32, images.dim(0)? as u32, images.device())?;
    let by_image = cross_entropy(&logits, &labels)?;
    let by_text = cross_entropy(&logits.t()?.contiguous()?, &labels)?;
    Ok(((by_image + by_text)? * 0.5)?)
}

/// InfoNCE where several texts are right for an image and several images for a text: the target is uniform over the right
/// ones. Pairs of unknown truth take no part. With the identity as `positives` it equals [`infonce`].
///
/// - `logits`: `[n, m]`, from [`similarity`]
/// - `positives`: `n × m` row-major, 1 where the text is true of the image, 0 where it is not, -1 where nobody knows
/// - returns `[]`; rows and columns without a positive take no part
///
/// Errors if `positives` has the wrong size or no positive at all.
/// Source: Khosla et al. 2020 (SupCon, L_out), across two kinds of embedding.
pub fn multi_positive_infonce(logits: &Tensor, positives: &[f32]) -> Result<Tensor> {
    let (n, m) = logits.dims2()?;
    if positives.len() != n * m {
        return Err(TrainError::Data(format!(
            "{n} images and {m} texts want {} pair labels, got {}",
            n * m,
            positives.len()
        )));
    }
    let by_image = soft_target_loss(logits, positives, n, m)?;
    let mut transposed = vec![0f32; n * m];
    for i in 0..n {
        for j in 0..m {
            transposed[j * n + i] = positives[i * m + j];
        }
    }
    let by_text = soft_target_loss(&logits.t()?.contiguous()?, &transposed, m, n)?;
    Ok(((by_image + by_text)? * 0.5)?)
}

/// Mean over the rows that have a positive of the cross-entropy against the uniform distribution over positives.
fn soft_target_loss(logits: &Tensor, positives: &[f32], n: usize, m: usize) -> Result<Tensor> {
    let mut target = vec![0f32; n * m];
    let mut masked = vec![0f32; n * m];
    let mut rows = 0usize;
    for i in 0..n {
        let row = &positives[i * m..(i + 1) * m];
        let count = row.iter().filter(|p| **p > 0.0).count();
        rows += usize::from(count > 0);
        for j in 0..m {
            if row[j] > 0.0 {
                target[i * m + j] = 1.0 / count as f32;
            } else if row[j] < 0.0 {
                masked[i * m + j] = -1e4; // out of the softmax
            }
        }
    }
    if rows == 0 {
        return Err(TrainError::Data("no pair is positive".into()));
    }
    let device = logits.device();
    let masked = Tensor::from_vec(masked, (n, m), device)?;
    let target = Tensor::from_vec(target, (n, m), device)?;
    let log_p = log_softmax_last(&(logits + masked)?)?; // [n, m]
    let per_row = (log_p * target)?.sum(D::Minus1)?; // [n]
    Ok((per_row.sum_all()? * (-1.0 / rows as f64))?)
}
