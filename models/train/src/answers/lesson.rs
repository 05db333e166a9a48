//! What a batch of questions teaches the head: the right answers, and what a teacher thinks of the others.

use candle_core::{Device, Tensor};
use lucency_nn::ops::log_softmax_last;
use lucency_zoo::vqa::AnswerHead;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::AnswerData;
use super::fit::FitConfig;
use crate::Result;

/// The weighted cross-entropy of a batch, with the teacher's share.
///
/// - `batch`: rows of `data` whose answers the head knows
pub(super) fn batch_loss(
    head: &AnswerHead,
    data: &AnswerData,
    batch: &[usize],
    how: &FitConfig,
    teacher: Option<&AnswerHead>,
    rng: &mut ChaCha8Rng,
) -> Result<Tensor> {
    let images = data.images_of(batch)?;
    let questions = data.questions_of(batch);
    let standard = disturbed(&head.standardise(&images)?, how, rng)?; // [n, f]
    let hidden = head.config().hidden;
    let (first, second) = (
        mask(batch.len(), hidden, how, rng)?,
        mask(batch.len(), hidden, how, rng)?,
    );
    let log_p = head.log_probabilities(&standard, &questions, Some((&first, &second)))?; // [n, classes]
    let weights: Vec<f32> = batch.iter().map(|row| data.rows[*row].weight).collect();
    let total = f64::from(weights.iter().sum::<f32>().max(1e-6));
    let target = one_hot(data, batch, head.answers())?;
    let mut loss = ((&log_p * target)?.sum_all()? * (-1.0 / total))?;
    if how.label_smoothing > 0.0 {
        // Answers that the question's form rules out have no say in the smoothing.
        let soft = log_p.maximum(-20f64)?.mean_all()?.neg()?;
        loss = ((loss * (1.0 - how.label_smoothing))? + (soft * how.label_smoothing)?)?;
    }
    let Some(teacher) = teacher.filter(|_| how.distil > 0.0) else {
        return Ok(loss);
    };
    let says = teacher.log_probabilities(&teacher.standardise(&images)?, &questions, None)?;
    let says = log_softmax_last(&(says / how.heat)?)?.exp()?.detach(); // [n, classes]
    let own = log_softmax_last(&(log_p / how.heat)?)?;
    let weights = Tensor::from_vec(weights, (batch.len(), 1), &Device::Cpu)?;
    let followed = (own * says)?.broadcast_mul(&weights)?.sum_all()?;
    // The square of the temperature keeps both parts' gradients alike in size (Hinton et al. 2015, section 2).
    let followed = (followed * (-how.heat * how.heat / total))?;
    Ok(((loss * (1.0 - how.distil))? + (followed * how.distil)?)?)
}

/// Standardised features with some images replaced by the mean image, and noise, `[n, f]`.
fn disturbed(standard: &Tensor, how: &FitConfig, rng: &mut ChaCha8Rng) -> Result<Tensor> {
    let (n, width) = standard.dims2()?;
    let keep: Vec<f32> = (0..n)
        .map(|_| match rng.random_bool(how.image_dropout) {
            true => 0.0,
            false => 1.0,
        })
        .collect();
    let kept = standard.broadcast_mul(&Tensor::from_vec(keep, (n, 1), &Device::Cpu)?)?;
    if how.feature_noise == 0.0 {
        return Ok(kept);
    }
    let noise: Vec<f32> = (0..n * width)
        .map(|_| (rng.random::<f32>() + rng.random::<f32>() + rng.random::<f32>() - 1.5) * 2.0)
        .collect(); // variance 3/12 times 4
    let noise = Tensor::from_vec(noise, (n, width), &Device::Cpu)?;
    Ok((kept + (noise * how.feature_noise)?)?)
}

/// A dropout mask, `[n, hidden]`.
fn mask(n: usize, hidden: usize, how: &FitConfig, rng: &mut ChaCha8Rng) -> Result<Tensor> {
    let scale = (1.0 / (1.0 - how.dropout)) as f32;
    let mask: Vec<f32> = (0..n * hidden)
        .map(|_| match rng.random_bool(how.dropout) {
            true => 0.0,
            false => scale,
        })
        .collect();
    Ok(Tensor::from_vec(mask, (n, hidden), &Device::Cpu)?)
}

/// Each row's weight at its answer, `[n, classes]`.
fn one_hot(data: &AnswerData, batch: &[usize], classes: usize) -> Result<Tensor> {
    let mut target = vec![0f32; batch.len() * classes];
    for (i, row) in batch.iter().enumerate() {
        let row = &data.rows[*row];
        if let Some(answer) = row.answer {
            target[i * classes + answer] = row.weight;
        }
    }
    Ok(Tensor::from_vec(
        target,
        (batch.len(), classes),
        &Device::Cpu,
    )?)
}
