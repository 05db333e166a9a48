//! Denoising and masking: the autoencoder learns to give back an image from a noisy copy, or what is hidden in it from the rest.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{Device, Tensor};
use lucency_nn::{Interrupt, Progress, Weights};
use lucency_zoo::vqa::Cdae;
use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::claim;
use super::mask::Mask;
use crate::checkpoint::Checkpoint;
use crate::data::rng_for;
use crate::optim::{AdamW, AdamWConfig};
use crate::run::{Course, Kept, Objective, Outcome, StepLoss, train_with};
use crate::split::grouped_split;
use crate::{Result, TrainError};

/// The numbers of denoising.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CdaePlan {
    /// Side of the images, a multiple of 4; 128 published.
    pub side: usize,
    /// Standard deviation of the noise, in fractions of the grey range; 0.1 published.
    pub noise: f64,
    /// Share of the patches that are hidden, whose pixels alone are then to be given back; 0 published.
    #[serde(default)]
    pub mask: f64,
    /// Images a step.
    pub batch: usize,
    /// Passes over the images.
    pub epochs: u64,
    /// Adam's rate.
    pub rate: f64,
    /// Share of the images that the error is measured on.
    pub validation: f64,
    /// Seed of weights, order and noise.
    pub seed: u64,
}

impl Default for CdaePlan {
    fn default() -> Self {
        Self {
            side: 128,
            noise: 0.1,
            mask: 0.0,
            batch: 16,
            epochs: 20,
            rate: 1e-3,
            validation: 0.05,
            seed: 1,
        }
    }
}

struct Denoising<'a> {
    plan: &'a CdaePlan,
    images: &'a [Vec<f32>],
    model: Cdae,
    train: Vec<usize>,
    held_out: Vec<usize>,
    order: (u64, Vec<usize>),
}

/// Slots of the generators.
const ORDER: u64 = 51;
const NOISE: u64 = 52;
const MASK: u64 = 53;

impl Denoising<'_> {
    fn per_epoch(&self) -> u64 {
        self.train.len().div_ceil(self.plan.batch).max(1) as u64
    }

    /// The mean squared error of some images; noise and mask follow from `step`.
    fn error(&self, model: &Cdae, images: &[usize], step: u64) -> Result<Tensor> {
        let side = self.plan.side;
        let mut rng = rng_for(self.plan.seed, step, NOISE);
        let clean: Vec<f32> = images
            .iter()
            .flat_map(|i| self.images[*i].iter().copied())
            .collect();
        let mut noisy: Vec<f32> = clean
            .iter()
            .map(|v| v + (normal(&mut rng) * self.plan.noise) as f32)
            .collect();
        let shape = (images.len(), 1, side, side);
        let tensor = |values| Tensor::from_vec(values, shape, &Device::Cpu);
        if self.plan.mask == 0.0 {
            let copy = model.forward(&tensor(noisy)?)?;
            return Ok((copy - tensor(clean)?)?.sqr()?.mean_all()?);
        }
        let mut rng = rng_for(self.plan.seed, step, MASK);
        let mut hidden: Vec<f32> = Vec::with_capacity(clean.len());
        for image in noisy.chunks_exact_mut(side * side) {
            let mask = Mask::draw(side, self.plan.mask, &mut rng);
            mask.hide(image);
            hidden.extend(mask.pixels());
        }
        let count = hidden.iter().map(|v| f64::from(*v)).sum::<f64>().max(1.0);
        let error = (model.forward(&tensor(noisy)?)? - tensor(clean)?)?.sqr()?;
        Ok(((error * tensor(hidden)?)?.sum_all()? * (1.0 / count))?)
    }
}

impl Objective for Denoising<'_> {
    fn loss(&mut self, step: u64) -> Result<StepLoss> {
        let (epoch, within) = (step / self.per_epoch(), (step % self.per_epoch()) as usize);
        if self.order.0 != epoch {
            let mut order = self.train.clone();
            order.shuffle(&mut rng_for(self.plan.seed, epoch, ORDER));
            self.order = (epoch, order);
        }
        let to = ((within + 1) * self.plan.batch).min(self.order.1.len());
        let rows = &self.order.1[within * self.plan.batch..to];
        Ok(StepLoss {
            total: self.error(&self.model, rows, step)?,
            parts: vec![("epoch", (epoch + 1) as f64)],
            samples: rows.len(),
        })
    }

    fn evaluate(&mut self, averaged: &HashMap<String, Tensor>) -> Result<BTreeMap<String, f64>> {
        let weights = Weights::from_tensors(averaged.clone(), "the autoencoder");
        let model = Cdae::load(&weights)?;
        let (mut sum, mut n) = (0.0, 0);
        for (k, rows) in self.held_out.chunks(self.plan.batch).enumerate() {
            // The same noise and mask at every evaluation, and never those of a training step.
            let error = self.error(&model, rows, u64::from(u32::MAX) + k as u64)?;
            sum += f64::from(error.to_scalar::<f32>()?) * rows.len() as f64;
            n += rows.len();
        }
        match n {
            0 => Ok(BTreeMap::new()),
            _ => Ok(BTreeMap::from([(
                "held-out error".to_string(),
                sum / n as f64,
            )])),
        }
    }
}

