//! The objective of labelled cases: an image against the prompts of the classes.

use std::collections::{BTreeMap, HashMap};

use candle_core::backprop::GradStore;
use candle_core::{D, Device, Tensor, Var};
use lucency_nn::ops;
use lucency_zoo::preprocess::Image8;
use rand::Rng;

use super::features::Pictures;
use super::plan::TunePlan;
use super::towers::Towers;
use crate::data::{Mixture, Part, rng_for};
use crate::metrics::auroc;
use crate::probe::{Labels, squash};
use crate::run::{Objective, StepLoss};
use crate::{Result, TrainError};

/// What is trained on and judged by.
pub struct Task<'a> {
    /// Cases, in the model's size.
    pub pictures: &'a dyn Pictures,
    /// Their labels.
    pub labels: &'a Labels,
    /// Classes or findings.
    pub names: &'a [String],
    /// The pack's prompt templates.
    pub templates: &'a [String],
    /// Rows to fit on.
    pub train: &'a [usize],
    /// Rows that choose the best step.
    pub validation: &'a [usize],
}

/// Cross-entropy over class prompts, or binary cross-entropy of presence against absence for each finding.
pub struct Classify<'a> {
    /// The model.
    pub towers: Towers,
    task: Task<'a>,
    plan: TunePlan,
    mixture: Mixture,
    class_weights: Vec<[f64; 2]>, // of absence and presence; exclusive classes use the second
    images: Option<Tensor>, // embeddings of all pictures, where the image tower stays as it is
}

/// Images a forward pass outside training.
const BATCH: usize = 16;

impl<'a> Classify<'a> {
    /// Prepares an objective.
    ///
    /// Errors if a class has no training case.
    pub fn new(towers: Towers, task: Task<'a>, plan: &TunePlan) -> Result<Self> {
        let mut class_weights = Vec::new();
        for (class, name) in task.names.iter().enumerate() {
            let count = |wanted| {
                let rows = task.train.iter();
                rows.filter(|i| task.labels.truth(**i, class) == Some(wanted))
                    .count() as f64
            };
            let (absent, present) = (count(false), count(true));
            if absent == 0.0 || present == 0.0 {
                return Err(TrainError::Data(format!(
                    "the training cases have none {} `{name}`",
                    if present == 0.0 { "with" } else { "without" }
                )));
            }
            let sum = absent + present;
            class_weights.push(match task.labels {
                Labels::Classes { classes, .. } => [0.0, sum / (*classes as f64 * present)],
                Labels::Findings { .. } => [sum / (2.0 * absent), sum / (2.0 * present)],
            });
        }
        let labelled = task
            .train
            .iter()
            .copied()
            .filter(|i| (0..task.names.len()).any(|c| task.labels.truth(*i, c).is_some()));
        let part = Part::single(labelled, plan.batch.min(task.train.len()));
        let mixture = Mixture::new(plan.seed, vec![part])?;
        let mut made = Self {
            towers,
            task,
            plan: plan.clone(),
            mixture,
            class_weights,
            images: None,
        };
        if !made.towers.trains_images() {
            let all: Vec<usize> = (0..made.task.pictures.len()).collect();
            made.images = Some(made.embed_rows(&all)?);
        }
        Ok(made)
    }

    /// Steps of a pass over the training cases.
    pub fn steps_per_epoch(&self) -> u64 {
        (self.task.train.len() as u64)
            .div_ceil(self.mixture.batch_size().max(1) as u64)
            .max(1)
    }

    /// Logits of rows, `[rows][classes]`, with prompts in all templates.
    ///
    /// For findings a logit is presence minus absence.
    pub fn logits(&self, rows: &[usize]) -> Result<Vec<Vec<f64>>> {
        self.towers.set_dropout(None);
        let images = match &self.images {
            Some(images) => images.index_select(&index(rows)?, 0)?,
            None => self.embed_rows(rows)?,
        };
        let directions = directions(&self.towers, &self.task)?;
        class_logits(&self.towers, &images, &directions)
    }

