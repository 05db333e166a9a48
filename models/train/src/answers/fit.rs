//! Fitting the head.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use lucency_nn::{Interrupt, Progress, Weights};
use lucency_zoo::vqa::{AnswerHead, AnswerHeadConfig};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::AnswerData;
use super::lesson::batch_loss;
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
    /// Probability that another view of the image is shown, where there is one.
    pub augment: f64,
    /// Probability that the mirror image is shown, with left and right swapped in the words, where there is one.
    pub mirror: f64,
    /// Share of the loss that follows a teacher, where there is one.
    pub distil: f64,
    /// Temperature at which teacher and student are compared.
    pub heat: f64,
}

/// What a head learns from.
#[derive(Clone, Copy)]
pub struct Lessons<'a> {
    /// The questions.
    pub data: &'a AnswerData,
    /// Rows of `data` to learn from; rows whose answer the head does not know are skipped.
    pub rows: &'a [usize],
    /// A head whose probabilities are learned from beside the right answers.
    pub teacher: Option<&'a AnswerHead>,
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

/// Trains a head; returns the averaged weights.
///
/// - `weights`: from [`fresh_head_weights`]
///
/// Errors if no row is left or the loss stops being finite.
/// Source of the teacher's part: Hinton et al. 2015, section 2.
pub fn fit(
    weights: &Weights,
    config: &AnswerHeadConfig,
    lessons: &Lessons<'_>,
    how: &FitConfig,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<HashMap<String, Tensor>> {
    weights.train_where(|key| !key.starts_with("features."))?;
    let head = AnswerHead::load(weights, config)?;
    let data = lessons.data;
    let known: Vec<usize> = lessons
        .rows
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
    let mut step = 0u64;
    for epoch in 0..how.epochs {
        let mut order = known.clone();
        order.shuffle(&mut rng_for(how.seed, epoch, 0));
        let mut sum = 0.0;
        for batch in order.chunks(how.batch) {
            if stop.is_stopped() {
                return ema.tensors(&weights.tensors());
            }
            let shown = shown(data, batch, how, &mut rng_for(how.seed, step, 4));
            let mut rng = rng_for(how.seed, step, 1);
            let loss = batch_loss(&head, data, &shown, how, lessons.teacher, &mut rng)?;
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

/// The rows of a batch, some of them replaced by variants.
fn shown(data: &AnswerData, batch: &[usize], how: &FitConfig, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let variant = |row: &usize, rng: &mut ChaCha8Rng| {
        let variants = data.variants.get(row)?;
        if rng.random_bool(how.mirror) && variants.mirrored.is_some() {
            return variants.mirrored;
        }
        match rng.random_bool(how.augment) {
            true => variants.views.choose(rng).copied(),
            false => None,
        }
    };
    batch
        .iter()
        .map(|row| variant(row, rng).unwrap_or(*row))
        .collect()
}
