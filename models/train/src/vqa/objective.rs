//! What a run minimises, and how it is judged after every epoch.

use std::collections::{BTreeMap, HashMap};

use candle_core::Tensor;
use lucency_nn::{Dropout, Weights};
use rand::seq::SliceRandom;

use super::examples::Examples;
use super::frozen::FrozenFeatures;
use super::judge::{Judged, QuestionTypes, judge};
use super::model::AnswerModel;
use super::plan::VqaPlan;
use crate::Result;
use crate::data::rng_for;
use crate::run::{Objective, StepLoss};

/// Slots of the generators: order, augmentation, dropout.
const ORDER: u64 = 31;
const VIEWS: u64 = 32;
const DROPOUT: u64 = 33;

/// The training of an answer model.
pub struct VqaObjective<'a> {
    plan: &'a VqaPlan,
    examples: &'a Examples,
    model: AnswerModel,
    frozen: Option<FrozenFeatures>,
    train: Vec<usize>,
    held_out: Vec<usize>,
    types: &'a QuestionTypes,
    order: (u64, Vec<usize>),
    words: usize,
    answers: usize,
    closed: usize,
}

impl<'a> VqaObjective<'a> {
    /// Builds the model from `weights`.
    ///
    /// - `train`, `held_out`: rows of `examples`
    /// - `sizes`: words of the dictionary, answers, and closed answers of the vocabulary
    /// - `types`: the branch of each question, for judging QCR
    pub fn new(
        plan: &'a VqaPlan,
        weights: &Weights,
        examples: &'a Examples,
        (train, held_out): (Vec<usize>, Vec<usize>),
        (words, answers, closed): (usize, usize, usize),
        types: &'a QuestionTypes,
    ) -> Result<Self> {
        let model = AnswerModel::load(weights, plan, words, answers, closed)?;
        let frozen = match plan.freeze_visual {
            true => Some(FrozenFeatures::of(weights, plan, &examples.images)?),
            false => None,
        };
        Ok(Self {
            plan,
            examples,
            model,
            frozen,
            train,
            held_out,
            types,
            order: (u64::MAX, Vec::new()),
            words,
            answers,
            closed,
        })
    }

    /// Steps of an epoch.
    pub fn per_epoch(&self) -> u64 {
        self.train.len().div_ceil(self.plan.batch).max(1) as u64
    }

    /// The rows of a step: each epoch is a shuffle of its own.
    fn rows(&mut self, step: u64) -> Vec<usize> {
        let per_epoch = self.per_epoch();
        let (epoch, within) = (step / per_epoch, (step % per_epoch) as usize);
        if self.order.0 != epoch {
            let mut order = self.train.clone();
            order.shuffle(&mut rng_for(self.plan.seed, epoch, ORDER));
            self.order = (epoch, order);
        }
        let size = self.plan.batch;
        let from = within * size;
        self.order.1[from..(from + size).min(self.train.len())].to_vec()
    }

    /// Answers the held-out questions with some weights.
    pub fn judge_with(&self, weights: &HashMap<String, Tensor>) -> Result<Judged> {
        let weights = Weights::from_tensors(weights.clone(), "the run's weights");
        let model = AnswerModel::load(&weights, self.plan, self.words, self.answers, self.closed)?;
        let frozen = match &self.frozen {
            Some(frozen) => Some(frozen.with_weights(&weights)?),
            None => None,
        };
        let features = |images: &[usize]| match &frozen {
            Some(frozen) => frozen.asked(images),
            None => model.encode_set(&self.examples.images, images, self.plan.asked_views),
        };
        judge(
            &model,
            &features,
            self.plan,
            self.examples,
            &self.held_out,
            self.types,
            self.answers,
        )
    }
}

impl Objective for VqaObjective<'_> {
    fn loss(&mut self, step: u64) -> Result<StepLoss> {
        let rows = self.rows(step);
        let batch =
            self.examples
                .batch(&rows, self.plan, &mut rng_for(self.plan.seed, step, VIEWS))?;
        let features = match &self.frozen {
            Some(frozen) => Some(frozen.features(&batch.images)?),
            None => None,
        };
        let mut dropout = Dropout::new(rand::Rng::random(&mut rng_for(
            self.plan.seed,
            step,
            DROPOUT,
        )));
        let total = self.model.loss(&batch, features.as_ref(), &mut dropout)?;
        let epoch = (step / self.per_epoch() + 1) as f64;
        Ok(StepLoss {
            total,
            parts: vec![("epoch", epoch)],
            samples: rows.len(),
        })
    }

    fn evaluate(&mut self, averaged: &HashMap<String, Tensor>) -> Result<BTreeMap<String, f64>> {
        if self.held_out.is_empty() {
            return Ok(BTreeMap::new());
        }
        let score = self.judge_with(averaged)?.score()?;
        let mut figures = BTreeMap::from([("overall".to_string(), score.overall)]);
        for (name, rate) in [("open", score.open), ("closed", score.closed)] {
            if let Some(rate) = rate {
                figures.insert(name.to_string(), rate);
            }
        }
        Ok(figures)
    }
}
