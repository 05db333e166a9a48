//! Fitting the head.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use lucency_nn::{Interrupt, Progress, Weights};
use lucency_zoo::vqa::{AnswerHead, AnswerHeadConfig};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::AnswerData;
use crate::data::rng_for;
use crate::optim::{AdamW, AdamWConfig, Ema, Schedule, clip_scale, gradient_norm};
use crate::{Result, TrainError};

/// The numbers of a fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitConfig {
    /// Seed of the first weights, the order and the dropout.
    pub seed: u64,
    /// Passes over the questions.
    pub epochs: u64,
    /// Questions a step.
    pub batch: usize,
    /// Peak learning rate.
    pub rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Share of the question vector and the fused vector that is dropped.
    pub dropout: f64,
    /// Share of images that are replaced by the mean image, so that the question path stands on its own.
    pub image_dropout: f64,
    /// Standard deviation of the noise added to standardised image features.
    pub feature_noise: f64,
    /// Share of probability spread over all answers.
    pub label_smoothing: f64,
}

/// Weights for a head that has not been trained: standardisation from the data, everything else drawn from the seed.
///
/// - `features`: `[n][f]`
pub fn fresh_head_weights(features: &[Vec<f32>], seed: u64) -> Result<Weights> {
    let width = features.first().map_or(0, Vec::len);
    let n = features.len().max(1) as f32;
    let mut mean = vec![0f32; width];
    for row in features {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / n);
    }
    let mut variance = vec![0f32; width];
    for row in features {
        for (k, v) in row.iter().enumerate() {
            variance[k] += (v - mean[k]).powi(2) / n;
        }
    }
    let inverse: Vec<f32> = variance.iter().map(|v| 1.0 / (v.sqrt() + 1e-3)).collect();
    let weights = Weights::fresh(seed, &Device::Cpu);
    let view = weights.pp("features");
    let shape = width;
    // A fresh store hands out running values that are set here once and saved with the rest.
    let init = lucency_nn::Init::Zeros;
    view.running(shape, "mean", init)?
        .set(&Tensor::from_vec(mean, shape, &Device::Cpu)?)?;
    view.running(shape, "inverse_std", init)?
        .set(&Tensor::from_vec(inverse, shape, &Device::Cpu)?)?;
    Ok(weights)
}

/// Trains a head on some rows; returns the averaged weights.
///
/// - `weights`: from [`fresh_head_weights`]
/// - `rows`: rows of `data` to learn from; rows whose answer the head does not know are skipped
///
/// Errors if no row is left or the loss stops being finite.
pub fn fit(
    weights: &Weights,
    config: &AnswerHeadConfig,
    data: &AnswerData,
    rows: &[usize],
    how: &FitConfig,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<HashMap<String, Tensor>> {
    weights.train_where(|key| !key.starts_with("features."))?;
    let head = AnswerHead::load(weights, config)?;
    let known: Vec<usize> = rows
        .iter()
        .copied()
        .filter(|r| data.rows[*r].answer.is_some())
        .collect();
    if known.is_empty() {
        return Err(TrainError::Data("no question has a known answer".into()));
    }
    let per_epoch = known.len().div_ceil(how.batch) as u64;
    let schedule = Schedule {
        peak: how.rate,
        warmup: per_epoch.min(100),
        total: per_epoch * how.epochs,
        floor: 0.02,
    };
    let vars = weights.vars();
    let mut optimiser = AdamW::new(AdamWConfig {
        beta2: 0.99,
        weight_decay: how.weight_decay,
        ..AdamWConfig::default()
    });
    let mut ema = Ema::new(0.995);
    let classes = config.answers.len();
    let mut step = 0u64;
    for epoch in 0..how.epochs {
        let mut order = known.clone();
        order.shuffle(&mut rng_for(how.seed, epoch, 0));
        let mut sum = 0.0;
        for batch in order.chunks(how.batch) {
            if stop.is_stopped() {
                return ema.tensors(&weights.tensors());
            }
            let mut rng = rng_for(how.seed, step, 1);
            let loss = batch_loss(&head, data, batch, how, classes, config.hidden, &mut rng)?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            if !value.is_finite() {
                return Err(TrainError::Diverged {
                    step: step + 1,
                    what: "loss",
                });
            }
            sum += value;
            let grads = loss.backward()?;
            let scale = clip_scale(gradient_norm(&grads, &vars)?, 5.0);
            optimiser.step(&vars, &grads, schedule.rate(step), scale)?;
            ema.update(&weights.tensors())?;
            step += 1;
        }
        let mut progress = Progress::new("answers", epoch + 1, how.epochs);
        progress.message = Some(format!("loss {:.4}", sum / per_epoch as f64));
        report(progress);
    }
    ema.tensors(&weights.tensors())
}

/// The weighted cross-entropy of a batch.
fn batch_loss(
    head: &AnswerHead,
    data: &AnswerData,
    batch: &[usize],
    how: &FitConfig,
    classes: usize,
    hidden: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Tensor> {
    let n = batch.len();
    let device = Device::Cpu;
    let mut standard = head.standardise(&data.images_of(batch)?)?; // [n, f]
    let width = standard.dim(1)?;
    let keep: Vec<f32> = (0..n)
        .map(|_| {
            if rng.random_bool(how.image_dropout) {
                0.0
            } else {
                1.0
            }
        })
        .collect();
    standard = standard.broadcast_mul(&Tensor::from_vec(keep, (n, 1), &device)?)?;
    if how.feature_noise > 0.0 {
        let noise: Vec<f32> = (0..n * width)
            .map(|_| (rng.random::<f32>() + rng.random::<f32>() + rng.random::<f32>() - 1.5) * 2.0)
            .collect(); // variance 3/12 times 4
        let noise = Tensor::from_vec(noise, (n, width), &device)?;
        standard = (standard + (noise * how.feature_noise)?)?;
    }
    let mask = |rng: &mut ChaCha8Rng| -> Result<Tensor> {
        let scale = (1.0 / (1.0 - how.dropout)) as f32;
        let mask: Vec<f32> = (0..n * hidden)
            .map(|_| {
                if rng.random_bool(how.dropout) {
                    0.0
                } else {
                    scale
                }
            })
            .collect();
        Ok(Tensor::from_vec(mask, (n, hidden), &device)?)
    };
    let (first, second) = (mask(rng)?, mask(rng)?);
    let log_p = head.log_probabilities(
        &standard,
        &data.questions_of(batch),
        Some((&first, &second)),
    )?; // [n, classes]
    let mut target = vec![0f32; n * classes];
    let mut total = 0f32;
    for (i, row) in batch.iter().enumerate() {
        let row = &data.rows[*row];
        if let Some(answer) = row.answer {
            target[i * classes + answer] = row.weight;
            total += row.weight;
        }
    }
    let target = Tensor::from_vec(target, (n, classes), &device)?;
    let hard = ((&log_p * target)?.sum_all()? * (-1.0 / f64::from(total.max(1e-6))))?;
    if how.label_smoothing == 0.0 {
        return Ok(hard);
    }
    // Answers that the question's form rules out have no say in the smoothing.
    let soft = log_p.maximum(-20f64)?.mean_all()?.neg()?;
    Ok(((hard * (1.0 - how.label_smoothing))? + (soft * how.label_smoothing)?)?)
}
