//! A run by gradients, from a plan to an adapter's tensors.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use lucency_nn::{Interrupt, Place, Progress};
use lucency_zoo::clip::ClipConfig;
use lucency_zoo::preprocess::Preprocess;
use lucency_zoo::tokenizer::ClipTokenizer;

use super::Method;
use super::classify::{Classify, Task};
use super::features::Pictures;
use super::heads::fit_heads;
use super::pairs::Pairs;
use super::plan::{TunePlan, blocks, depth};
use super::towers::Towers;
use crate::best::{Best, write_whole};
use crate::checkpoint::Checkpoint;
use crate::optim::{AdamW, LayerWise, Optimiser};
use crate::run::{Course, Ending, Kept, Objective, train_with};
use crate::{Result, TrainError};

/// The model that is adapted.
#[derive(Clone, Copy)]
pub struct Model<'a> {
    /// The pack's tensors.
    pub tensors: &'a HashMap<String, Tensor>,
    /// Its architecture.
    pub config: &'a ClipConfig,
    /// How images are prepared.
    pub preprocess: &'a Preprocess,
    /// The text tower's tokenizer.
    pub tokenizer: &'a ClipTokenizer,
    /// Where its towers compute.
    pub place: &'a Place,
}

/// What a run gave.
pub struct Tuned {
    /// How it ended; an unfinished run goes on when it is started again.
    pub ending: Ending,
    /// Steps done.
    pub steps: u64,
    /// Validation figures of the last step.
    pub figures: BTreeMap<String, f64>,
    /// The towers with the weights of the best evaluation.
    pub towers: Towers,
}

const PLAN: &str = "plan.json";
/// Evaluations of a run.
const EVALUATIONS: u64 = 15;
/// Checkpoints of a run.
const CHECKPOINTS: u64 = 20;

