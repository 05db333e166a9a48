//! QCR's question-type classifier: open or closed, from the question alone.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{Device, Tensor};
use lucency_nn::{Dropout, Interrupt, Progress, Weights, ops};
use lucency_zoo::vqa::{TypeClassifier, TypeClassifierConfig};
use rand::seq::SliceRandom;

use super::dictionary::Dictionary;
use super::examples::Examples;
use super::fit::chosen_weights;
use super::judge::QuestionTypes;
use super::plan::VqaPlan;
use super::splits::VqaSplit;
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::data::rng_for;
use crate::metrics::vqa::AnswerType;
use crate::optim::{AdamW, AdamWConfig};
use crate::run::{Course, Kept, Objective, StepLoss, train_with};

/// Questions a step. Source: `type_classifier.py` of sarahESL/PubMedCLIP.
const BATCH: usize = 32;
/// The learning rate there.
const RATE: f64 = 1e-4;
/// Slots of the generators.
const ORDER: u64 = 35;
const DROPOUT: u64 = 36;

struct TypeObjective<'a> {
    plan: &'a VqaPlan,
    examples: &'a Examples,
    model: TypeClassifier,
    config: TypeClassifierConfig,
    split: &'a VqaSplit,
    order: (u64, Vec<usize>),
}

impl TypeObjective<'_> {
    fn per_epoch(&self) -> u64 {
        self.split.train.len().div_ceil(BATCH).max(1) as u64
    }

    fn tokens(&self, rows: &[usize]) -> Vec<Vec<u32>> {
        rows.iter()
            .map(|r| self.examples.tokens(*r).to_vec())
            .collect()
    }
}

impl Objective for TypeObjective<'_> {
    fn loss(&mut self, step: u64) -> Result<StepLoss> {
        let (epoch, within) = (step / self.per_epoch(), (step % self.per_epoch()) as usize);
        if self.order.0 != epoch {
            let mut order = self.split.train.clone();
            order.shuffle(&mut rng_for(self.plan.seed, epoch, ORDER));
            self.order = (epoch, order);
        }
        let to = ((within + 1) * BATCH).min(self.order.1.len());
        let rows = &self.order.1[within * BATCH..to];
        let targets: Vec<u32> = rows
            .iter()
            .map(|r| u32::from(self.examples.answer_type(*r) == AnswerType::Open))
            .collect();
        let targets = Tensor::from_vec(targets, rows.len(), &Device::Cpu)?;
        let seed = rand::Rng::random(&mut rng_for(self.plan.seed, step, DROPOUT));
        let mut dropout = Dropout::new(seed);
        let logits = self.model.forward(&self.tokens(rows), Some(&mut dropout))?;
        Ok(StepLoss {
            total: ops::cross_entropy(&logits, &targets)?,
            parts: vec![("epoch", (epoch + 1) as f64)],
            samples: rows.len(),
        })
    }

    fn evaluate(&mut self, averaged: &HashMap<String, Tensor>) -> Result<BTreeMap<String, f64>> {
        let rows = &self.split.held_out;
        if rows.is_empty() {
            return Ok(BTreeMap::new());
        }
        let weights = Weights::from_tensors(averaged.clone(), "the question-type classifier");
        let model = TypeClassifier::load(&weights, &self.config)?;
        let closed = model.closed(&self.tokens(rows))?;
        let right = rows
            .iter()
            .zip(closed)
            .filter(|(r, c)| (self.examples.answer_type(**r) == AnswerType::Closed) == *c)
            .count();
        let accuracy = right as f64 / rows.len() as f64;
        Ok(BTreeMap::from([("accuracy".to_string(), accuracy)]))
    }
}

fn config(plan: &VqaPlan, dictionary: &Dictionary) -> TypeClassifierConfig {
    TypeClassifierConfig {
        question: plan.question(dictionary.words().len()),
        mask_padding: plan.mask_padding,
    }
}

/// Trains the classifier in a folder of its own, or goes on there.
pub(super) fn train_types(
    plan: &VqaPlan,
    examples: &Examples,
    split: &VqaSplit,
    dictionary: &Dictionary,
    folder: &Path,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<()> {
    let weights = match Checkpoint::find(folder)? {
        Some(checkpoint) => Weights::open(&checkpoint.weights(), &Device::Cpu)?,
        None => Weights::fresh(plan.seed, &Device::Cpu),
    };
    weights.train_where(|_| true)?;
    let config = config(plan, dictionary);
    let mut objective = TypeObjective {
        plan,
        examples,
        model: TypeClassifier::load(&weights, &config)?,
        config,
        split,
        order: (u64::MAX, Vec::new()),
    };
    let per_epoch = objective.per_epoch();
    let course = Course {
        seed: plan.seed,
        total: per_epoch * plan.type_epochs,
        rate: &|_| RATE,
        clip_norm: f64::INFINITY,
        ema_decay: 0.0,
        checkpoint_every: per_epoch,
        evaluate_every: per_epoch,
        log_every: per_epoch,
        select: (!split.held_out.is_empty()).then_some("accuracy"),
        patience: 0,
        kept: Kept::Everything,
    };
    // Adam as PyTorch's default, without decay.
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
        folder,
        stop,
        report,
    )?;
    Ok(())
}

/// Opens a trained classifier.
pub(super) fn open_types(
    plan: &VqaPlan,
    dictionary: &Dictionary,
    folder: &Path,
) -> Result<TypeClassifier> {
    let weights = Weights::open(&chosen_weights(folder, plan)?, &Device::Cpu)?;
    Ok(TypeClassifier::load(&weights, &config(plan, dictionary))?)
}

/// What the trained classifier says of every question of a set.
pub(super) fn types_of(
    plan: &VqaPlan,
    dictionary: &Dictionary,
    folder: &Path,
    examples: &Examples,
) -> Result<QuestionTypes> {
    let model = open_types(plan, dictionary, folder)?;
    let rows: Vec<usize> = (0..examples.len()).collect();
    let mut closed = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(256) {
        let tokens: Vec<Vec<u32>> = chunk.iter().map(|r| examples.tokens(*r).to_vec()).collect();
        closed.extend(model.closed(&tokens)?);
    }
    Ok(QuestionTypes(closed))
}
