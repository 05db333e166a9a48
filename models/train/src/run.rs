//! The training loop: step, log, evaluate, checkpoint, stop.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::time::Instant;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use lucency_nn::{Interrupt, Progress, Weights};
use serde::{Deserialize, Serialize};

use crate::best::Best;
use crate::checkpoint::{self, Checkpoint, Contents, State};
use crate::curves;
use crate::log::{Log, LogLine};
use crate::optim::{AdamW, AdamWConfig, Ema, Optimiser, Schedule, clip_scale, gradient_norm};
use crate::{Result, TrainError};

/// The numbers of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Seed of batches and augmentations.
    pub seed: u64,
    /// Learning rate; its `total` is the number of steps.
    pub schedule: Schedule,
    /// The optimiser.
    pub optimiser: AdamWConfig,
    /// Largest global gradient norm.
    pub clip_norm: f64,
    /// Decay of the averaged weights per step.
    pub ema_decay: f64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Steps between evaluations; 0 for none but the last.
    pub evaluate_every: u64,
    /// Steps between log lines.
    pub log_every: u64,
}

/// A loss with its named parts.
pub struct StepLoss {
    /// What is minimised, `[]`.
    pub total: Tensor,
    /// Parts for the log.
    pub parts: Vec<(&'static str, f64)>,
    /// Samples in the batch.
    pub samples: usize,
}

/// What is trained on: data and loss behind one seam.
pub trait Objective {
    /// The loss of one step's batch, counted from 0; all randomness follows from the step.
    fn loss(&mut self, step: u64) -> Result<StepLoss>;

    /// The loss and the gradients of one step's batch; a method that needs several passes through the model does them here.
    ///
    /// - `vars`: the trainable variables
    fn gradients(&mut self, step: u64, vars: &[(String, Var)]) -> Result<(StepLoss, GradStore)> {
        let _ = vars;
        let loss = self.loss(step)?;
        let grads = loss.total.backward()?;
        Ok((loss, grads))
    }

    /// Validation figures of the averaged weights, by name.
    fn evaluate(&mut self, averaged: &HashMap<String, Tensor>) -> Result<BTreeMap<String, f64>>;
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All steps are done.
    Finished,
    /// It was interrupted; a checkpoint holds its state.
    Stopped,
}

/// What a run leaves behind.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// Steps done over all sittings.
    pub steps: u64,
    /// The loss of each step of this sitting.
    pub losses: Vec<f64>,
    /// The last evaluation, if any.
    pub figures: BTreeMap<String, f64>,
}

/// Which tensors checkpoints and best weights hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// All of the model's.
    Everything,
    /// Those that are trained; the others are read from the pack again.
    Trained,
}

impl Kept {
    fn of(self, weights: &Weights) -> BTreeMap<String, Tensor> {
        match self {
            Self::Everything => weights.tensors(),
            Self::Trained => weights
                .vars()
                .into_iter()
                .map(|(key, var)| (key, var.as_detached_tensor()))
                .collect(),
        }
    }
}

/// The numbers of a walk that do not depend on the optimiser.
pub struct Course<'a> {
    /// Seed of batches and augmentations.
    pub seed: u64,
    /// Steps of the whole run.
    pub total: u64,
    /// Learning rate of a step counted from 0.
    pub rate: &'a dyn Fn(u64) -> f64,
    /// Largest global gradient norm.
    pub clip_norm: f64,
    /// Decay of the averaged weights per step; 0 for the last weights themselves.
    pub ema_decay: f64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Steps between evaluations; 0 for none but the last.
    pub evaluate_every: u64,
    /// Steps between log lines.
    pub log_every: u64,
    /// The validation figure that decides which weights are kept as the best; the larger the better.
    pub select: Option<&'a str>,
    /// Evaluations without a better `select` after which the run ends early; 0 for never.
    pub patience: u64,
    /// What is written to disk.
    pub kept: Kept,
}

impl Course<'_> {
    /// Whether the chosen figure has not grown for as long as the plan's patience.
    fn is_exhausted(&self, best: Option<&Best>, done: u64) -> bool {
        let age = best.and_then(|best| best.age(done));
        self.patience > 0 && age.is_some_and(|age| age >= self.patience * self.evaluate_every)
    }
}