/// Trains an autoencoder in a run's folder, or goes on there.
///
/// - `images`: `[n][side · side]`, 0..1
///
/// The checkpoint's `averaged.safetensors` has the published keys and can be given to `train vqa --cdae`.
/// Errors if there are fewer than two images or their size is not the plan's.
/// Source: Masci et al. 2011; Nguyen et al. 2019, section 2.2; for the mask He et al. 2022, section 3.
pub fn train_cdae(
    plan: &CdaePlan,
    images: &[Vec<f32>],
    run: &Path,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Outcome> {
    if images.len() < 2 || images.iter().any(|i| i.len() != plan.side * plan.side) {
        return Err(TrainError::Data(format!(
            "denoising wants at least two images of {0}×{0}, got {1}",
            plan.side,
            images.len()
        )));
    }
    if plan.batch == 0 || plan.side == 0 || !plan.side.is_multiple_of(4) {
        return Err(TrainError::Plan(
            "the batch is at least 1 and the side a positive multiple of 4".into(),
        ));
    }
    if !(0.0..1.0).contains(&plan.mask) {
        return Err(TrainError::Plan(format!(
            "the share of hidden patches is at least 0 and below 1, not {}",
            plan.mask
        )));
    }
    claim(run, plan)?;
    let weights = match Checkpoint::find(run)? {
        Some(checkpoint) => Weights::open(&checkpoint.weights(), &Device::Cpu)?,
        None => Weights::fresh(plan.seed, &Device::Cpu),
    };
    weights.train_where(|_| true)?;
    let each: Vec<u64> = (0..images.len() as u64).collect();
    let split = grouped_split(&each, plan.validation, plan.seed);
    let mut objective = Denoising {
        plan,
        images,
        model: Cdae::load(&weights)?,
        train: split.train,
        held_out: split.held_out,
        order: (u64::MAX, Vec::new()),
    };
    let per_epoch = objective.per_epoch();
    let course = Course {
        seed: plan.seed,
        total: per_epoch * plan.epochs,
        rate: &|_| plan.rate,
        clip_norm: f64::INFINITY,
        ema_decay: 0.0,
        checkpoint_every: per_epoch,
        evaluate_every: per_epoch,
        log_every: per_epoch.div_ceil(4),
        select: None,
        patience: 0,
        kept: Kept::Everything,
    };
    let mut optimiser = AdamW::new(AdamWConfig {
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.0,
        ..AdamWConfig::default()
    });
    train_with(
        &course,
        &mut optimiser,
        &weights,
        &mut objective,
        run,
        stop,
        report,
    )
}

/// One standard normal number. Source: Box and Muller 1958.
fn normal(rng: &mut impl Rng) -> f64 {
    let u: f64 = 1.0 - rng.random::<f64>(); // in (0, 1]
    let v: f64 = rng.random();
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_can_be_learned_and_a_share_of_everything_is_refused() {
        let plan = CdaePlan {
            side: 16,
            batch: 4,
            epochs: 6,
            rate: 3e-3,
            validation: 0.2,
            mask: 0.5,
            ..CdaePlan::default()
        };
        let run = tempfile::tempdir().unwrap();
        let stop = Interrupt::new();
        let done = train_cdae(&plan, &images(), run.path(), &stop, &mut |_| {}).unwrap();
        assert!(
            done.losses.last().unwrap() < &(done.losses[0] * 0.9),
            "{:?}",
            done.losses
        );
        let all = CdaePlan { mask: 1.0, ..plan };
        let refused = train_cdae(&all, &images(), run.path(), &stop, &mut |_| {});
        assert!(refused.is_err_and(|e| e.to_string().contains("below 1")));
    }

    fn images() -> Vec<Vec<f32>> {
        (0..12)
            .map(|k| {
                (0..16 * 16)
                    .map(|i| match (i % 16 + k) % 16 < 8 {
                        true => 0.9,
                        false => 0.1,
                    })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn denoising_learns_and_an_interrupted_run_walks_the_same_curve() {
        let plan = CdaePlan {
            side: 16,
            batch: 4,
            epochs: 6,
            rate: 3e-3,
            validation: 0.2,
            ..CdaePlan::default()
        };
        let whole = tempfile::tempdir().unwrap();
        let images = images();
        let full =
            train_cdae(&plan, &images, whole.path(), &Interrupt::new(), &mut |_| {}).unwrap();
        assert!(
            full.losses.last().unwrap() < &(full.losses[0] * 0.7),
            "{:?}",
            full.losses
        );
        let cut = tempfile::tempdir().unwrap();
        let stop = Interrupt::new();
        let mut halt = |p: Progress| {
            if p.done >= 7 {
                stop.stop();
            }
        };
        let first = train_cdae(&plan, &images, cut.path(), &stop, &mut halt).unwrap();
        let rest = train_cdae(&plan, &images, cut.path(), &Interrupt::new(), &mut |_| {}).unwrap();
        let joined = [first.losses, rest.losses].concat();
        assert_eq!(joined, full.losses, "resumed runs repeat the numbers");
    }
}
