//! Few-shot episodes: first weights from which a few steps tell new classes apart.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{Device, Tensor, Var};
use lucency_nn::{Bias, Interrupt, Linear, Mode, Progress, Weights, ops};
use lucency_zoo::vqa::MamlCnn;
use rand::seq::{IndexedRandom, SliceRandom};
use serde::{Deserialize, Serialize};

use super::claim;
use crate::checkpoint::Checkpoint;
use crate::data::rng_for;
use crate::optim::{AdamW, AdamWConfig};
use crate::run::{Course, Kept, Objective, Outcome, StepLoss, train_with};
use crate::{Result, TrainError};

/// Side of the network's input.
const SIDE: usize = 84;
/// Width of its features.
const FEATURES: usize = 64;
/// Slot of the generator of episodes.
const EPISODES: u64 = 61;

/// The numbers of few-shot episodes; the defaults are MEVF's (section 3.1), inner steps and rates are ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MamlPlan {
    /// Classes of an episode.
    pub ways: usize,
    /// Images of a class to adapt on.
    pub shots: usize,
    /// Images of a class to judge the adapted weights by.
    pub queries: usize,
    /// Episodes a step.
    pub tasks: usize,
    /// Steps of adaptation.
    pub inner_steps: usize,
    /// Rate of adaptation.
    pub inner_rate: f64,
    /// Adam's rate on the first weights.
    pub rate: f64,
    /// Steps.
    pub steps: u64,
    /// Seed of weights and episodes.
    pub seed: u64,
}

impl Default for MamlPlan {
    fn default() -> Self {
        Self {
            ways: 3,
            shots: 3,
            queries: 3,
            tasks: 5,
            inner_steps: 3,
            inner_rate: 0.05,
            rate: 1e-3,
            steps: 1000,
            seed: 1,
        }
    }
}

impl MamlPlan {
    /// Refuses data that cannot fill an episode.
    fn check(&self, classes: &[Vec<Vec<f32>>]) -> Result<()> {
        if [
            self.ways,
            self.shots,
            self.queries,
            self.tasks,
            self.inner_steps,
        ]
        .contains(&0)
        {
            return Err(TrainError::Plan(
                "ways, shots, queries, tasks and inner steps are at least 1".into(),
            ));
        }
        let large = classes
            .iter()
            .filter(|c| c.len() >= self.shots + self.queries)
            .count();
        if large < self.ways.max(2) {
            return Err(TrainError::Data(format!(
                "an episode wants {} classes of {} images each; {large} of {} classes are large enough",
                self.ways.max(2),
                self.shots + self.queries,
                classes.len()
            )));
        }
        match classes.iter().flatten().all(|i| i.len() == SIDE * SIDE) {
            true => Ok(()),
            false => Err(TrainError::Data(format!("images must be {SIDE}×{SIDE}"))),
        }
    }
}

struct Episodes<'a> {
    plan: &'a MamlPlan,
    classes: &'a [Vec<Vec<f32>>],
    net: MamlCnn,
    head: Linear,
    vars: Vec<(String, Var)>,
}

/// Images and their class within the episode.
struct Set {
    images: Tensor,
    labels: Tensor,
}

impl Episodes<'_> {
    /// An episode: images to adapt on, images to judge by.
    fn draw(&self, step: u64, task: u64) -> Result<(Set, Set)> {
        let mut rng = rng_for(
            self.plan.seed,
            step * self.plan.tasks as u64 + task,
            EPISODES,
        );
        let size = self.plan.shots + self.plan.queries;
        let large: Vec<&Vec<Vec<f32>>> = self.classes.iter().filter(|c| c.len() >= size).collect();
        let mut chosen: Vec<_> = large.choose_multiple(&mut rng, self.plan.ways).collect();
        chosen.shuffle(&mut rng); // a class has no place of its own in the head
        let (mut support, mut query) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        for (label, class) in chosen.into_iter().enumerate() {
            let images: Vec<_> = class.choose_multiple(&mut rng, size).collect();
            for (k, image) in images.into_iter().enumerate() {
                let side = match k < self.plan.shots {
                    true => &mut support,
                    false => &mut query,
                };
                side.0.extend_from_slice(image);
                side.1.push(label as u32);
            }
        }
        let set = |(images, labels): (Vec<f32>, Vec<u32>)| -> Result<Set> {
            let n = labels.len();
            Ok(Set {
                images: Tensor::from_vec(images, (n, 1, SIDE, SIDE), &Device::Cpu)?,
                labels: Tensor::from_vec(labels, n, &Device::Cpu)?,
            })
        };
        Ok((set(support)?, set(query)?))
    }

    fn loss_on(&self, set: &Set) -> Result<(Tensor, f64)> {
        let logits = self
            .head
            .forward(&self.net.forward(&set.images, Mode::Train)?)?;
        let best: Vec<u32> = logits.argmax(1)?.to_vec1()?;
        let labels: Vec<u32> = set.labels.to_vec1()?;
        let hits = best.iter().zip(&labels).filter(|(a, b)| a == b).count();
        let accuracy = hits as f64 / labels.len() as f64;
        Ok((ops::cross_entropy(&logits, &set.labels)?, accuracy))
    }

    /// Adapts a copy of the weights to one episode; the gradients of its judged loss at the adapted weights, by variable.
    fn task(&self, step: u64, task: u64) -> Result<(Vec<Option<Tensor>>, f64, f64)> {
        let (support, query) = self.draw(step, task)?;
        let start = copies(&self.vars)?;
        for _ in 0..self.plan.inner_steps {
            let grads = self.loss_on(&support)?.0.backward()?;
            for (_, var) in &self.vars {
                if let Some(grad) = grads.get(var.as_tensor()) {
                    let moved = (var.as_detached_tensor() - (grad * self.plan.inner_rate)?)?;
                    var.set(&moved)?;
                }
            }
        }
        let (loss, accuracy) = self.loss_on(&query)?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        let grads = loss.backward()?;
        let found = self
            .vars
            .iter()
            .map(|(_, var)| grads.get(var.as_tensor()).cloned())
            .collect();
        for ((_, var), first) in self.vars.iter().zip(&start) {
            var.set(first)?;
        }
        Ok((found, value, accuracy))
    }
}