/// Trains on labelled cases; see [`Classify`].
///
/// - `run`: the run's folder, gone on with if it holds a checkpoint of the same plan
///
/// Errors if the folder belongs to another plan, or training diverges.
pub fn tune(
    model: Model<'_>,
    task: Task<'_>,
    plan: &TunePlan,
    run: &Path,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Tuned> {
    let towers = begin(model, plan, run)?;
    let mut objective = Classify::new(towers, task, plan)?;
    let per_epoch = objective.steps_per_epoch();
    let weights = objective.towers.weights.clone();
    let select = Some("auroc");
    let outcome = walk(
        model,
        plan,
        per_epoch,
        select,
        &weights,
        &mut objective,
        run,
        stop,
        report,
    )?;
    finish(model, plan, run, outcome)
}

/// Trains on images with reports; see [`Pairs`].
///
/// - `train`, `validation`: rows to fit on and to judge by
///
/// Errors as [`tune`].
#[allow(clippy::too_many_arguments)] // the model, the data's four, the plan, and where to keep, stop and report
pub fn tune_pairs(
    model: Model<'_>,
    pictures: &dyn Pictures,
    reports: &[String],
    train: &[usize],
    validation: &[usize],
    plan: &TunePlan,
    run: &Path,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Tuned> {
    let towers = begin(model, plan, run)?;
    if plan.report_heads {
        // Nothing is chosen, so nobody has to be kept for choosing.
        let rows = [train, validation].concat();
        return solve_pairs(towers, pictures, reports, &rows, plan, stop, report);
    }
    let mut objective = Pairs::new(towers, pictures, reports, train, validation, plan)?;
    let per_epoch = objective.steps_per_epoch();
    let weights = objective.towers.weights.clone();
    let select = Some("recall@5");
    let outcome = walk(
        model,
        plan,
        per_epoch,
        select,
        &weights,
        &mut objective,
        run,
        stop,
        report,
    )?;
    finish(model, plan, run, outcome)
}

/// Fits heads; a run that was interrupted begins anew, which takes seconds.
fn solve_pairs(
    towers: Towers,
    pictures: &dyn Pictures,
    reports: &[String],
    rows: &[usize],
    plan: &TunePlan,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Tuned> {
    let (clip, preprocess, tokenizer) = (&towers.clip, &towers.preprocess, &towers.tokenizer);
    let fitted = fit_heads(
        clip, preprocess, tokenizer, pictures, reports, rows, plan.seed, stop, report,
    );
    let (ending, towers) = match fitted {
        Ok(heads) => (Ending::Finished, towers.with_heads(heads)),
        Err(TrainError::Stopped) => (Ending::Stopped, towers),
        Err(error) => return Err(error),
    };
    Ok(Tuned {
        ending,
        steps: 0,
        figures: BTreeMap::new(),
        towers,
    })
}

/// Towers at the run's checkpoint, or at the pack.
fn begin(model: Model<'_>, plan: &TunePlan, run: &Path) -> Result<Towers> {
    fs::create_dir_all(run).map_err(|e| TrainError::io(run, e))?;
    let path = run.join(PLAN);
    if path.is_file() {
        let text = fs::read_to_string(&path).map_err(|e| TrainError::io(&path, e))?;
        let before: TunePlan =
            serde_json::from_str(&text).map_err(|e| TrainError::json(&path, e))?;
        if before != *plan {
            return Err(TrainError::Checkpoint {
                path: run.to_path_buf(),
                reason: "it belongs to a run with another plan; choose another name, or the same numbers to go on".into(),
            });
        }
    } else {
        let text = serde_json::to_string_pretty(plan).map_err(|e| TrainError::json(&path, e))?;
        write_whole(&path, text.as_bytes())?;
    }
    let mut tensors = model.tensors.clone();
    if let Some(checkpoint) = Checkpoint::find(run)? {
        tensors.extend(checkpoint.read(&checkpoint.weights())?);
    }
    build(model, tensors, plan)
}

fn build(model: Model<'_>, tensors: HashMap<String, Tensor>, plan: &TunePlan) -> Result<Towers> {
    Towers::build(
        tensors,
        model.config,
        model.preprocess,
        model.tokenizer,
        model.place,
        plan,
    )
}

#[allow(clippy::too_many_arguments)] // one call's worth of what `train_with` takes
fn walk(
    model: Model<'_>,
    plan: &TunePlan,
    per_epoch: u64,
    select: Option<&str>,
    weights: &lucency_nn::Weights,
    objective: &mut dyn Objective,
    run: &Path,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<crate::run::Outcome> {
    let total = plan.epochs * per_epoch;
    let rate = |step| plan.rate.at(step, per_epoch, total);
    let course = Course {
        seed: plan.seed,
        total,
        rate: &rate,
        clip_norm: plan.clip_norm,
        ema_decay: 0.0,
        checkpoint_every: (total / CHECKPOINTS).max(1),
        evaluate_every: (total / EVALUATIONS).max(1),
        log_every: 1,
        select,
        patience: plan.patience,
        kept: Kept::Trained,
    };
    let mut optimiser: Box<dyn Optimiser> = if plan.layer_decay < 1.0 {
        let (decay, deepest) = (plan.layer_decay, blocks(model.config));
        Box::new(LayerWise::new(plan.optimiser, move |name| {
            let below = (deepest + 1).saturating_sub(depth(name, deepest));
            decay.powi(below as i32)
        }))
    } else {
        Box::new(AdamW::new(plan.optimiser))
    };
    train_with(
        &course,
        optimiser.as_mut(),
        weights,
        objective,
        run,
        stop,
        report,
    )
}

/// The best weights of a run.
fn finish(
    model: Model<'_>,
    plan: &TunePlan,
    run: &Path,
    outcome: crate::run::Outcome,
) -> Result<Tuned> {
    let path = match Best::weights(run) {
        Some(path) => path,
        None => Checkpoint::find(run)?
            .map(|checkpoint| checkpoint.weights())
            .ok_or_else(|| TrainError::Checkpoint {
                path: run.to_path_buf(),
                reason: "the run left no weights".into(),
            })?,
    };
    let trained = candle_core::safetensors::load(&path, &Device::Cpu).map_err(|e| {
        TrainError::Checkpoint {
            path: path.clone(),
            reason: e.to_string(),
        }
    })?;
    let mut tensors = model.tensors.clone();
    tensors.extend(trained);
    Ok(Tuned {
        ending: outcome.ending,
        steps: outcome.steps,
        figures: outcome.figures,
        towers: build(model, tensors, plan)?,
    })
}

/// Towers with an adapter's tensors, for use.
///
/// - `trained`: what [`Towers::trained`] gave
///
/// Errors if the tensors do not fit the plan.
pub fn with_adapter(
    model: Model<'_>,
    trained: HashMap<String, Tensor>,
    plan: &TunePlan,
) -> Result<Towers> {
    let mut tensors = model.tensors.clone();
    let count = trained.len();
    tensors.extend(trained);
    let towers = build(model, tensors, plan)?;
    if plan.report_heads && !towers.has_heads() {
        return Err(TrainError::Data(
            "the adapter has no report heads where its plan wants them".into(),
        ));
    }
    let wanted = towers.trained().len();
    if plan.method != Method::Full && plan.method != Method::Contrastive && wanted != count {
        return Err(TrainError::Data(format!(
            "the adapter has {count} tensors where its plan wants {wanted}"
        )));
    }
    Ok(towers)
}