/// Trains with AdamW and a cosine schedule; see [`train_with`].
pub fn train(
    plan: &Plan,
    weights: &Weights,
    objective: &mut dyn Objective,
    run: &Path,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Outcome> {
    let course = Course {
        seed: plan.seed,
        total: plan.schedule.total,
        rate: &|step| plan.schedule.rate(step),
        clip_norm: plan.clip_norm,
        ema_decay: plan.ema_decay,
        checkpoint_every: plan.checkpoint_every,
        evaluate_every: plan.evaluate_every,
        log_every: plan.log_every,
        select: None,
        patience: 0,
        kept: Kept::Everything,
    };
    let mut optimiser = AdamW::new(plan.optimiser);
    train_with(
        &course,
        &mut optimiser,
        weights,
        objective,
        run,
        stop,
        report,
    )
}

/// Trains the trainable tensors of `weights` until the schedule's end, going on from the run folder's checkpoint if it has one.
///
/// - `weights`: what the objective's model was built from: the checkpoint's weights when there is a checkpoint
/// - `run`: folder of the log (`log.jsonl`), its curves, the checkpoint and the best weights
///
/// Errors if the loss or the gradient stops being finite, or a checkpoint belongs to another seed.
pub fn train_with(
    plan: &Course<'_>,
    optimiser: &mut dyn Optimiser,
    weights: &Weights,
    objective: &mut dyn Objective,
    run: &Path,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Outcome> {
    fs::create_dir_all(run).map_err(|e| TrainError::io(run, e))?;
    let vars = weights.vars();
    if vars.is_empty() {
        return Err(TrainError::Plan("no tensor is trainable".into()));
    }
    let mut ema = Ema::new(plan.ema_decay);
    let mut done = 0u64;
    let mut before_s = 0.0;
    if let Some(checkpoint) = Checkpoint::find(run)? {
        if checkpoint.state.seed != plan.seed {
            return Err(TrainError::Checkpoint {
                path: checkpoint.dir.clone(),
                reason: format!(
                    "it has seed {}, the plan {}",
                    checkpoint.state.seed, plan.seed
                ),
            });
        }
        done = checkpoint.state.step;
        before_s = checkpoint.state.elapsed_s;
        optimiser.restore(done, &checkpoint.read(&checkpoint.optimiser())?)?;
        ema.restore(
            checkpoint.state.ema_steps,
            &checkpoint.read(&checkpoint.averaged())?,
        )?;
    }
    let mut log = Log::open(&run.join("log.jsonl"), done)?;
    let mut best = plan.select.map(|name| Best::of(run, name)).transpose()?;
    let started = Instant::now();
    let start_step = done;
    let total = plan.total;
    let mut outcome = Outcome {
        ending: Ending::Finished,
        steps: done,
        losses: Vec::new(),
        figures: BTreeMap::new(),
    };
    let mut window = (Instant::now(), 0usize); // since the last log line
    while done < total && !plan.is_exhausted(best.as_ref(), done) {
        if stop.is_stopped() {
            outcome.ending = Ending::Stopped;
            break;
        }
        let (step_loss, grads) = objective.gradients(done, &vars)?;
        let loss = f64::from(step_loss.total.to_scalar::<f32>()?);
        if !loss.is_finite() {
            return Err(TrainError::Diverged {
                step: done + 1,
                what: "loss",
            });
        }
        let norm = gradient_norm(&grads, &vars)?;
        if !norm.is_finite() {
            return Err(TrainError::Diverged {
                step: done + 1,
                what: "gradient norm",
            });
        }
        let rate = (plan.rate)(done);
        optimiser.step(&vars, &grads, rate, clip_scale(norm, plan.clip_norm))?;
        drop(grads);
        ema.update(&plan.kept.of(weights))?;
        done += 1;
        outcome.losses.push(loss);
        window.1 += step_loss.samples;
        let last = done == total;
        let evaluates =
            last || (plan.evaluate_every > 0 && done.is_multiple_of(plan.evaluate_every));
        if evaluates {
            let averaged = ema.tensors(&plan.kept.of(weights))?;
            outcome.figures = objective.evaluate(&averaged)?;
            if let Some(best) = &mut best {
                best.offer(done, &outcome.figures, averaged)?;
            }
        }
        if last || evaluates || done.is_multiple_of(plan.log_every.max(1)) {
            let seconds = window.0.elapsed().as_secs_f64();
            let elapsed = started.elapsed().as_secs_f64();
            let line = LogLine {
                step: done,
                loss,
                parts: step_loss
                    .parts
                    .iter()
                    .map(|(k, v)| ((*k).to_string(), *v))
                    .collect(),
                rate,
                gradient_norm: norm,
                samples_per_s: window.1 as f64 / seconds.max(1e-9),
                elapsed_s: before_s + elapsed,
                figures: if evaluates {
                    outcome.figures.clone()
                } else {
                    BTreeMap::new()
                },
            };
            log.append(&line)?;
            if evaluates {
                curves::write(run)?;
            }
            let left = (total - done) as f64 * elapsed / (done - start_step) as f64;
            report(Progress {
                stage: "training".into(),
                done,
                total,
                message: Some(message(&line)),
                eta_s: Some(left),
            });
            window = (Instant::now(), 0);
        }
        if !last && done.is_multiple_of(plan.checkpoint_every.max(1)) {
            save(
                run,
                plan,
                weights,
                optimiser,
                &ema,
                done,
                before_s + started.elapsed().as_secs_f64(),
            )?;
        }
    }
    outcome.steps = done;
    save(
        run,
        plan,
        weights,
        optimiser,
        &ema,
        done,
        before_s + started.elapsed().as_secs_f64(),
    )?;
    Ok(outcome)
}

fn message(line: &LogLine) -> String {
    let mut text = format!("loss {:.4}", line.loss);
    for (name, value) in line.parts.iter().chain(&line.figures) {
        text.push_str(&format!(" {name} {value:.4}"));
    }
    text.push_str(&format!(
        " norm {:.2} {:.1}/s",
        line.gradient_norm, line.samples_per_s
    ));
    text
}

#[allow(clippy::too_many_arguments)] // the parts of one state, used once
fn save(
    run: &Path,
    plan: &Course<'_>,
    weights: &Weights,
    optimiser: &dyn Optimiser,
    ema: &Ema,
    step: u64,
    elapsed_s: f64,
) -> Result<()> {
    let tensors = plan.kept.of(weights);
    let averaged = ema.tensors(&tensors)?;
    checkpoint::write(
        run,
        &Contents {
            weights: &tensors.into_iter().collect(),
            averaged: &averaged,
            optimiser: &optimiser.state()?,
            state: &State {
                step,
                seed: plan.seed,
                ema_steps: ema.steps(),
                elapsed_s,
            },
        },
    )
}