fn copies(vars: &[(String, Var)]) -> Result<Vec<Tensor>> {
    vars.iter()
        .map(|(_, var)| Ok(var.as_detached_tensor().copy()?))
        .collect()
}

impl Objective for Episodes<'_> {
    /// A loss whose value is the mean judged loss and whose gradient is the mean of the gradients at the adapted weights.
    fn loss(&mut self, step: u64) -> Result<StepLoss> {
        let tasks = self.plan.tasks;
        let mut sums: Vec<Option<Tensor>> = vec![None; self.vars.len()];
        let (mut loss, mut accuracy) = (0.0, 0.0);
        for task in 0..tasks {
            let (grads, value, right) = self.task(step, task as u64)?;
            loss += value / tasks as f64;
            accuracy += right / tasks as f64;
            for (sum, grad) in sums.iter_mut().zip(grads) {
                *sum = match (sum.take(), grad) {
                    (Some(a), Some(b)) => Some((a + b)?),
                    (a, b) => a.or(b),
                };
            }
        }
        let mut total = Tensor::new(loss as f32, &Device::Cpu)?;
        for ((_, var), sum) in self.vars.iter().zip(sums) {
            if let Some(sum) = sum {
                let grad = (sum.detach() * (1.0 / tasks as f64))?;
                let linear = (var.as_tensor() * grad)?.sum_all()?;
                total = ((total + &linear)? - linear.detach())?;
            }
        }
        Ok(StepLoss {
            total,
            parts: vec![("accuracy", accuracy)],
            samples: tasks,
        })
    }

    fn evaluate(&mut self, _averaged: &HashMap<String, Tensor>) -> Result<BTreeMap<String, f64>> {
        Ok(BTreeMap::new())
    }
}

/// Trains the network of MEVF by first-order episodes in a run's folder, or goes on there.
///
/// - `classes`: `[classes][images][84 · 84]`, 0..1
///
/// First order: the gradient at the adapted weights is taken as that at the first ones. The checkpoint's `averaged.safetensors` has
/// the published keys and can be given to `train vqa --maml`.
/// Errors if the classes cannot fill an episode.
/// Source: Finn et al. 2017, section 5.2 (first order); Nguyen et al. 2019, section 2.1.
pub fn train_maml(
    plan: &MamlPlan,
    classes: &[Vec<Vec<f32>>],
    run: &Path,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Outcome> {
    plan.check(classes)?;
    claim(run, plan)?;
    let weights = match Checkpoint::find(run)? {
        Some(checkpoint) => Weights::open(&checkpoint.weights(), &Device::Cpu)?,
        None => Weights::fresh(plan.seed, &Device::Cpu),
    };
    weights.train_where(|_| true)?;
    let net = MamlCnn::load(&weights)?;
    let head = Linear::load(&weights.pp("head"), FEATURES, plan.ways, Bias::Yes)?;
    let mut objective = Episodes {
        plan,
        classes,
        net,
        head,
        vars: weights.vars(),
    };
    let course = Course {
        seed: plan.seed,
        total: plan.steps,
        rate: &|_| plan.rate,
        clip_norm: 10.0,
        ema_decay: 0.0,
        checkpoint_every: 100,
        evaluate_every: 100,
        log_every: 20,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Stripes of a direction and a width for each class.
    fn classes() -> Vec<Vec<Vec<f32>>> {
        (0..4usize)
            .map(|class| {
                (0..6usize)
                    .map(|k| {
                        (0..SIDE * SIDE)
                            .map(|i| {
                                let along = match class % 2 {
                                    0 => i % SIDE,
                                    _ => i / SIDE,
                                };
                                f32::from(u8::from(((along + k) / (4 + 8 * (class / 2))) % 2 == 0))
                            })
                            .collect()
                    })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn episodes_lower_the_judged_loss_and_leave_the_published_keys() {
        let plan = MamlPlan {
            ways: 2,
            shots: 2,
            queries: 2,
            tasks: 2,
            inner_steps: 2,
            steps: 12,
            ..MamlPlan::default()
        };
        let dir = tempfile::tempdir().unwrap();
        let done = train_maml(
            &plan,
            &classes(),
            dir.path(),
            &Interrupt::new(),
            &mut |_| {},
        )
        .unwrap();
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        assert!(
            mean(&done.losses[8..]) < mean(&done.losses[..4]),
            "{:?}",
            done.losses
        );
        let file = Checkpoint::find(dir.path()).unwrap().unwrap().averaged();
        let keys = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
        assert!(keys.contains_key("conv4.weight") && keys.contains_key("conv1_bn.running_mean"));
    }

    #[test]
    fn too_few_images_are_refused() {
        let one = vec![classes().remove(0)];
        let dir = tempfile::tempdir().unwrap();
        let error = train_maml(
            &MamlPlan::default(),
            &one,
            dir.path(),
            &Interrupt::new(),
            &mut |_| {},
        )
        .unwrap_err();
        assert!(error.to_string().contains("1 of 1 classes"), "{error}");
    }
}
