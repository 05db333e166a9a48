//! Objectives of the question-answering models.

use candle_core::{DType, Device, Tensor};
use lucency_nn::ops::bce_with_logits_sum;

use crate::{Result, TrainError};

/// Weight of the auto-encoder's squared error beside the answers' loss, in both released trainings.
pub const RECONSTRUCTION: f64 = 0.001;

/// An image and the auto-encoder's copy of it, both `[b, 1, side, side]`.
pub type Reconstruction<'a> = (&'a Tensor, &'a Tensor);

/// The loss of MEVF: summed binary cross-entropy, plus a thousandth of the mean squared error, over the batch's size.
///
/// - `logits`, `targets`: `[b, answers]`, f32; targets are soft scores in 0 to 1
/// - `reconstruction`: `None` without an auto-encoder
/// - returns a scalar
///
/// The squared error is a mean and is divided by the batch's size again, as in the released training.
/// Errors if shapes differ or the batch is empty. Source: Nguyen et al. 2019, eq. 4.
pub fn mevf_loss(
    logits: &Tensor,
    targets: &Tensor,
    reconstruction: Option<Reconstruction<'_>>,
) -> Result<Tensor> {
    let batch = logits.dim(0)?;
    if batch == 0 {
        return Err(TrainError::Data("a batch without questions".to_string()));
    }
    let loss = with_reconstruction(bce_with_logits_sum(logits, targets)?, reconstruction)?;
    Ok((loss / batch as f64)?)
}

/// The loss of QCR: mean binary cross-entropy of the closed branch, plus that of the open one, plus a thousandth of the mean
/// squared error.
///
/// - `closed`, `open`: logits and targets `[rows, answers]` of a branch, f32; a branch without rows adds nothing
/// - returns a scalar
///
/// Errors if shapes differ or both branches are empty. Source: Zhan et al. 2020, section 3.4.
pub fn qcr_loss(
    closed: (&Tensor, &Tensor),
    open: (&Tensor, &Tensor),
    reconstruction: Option<Reconstruction<'_>>,
) -> Result<Tensor> {
    if closed.0.elem_count() + open.0.elem_count() == 0 {
        return Err(TrainError::Data("a batch without questions".to_string()));
    }
    let mut loss = Tensor::zeros((), DType::F32, &Device::Cpu)?;
    for (logits, targets) in [closed, open] {
        let count = logits.elem_count();
        if count > 0 {
            loss = (loss + (bce_with_logits_sum(logits, targets)? / count as f64)?)?;
        }
    }
    with_reconstruction(loss, reconstruction)
}

fn with_reconstruction(loss: Tensor, reconstruction: Option<Reconstruction<'_>>) -> Result<Tensor> {
    let Some((image, copy)) = reconstruction else {
        return Ok(loss);
    };
    let error = (copy - image)?.sqr()?.mean_all()?;
    Ok((loss + (error * RECONSTRUCTION)?)?)
}
