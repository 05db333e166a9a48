//! The objective of image–report pairs, for batches larger than memory.

use std::collections::{BTreeMap, HashMap};

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use rand::Rng;

use super::classify::{embed_pictures, index};
use super::features::Pictures;
use super::plan::TunePlan;
use super::towers::Towers;
use crate::data::{Mixture, Part, rng_for};
use crate::losses::multi_positive_infonce;
use crate::metrics::{ranks, recall_at_k};
use crate::run::{Objective, StepLoss};
use crate::{Result, TrainError};

/// Of the generators of a step the first that draws a piece of a report, behind those of views.
const PIECE_SLOT: u64 = 1 << 32;

/// Symmetric InfoNCE over a batch whose embeddings are cached while gradients are taken chunk by chunk.
///
/// The gradient equals that of the whole batch; memory is that of one chunk. Equal reports are each other's positives.
/// Source: Gao et al. 2021 (GradCache), section 3.
pub struct Pairs<'a> {
    /// The model.
    pub towers: Towers,
    pictures: &'a dyn Pictures,
    reports: &'a [String],
    validation: &'a [usize],
    plan: TunePlan,
    mixture: Mixture,
    per_epoch: u64,
    images: Option<Tensor>, // embeddings of all pictures, where the image tower stays as it is
}

impl<'a> Pairs<'a> {
    /// Prepares an objective.
    ///
    /// - `reports`: of every picture; rows with an empty one take no part
    /// - `train`, `validation`: rows to fit on and to judge by
    ///
    /// Errors if fewer than two training rows have a report.
    pub fn new(
        towers: Towers,
        pictures: &'a dyn Pictures,
        reports: &'a [String],
        train: &[usize],
        validation: &'a [usize],
        plan: &TunePlan,
    ) -> Result<Self> {
        let rows: Vec<usize> = train
            .iter()
            .copied()
            .filter(|i| !reports[*i].trim().is_empty())
            .collect();
        if rows.len() < 2 {
            return Err(TrainError::Data(format!(
                "contrastive training wants reports of at least two training cases, {} have one",
                rows.len()
            )));
        }
        let batch = plan.batch.min(rows.len());
        let per_epoch = (rows.len() as u64).div_ceil(batch as u64);
        let images = match towers.trains_images() {
            true => None,
            false => {
                let all: Vec<usize> = (0..pictures.len()).collect();
                Some(embed_pictures(&towers, pictures, &all)?)
            }
        };
        Ok(Self {
            images,
            towers,
            pictures,
            reports,
            validation,
            plan: plan.clone(),
            mixture: Mixture::new(plan.seed, vec![Part::single(rows, batch)])?,
            per_epoch,
        })
    }

    /// Steps of a pass over the training cases.
    pub fn steps_per_epoch(&self) -> u64 {
        self.per_epoch
    }

    fn pixels(&self, rows: &[usize], step: u64, first: usize) -> Result<Tensor> {
        let squares = rows
            .iter()
            .map(|i| self.pictures.picture(*i))
            .collect::<Result<Vec<_>>>()?;
        match self.plan.augment {
            // A case's view must not depend on the chunk it is in.
            true => self.towers.views(&squares, self.plan.seed, step, first),
            false => self.towers.pixels(&squares),
        }
    }

    /// Embeddings of a chunk's images; of views if they are augmented and the image tower learns.
    fn embed_images(&self, rows: &[usize], step: u64, first: usize) -> Result<Tensor> {
        match &self.images {
            Some(images) => Ok(images.index_select(&index(rows)?, 0)?),
            None => self.towers.embed_pixels(&self.pixels(rows, step, first)?),
        }
    }

    /// What is read of a chunk's reports: all, or, as an image is shown in one view, one of the pieces that the text tower reads at once.
    /// Source: Zhang et al. 2022 (ConVIRT), section 2.3, which draws a sentence.
    fn texts(&self, rows: &[usize], step: u64, first: usize) -> Vec<String> {
        let whole = rows.iter().map(|i| self.reports[*i].clone());
        if !self.plan.augment {
            return whole.collect();
        }
        let context = self.towers.clip.config().text.context;
        let one = |(slot, report): (usize, String)| {
            let mut pieces = self.towers.tokenizer.pieces(&report, context);
            let place = (first + slot) as u64 + PIECE_SLOT;
            let drawn = rng_for(self.plan.seed, step, place).random_range(0..pieces.len());
            pieces.swap_remove(drawn)
        };
        whole.enumerate().map(one).collect()
    }

    /// 1 where two rows have one report.
    fn positives(&self, rows: &[usize]) -> Vec<f32> {
        let same = |a: &usize, b: &usize| self.reports[*a].trim() == self.reports[*b].trim();
        rows.iter()
            .flat_map(|a| rows.iter().map(move |b| f32::from(u8::from(same(a, b)))))
            .collect()
    }

    /// Share of validation cases whose report is among the `k` nearest to their image.
    fn recall(&self, k: usize) -> Result<Option<f64>> {
        let rows: Vec<usize> = self
            .validation
            .iter()
            .copied()
            .filter(|i| !self.reports[*i].trim().is_empty())
            .collect();
        if rows.len() <= k {
            return Ok(None);
        }
        let similarity = self.similarity(&rows)?;
        Ok(Some(recall_at_k(k, &ranks(&similarity)?)))
    }