    fn squares(&self, rows: &[usize]) -> Result<Vec<Image8>> {
        rows.iter()
            .map(|i| self.task.pictures.picture(*i))
            .collect()
    }

    fn embed_rows(&self, rows: &[usize]) -> Result<Tensor> {
        embed_pictures(&self.towers, self.task.pictures, rows)
    }

    /// `[batch, classes]` f32: 1, 0, and weights that are 0 where the truth is not known.
    fn targets(&self, rows: &[usize]) -> Result<(Tensor, Tensor)> {
        let classes = self.task.names.len();
        let (mut truth, mut weight) = (Vec::new(), Vec::new());
        for row in rows {
            for class in 0..classes {
                let known = self.task.labels.truth(*row, class);
                truth.push(f32::from(u8::from(known == Some(true))));
                weight.push(match known {
                    None => 0.0,
                    Some(t) => self.class_weights[class][usize::from(t)] as f32,
                });
            }
        }
        let shape = (rows.len(), classes);
        Ok((
            Tensor::from_vec(truth, shape, &Device::Cpu)?,
            Tensor::from_vec(weight, shape, &Device::Cpu)?,
        ))
    }
}

/// Unit embeddings of pictures, `[rows, d]`, without gradient.
pub(super) fn embed_pictures(
    towers: &Towers,
    pictures: &dyn Pictures,
    rows: &[usize],
) -> Result<Tensor> {
    let parts: Vec<Tensor> = rows
        .chunks(BATCH)
        .map(|chunk| {
            let squares: Vec<Image8> = chunk
                .iter()
                .map(|i| pictures.picture(*i))
                .collect::<Result<_>>()?;
            Ok(towers.embed_pixels(&towers.pixels(&squares)?)?.detach())
        })
        .collect::<Result<_>>()?;
    Ok(Tensor::cat(&parts, 0)?)
}

fn fill(template: &str, word: &str) -> String {
    template.replace("{}", word)
}

/// For each template and class the prompts; learned context vectors stand for the template.
fn templates_of<'t>(towers: &Towers, templates: &'t [String], plain: &'t [String]) -> &'t [String] {
    match towers.context.is_some() || templates.is_empty() {
        true => plain,
        false => templates,
    }
}

/// One direction a class, `[classes, d]`: the mean over templates at unit length; a finding's is presence minus absence.
fn directions(towers: &Towers, task: &Task<'_>) -> Result<Tensor> {
    let exclusive = matches!(task.labels, Labels::Classes { .. });
    directions_of(towers, task.names, task.templates, exclusive)
}

/// As [`directions`], of names.
pub(super) fn directions_of(
    towers: &Towers,
    names: &[String],
    templates: &[String],
    exclusive: bool,
) -> Result<Tensor> {
    let plain = [String::from("{}.")];
    let templates = templates_of(towers, templates, &plain);
    let of = |words: Vec<String>| -> Result<Tensor> {
        let mut sum: Option<Tensor> = None;
        for template in templates {
            let texts: Vec<String> = words.iter().map(|w| fill(template, w)).collect();
            let embedded = towers.embed_texts(&texts)?;
            sum = Some(match sum {
                None => embedded,
                Some(sum) => (sum + embedded)?,
            });
        }
        let sum = sum.ok_or_else(|| TrainError::Plan("no prompt".into()))?;
        Ok(ops::l2_normalise(&sum)?)
    };
    let present = of(names.to_vec())?;
    if exclusive {
        return Ok(present);
    }
    let absent = of(names.iter().map(|n| format!("no {n}")).collect())?;
    Ok((present - absent)?)
}

/// Scaled similarities, `[images][classes]`.
pub(super) fn class_logits(
    towers: &Towers,
    images: &Tensor,
    directions: &Tensor,
) -> Result<Vec<Vec<f64>>> {
    let logits = images
        .matmul(&directions.t()?.contiguous()?)?
        .broadcast_mul(&towers.scale()?)?;
    Ok(logits
        .to_vec2::<f32>()?
        .into_iter()
        .map(|row| row.into_iter().map(f64::from).collect())
        .collect())
}