    /// Cosines of the rows' images with their reports, `[rows][rows]`.
    pub fn similarity(&self, rows: &[usize]) -> Result<Vec<Vec<f64>>> {
        self.towers.set_dropout(None);
        let images = match &self.images {
            Some(images) => images.index_select(&index(rows)?, 0)?,
            None => embed_pictures(&self.towers, self.pictures, rows)?,
        };
        let reports: Vec<String> = rows.iter().map(|i| self.reports[*i].clone()).collect();
        let texts = self.towers.embed_reports(&reports)?.detach();
        let cosines = images.matmul(&texts.t()?.contiguous()?)?.to_vec2::<f32>()?;
        Ok(cosines
            .into_iter()
            .map(|row| row.into_iter().map(f64::from).collect())
            .collect())
    }
}

impl Objective for Pairs<'_> {
    fn loss(&mut self, step: u64) -> Result<StepLoss> {
        let rows = self.mixture.batch(step).concat();
        self.towers.follow_weights()?;
        let images = self
            .chunks(&rows)
            .map(|(first, chunk)| self.embed_images(chunk, step, first))
            .collect::<Result<Vec<_>>>()?;
        let texts = self
            .chunks(&rows)
            .map(|(first, chunk)| self.towers.embed_reports(&self.texts(chunk, step, first)))
            .collect::<Result<Vec<_>>>()?;
        let (images, texts) = (Tensor::cat(&images, 0)?, Tensor::cat(&texts, 0)?);
        self.loss_of(&rows, &images, &texts)
    }

    fn gradients(&mut self, step: u64, vars: &[(String, Var)]) -> Result<(StepLoss, GradStore)> {
        let rows = self.mixture.batch(step).concat();
        self.towers.follow_weights()?;
        // First pass: embeddings alone.
        let images = self
            .chunks(&rows)
            .map(|(first, chunk)| Ok(self.embed_images(chunk, step, first)?.detach()))
            .collect::<Result<Vec<_>>>()?;
        let texts = self
            .chunks(&rows)
            .map(|(first, chunk)| {
                let texts = self.texts(chunk, step, first);
                Ok(self.towers.embed_reports(&texts)?.detach())
            })
            .collect::<Result<Vec<_>>>()?;
        let images = Var::from_tensor(&Tensor::cat(&images, 0)?)?;
        let texts = Var::from_tensor(&Tensor::cat(&texts, 0)?)?;
        let loss = self.loss_of(&rows, images.as_tensor(), texts.as_tensor())?;
        let mut grads = loss.total.backward()?; // of the embeddings, and of the scale if it is trained
        let slope = |of: &Var, grads: &mut GradStore| {
            grads
                .remove(of.as_tensor())
                .ok_or_else(|| TrainError::Data("an embedding has no gradient".into()))
        };
        let (image_slope, text_slope) = (slope(&images, &mut grads)?, slope(&texts, &mut grads)?);
        // Second pass: each chunk again, with the cached slope of its embeddings.
        for (first, chunk) in self.chunks(&rows) {
            let n = chunk.len();
            let embedded = self.embed_images(chunk, step, first)?;
            let slope = image_slope.narrow(0, first, n)?;
            self.pull(&embedded, &slope, vars, &mut grads)?;
            let embedded = self.towers.embed_reports(&self.texts(chunk, step, first))?;
            let slope = text_slope.narrow(0, first, n)?;
            self.pull(&embedded, &slope, vars, &mut grads)?;
        }
        Ok((loss, grads))
    }

    fn evaluate(&mut self, _: &HashMap<String, Tensor>) -> Result<BTreeMap<String, f64>> {
        let mut figures = BTreeMap::new();
        self.towers.follow_weights()?;
        for (name, k) in [("recall@1", 1), ("recall@5", 5), ("recall@10", 10)] {
            if let Some(value) = self.recall(k)? {
                figures.insert(name.to_string(), value);
            }
        }
        Ok(figures)
    }
}

impl Pairs<'_> {
    /// Chunks of a batch with the place of their first row.
    fn chunks<'r>(
        &self,
        rows: &'r [usize],
    ) -> impl Iterator<Item = (usize, &'r [usize])> + use<'r> {
        let size = self.plan.chunk;
        rows.chunks(size)
            .enumerate()
            .map(move |(i, c)| (i * size, c))
    }

    fn loss_of(&self, rows: &[usize], images: &Tensor, texts: &Tensor) -> Result<StepLoss> {
        let scale = self.towers.scale()?;
        let logits = images
            .matmul(&texts.t()?.contiguous()?)?
            .broadcast_mul(&scale)?;
        Ok(StepLoss {
            total: multi_positive_infonce(&logits, &self.positives(rows))?,
            parts: vec![("scale", f64::from(scale.to_scalar::<f32>()?))],
            samples: rows.len(),
        })
    }

    /// Adds to `grads` what a slope at `embedded` means for the variables.
    fn pull(
        &self,
        embedded: &Tensor,
        slope: &Tensor,
        vars: &[(String, Var)],
        grads: &mut GradStore,
    ) -> Result<()> {
        if !embedded.track_op() {
            return Ok(()); // a tower without trainable tensors
        }
        let sum = (embedded * slope.detach())?.sum_all()?;
        let part = self.towers.backward(&sum)?;
        for (_, var) in vars {
            if let Some(more) = part.get(var.as_tensor()) {
                let sum = match grads.get(var.as_tensor()) {
                    Some(before) => (before + more)?,
                    None => more.clone(),
                };
                grads.insert(var.as_tensor(), sum);
            }
        }
        Ok(())
    }
}