pub(super) fn index(rows: &[usize]) -> Result<Tensor> {
    let rows: Vec<u32> = rows.iter().map(|i| *i as u32).collect();
    let count = rows.len();
    Ok(Tensor::from_vec(rows, count, &Device::Cpu)?)
}

impl Objective for Classify<'_> {
    fn loss(&mut self, step: u64) -> Result<StepLoss> {
        let rows = self.mixture.batch(step).concat();
        self.towers.follow_weights()?;
        let towers = &self.towers;
        towers.set_dropout(Some((self.plan.seed, step)));
        let images = match &self.images {
            Some(images) => images.index_select(&index(&rows)?, 0)?,
            None => {
                let squares = self.squares(&rows)?;
                let pixels = match self.plan.augment {
                    true => towers.views(&squares, self.plan.seed, step, 0)?,
                    false => towers.pixels(&squares)?,
                };
                towers.embed_pixels(&pixels)?
            }
        }; // [b, d]
        let plain = [String::from("{}.")];
        let templates = templates_of(towers, self.task.templates, &plain);
        let pick = rng_for(self.plan.seed, step, 0).random_range(0..templates.len());
        let prompts = |denial: &str| -> Vec<String> {
            let names = self.task.names.iter();
            names
                .map(|n| fill(&templates[pick], &format!("{denial}{n}")))
                .collect()
        };
        let mut texts = towers.embed_texts(&prompts(""))?; // [classes, d]
        let exclusive = matches!(self.task.labels, Labels::Classes { .. });
        if !exclusive {
            texts = (texts - towers.embed_texts(&prompts("no "))?)?;
        }
        let logits = images
            .matmul(&texts.t()?.contiguous()?)?
            .broadcast_mul(&towers.scale()?)?; // [b, classes]
        let (truth, weight) = self.targets(&rows)?;
        let per_entry = match exclusive {
            true => (ops::log_softmax_last(&logits)? * &truth)?.neg()?,
            false => {
                // max(z, 0) - z t + ln(1 + e^-|z|)
                let linear = (logits.relu()? - (&logits * &truth)?)?;
                (linear + (logits.abs()?.neg()?.exp()? + 1.0)?.log()?)?
            }
        };
        let weighted = (per_entry * &weight)?;
        let sum = match exclusive {
            true => (&weight * &truth)?.sum_all()?,
            false => weight.sum_all()?,
        };
        let total = (weighted.sum(D::Minus1)?.sum_all()? / sum)?;
        Ok(StepLoss {
            total,
            parts: Vec::new(),
            samples: rows.len(),
        })
    }

    fn gradients(&mut self, step: u64, _: &[(String, Var)]) -> Result<(StepLoss, GradStore)> {
        let loss = self.loss(step)?;
        let grads = self.towers.backward(&loss.total)?;
        Ok((loss, grads))
    }

    fn evaluate(&mut self, _: &HashMap<String, Tensor>) -> Result<BTreeMap<String, f64>> {
        let mut figures = BTreeMap::new();
        if self.task.validation.is_empty() {
            return Ok(figures);
        }
        self.towers.follow_weights()?;
        let exclusive = matches!(self.task.labels, Labels::Classes { .. });
        let logits = self.logits(self.task.validation)?;
        let (mut sum, mut count) = (0.0, 0.0);
        for class in 0..self.task.names.len() {
            let (scores, truth): (Vec<f64>, Vec<bool>) = self
                .task
                .validation
                .iter()
                .zip(&logits)
                .filter_map(|(row, logits)| {
                    let truth = self.task.labels.truth(*row, class)?;
                    Some((squash(logits, exclusive)[class], truth))
                })
                .unzip();
            if let Ok(value) = auroc(&scores, &truth) {
                sum += value;
                count += 1.0;
            }
        }
        if count > 0.0 {
            figures.insert("auroc".to_string(), sum / count);
        }
        Ok(figures)
    }
}
