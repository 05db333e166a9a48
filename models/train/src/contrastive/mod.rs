//! Training a CLIP from captions, claims and classes at once.
//!
//! Three losses share one pass over the images: multi-positive InfoNCE against a caption an image; the claim loss against a claim
//! and its denial for every fact that is known of an image; cross-entropy over the prompts of a class set. The second and third
//! train exactly what zero-shot findings and zero-shot classes compute at use.

mod evaluate;
mod guide;
mod pool;
mod texts;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use candle_core::{Device, Tensor};
use lucency_nn::ops::l2_normalise;
use lucency_nn::{Mode, Weights};
use lucency_zoo::clip::{Clip, VisionConfig};
use lucency_zoo::preprocess::Preprocess;
use lucency_zoo::tokenizer::ClipTokenizer;
use rand::Rng;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use evaluate::{PoolEmbedding, embed_images, zero_shot};
pub use guide::Guide;
pub use pool::{ClaimWordings, ClassSet, ClassWordings, PromptPool};
pub use texts::TextBatch;

use crate::Result;
use crate::data::{
    Augment, Caption, Dataset, Facing, Mirror, Mixture, Sample, Warp, augment, rng_for, swap_sides,
};
use crate::losses::{claim_loss, cross_entropy, multi_positive_infonce};
use crate::run::{Objective, StepLoss};

/// The largest logarithm of the logit scale: a scale of 100. Source: Radford et al. 2021, section 2.5.
const LARGEST_LOG_SCALE: f64 = 4.605_170_185_988_092;
/// The slot of a step's own generator, beyond those of its samples.
const STEP_SLOT: u64 = 1 << 32;

/// The numbers of the objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContrastiveConfig {
    /// Seed of captions, wordings and augmentations.
    pub seed: u64,
    /// How views vary.
    pub augment: Augment,
    /// Weight of the caption loss.
    pub caption_weight: f64,
    /// Weight of the claim loss.
    pub claim_weight: f64,
    /// How much the claim loss leans on hard claims; 0 for the plain mean.
    pub claim_focus: f32,
    /// Weight of the class loss.
    pub class_weight: f64,
    /// Weight of the guide's loss over positions.
    pub local_weight: f64,
    /// Weight of the guide's loss over claims.
    pub global_weight: f64,
    /// The share of images that bring a caption to a step; texts cost as much as images.
    pub caption_share: f64,
    /// Claims asked about in each step, at most.
    pub claims_per_step: usize,
    /// Longest text in tokens, start and end included; longer ones are cut.
    pub longest_text: usize,
}

/// What an objective is made of.
pub struct Parts<'a> {
    /// The model being trained, built from trainable weights.
    pub clip: Clip,
    /// The preprocessing of use; training takes its side and its normalisation.
    pub preprocess: Preprocess,
    /// The model's tokenizer.
    pub tokenizer: ClipTokenizer,
    /// All samples.
    pub data: &'a dyn Dataset,
    /// Which samples a step sees.
    pub mixture: Mixture,
    /// Samples for validation.
    pub held_out: Vec<usize>,
    /// Wordings of claims and classes.
    pub pool: PromptPool,
    /// Read-outs that help the image tower while it learns, if any.
    pub guide: Option<Guide>,
}

/// The objective over a data set.
pub struct Contrastive<'a> {
    parts: Parts<'a>,
    config: ContrastiveConfig,
}

/// One image as a step sees it, and what is true of it.
struct View {
    pixels: Vec<f32>, // [3, side, side]
    caption: Caption,
    own: Vec<String>, // all captions of the sample
    facts: Vec<String>,
    claims: Vec<(usize, bool)>,
    classes: Vec<(usize, usize)>,
    cells: Vec<f32>, // [cells, claims]: 1, 0 or -1; empty without a guide
}

impl<'a> Contrastive<'a> {
    /// The objective.
    pub fn new(parts: Parts<'a>, config: ContrastiveConfig) -> Self {
        Self { parts, config }
    }

    fn view(&self, step: u64, slot: usize, sample: &Sample) -> View {
        let mut rng = rng_for(self.config.seed, step, slot as u64);
        let facing = match sample.mirror {
            Mirror::Never => Facing::Same,
            _ if rng.random::<bool>() => Facing::Mirrored,
            _ => Facing::Same,
        };
        let preprocess = &self.parts.preprocess;
        let size = (sample.image.width, sample.image.height);
        let warp = Warp::draw(&self.config.augment, size, facing, &mut rng);
        let grey = augment(
            &sample.image,
            preprocess.side(),
            &self.config.augment,
            &warp,
            &mut rng,
        );
        let pixels = normalise(&grey, preprocess);
        let caption = sample.captions[rng.random_range(0..sample.captions.len())].clone();
        let own = sample.captions.iter().map(|c| c.text.clone()).collect();
        let mut view = View {
            pixels,
            caption,
            own,
            facts: sample.facts.clone(),
            claims: sample.claims.clone(),
            classes: sample.classes.clone(),
            cells: self.cells(sample, &warp),
        };
        if facing == Facing::Mirrored && sample.mirror == Mirror::SwapSides {
            view.caption.text = swap_sides(&view.caption.text);
            view.caption.fact = view.caption.fact.as_deref().map(swap_sides);
            for text in view.own.iter_mut().chain(&mut view.facts) {
                *text = swap_sides(text);
            }
            for (claim, _) in &mut view.claims {
                *claim = self.parts.pool.mirrored(*claim);
            }
        }
        view
    }
}

impl Contrastive<'_> {
    /// What holds in each cell of the trunk's grid, as the view shows it.
    fn cells(&self, sample: &Sample, warp: &Warp) -> Vec<f32> {
        let Some(guide) = &self.parts.guide else {
            return Vec::new();
        };
        let (claims, grid) = (guide.claims(), self.grid());
        let (w, h) = (sample.image.width as f64, sample.image.height as f64);
        let mut out = vec![-1f32; grid * grid * claims];
        let reach = 0.35 / grid as f64; // a finding that fills a third of a cell beside it counts
        for (cell, row) in out.chunks_exact_mut(claims).enumerate() {
            let across = ((cell % grid) as f64 + 0.5) / grid as f64;
            let down = ((cell / grid) as f64 + 0.5) / grid as f64;
            let (x, y) = warp.source(across, down);
            let (x, y) = (x / w, y / h);
            for claim in &sample.located {
                row[*claim] = 0.0;
            }
            for place in &sample.places {
                let [left, top, right, bottom] = place.edges.map(f64::from);
                let inside =
                    x > left - reach && x < right + reach && y > top - reach && y < bottom + reach;
                if inside && row[place.claim] == 0.0 {
                    row[place.claim] = 1.0;
                }
            }
        }
        out
    }

    /// Cells along a side of the trunk's grid.
    fn grid(&self) -> usize {
        match &self.parts.clip.config().vision {
            VisionConfig::Vit(vit) => vit.image_size / vit.patch_size,
            VisionConfig::ResNet(resnet) => resnet.image_size / 16,
        }
    }
}

/// Normalises grey levels as the pack's preprocessing does, into three equal planes.
///
/// - `grey`: `[side · side]` in 0..=1; returns `[3 · side · side]`
pub(crate) fn normalise(grey: &[f32], preprocess: &Preprocess) -> Vec<f32> {
    let mut out = Vec::with_capacity(3 * grey.len());
    for channel in 0..3 {
        let (mean, std) = (preprocess.mean[channel], preprocess.std[channel]);
        out.extend(grey.iter().map(|v| (v - mean) / std));
    }
    out
}

impl Objective for Contrastive<'_> {
    fn loss(&mut self, step: u64) -> Result<StepLoss> {
        let units = self.parts.mixture.batch(step);
        let mut samples: Vec<(usize, Arc<Sample>)> = Vec::new(); // with the number of their unit
        for (unit, indices) in units.iter().enumerate() {
            for index in indices {
                samples.push((unit, self.parts.data.sample(*index)?));
            }
        }
        let views: Vec<View> = samples
            .par_iter()
            .map(|(unit, sample)| self.view(step, *unit, sample))
            .collect();
        let n = views.len();
        let mut rng = rng_for(self.config.seed, step, STEP_SLOT);
        let mut texts = TextBatch::default();

        let mut captions: Vec<&Caption> = Vec::new(); // distinct texts, which stand first in the batch
        for (i, view) in views.iter().enumerate() {
            let brings = rng.random_bool(self.config.caption_share);
            if !brings && i > 0 {
                continue; // the first always does, so that a batch has a caption
            }
            if texts.place(&view.caption.text) as usize == captions.len() {
                captions.push(&view.caption);
            }
        }
        let m = captions.len();
        let mut positives = vec![0f32; n * m];
        for (i, view) in views.iter().enumerate() {
            for (j, caption) in captions.iter().enumerate() {
                let by_fact = caption
                    .fact
                    .as_ref()
                    .is_some_and(|f| view.facts.contains(f));
                if by_fact || view.own.contains(&caption.text) {
                    positives[i * m + j] = 1.0;
                }
            }
        }

        let pool = &self.parts.pool;
        let mut claims: Vec<usize> = (0..pool.claims.len()).collect();
        claims.shuffle(&mut rng);
        claims.truncate(self.config.claims_per_step);
        let mut pick = |wordings: &[String], texts: &mut TextBatch| {
            texts.place(&wordings[rng.random_range(0..wordings.len())])
        };
        let claim_places: Vec<u32> = claims
            .iter()
            .map(|c| pick(&pool.claims[*c].positive, &mut texts))
            .collect();
        let denial_places: Vec<u32> = claims
            .iter()
            .map(|c| pick(&pool.claims[*c].negative, &mut texts))
            .collect();
        let class_places: Vec<Vec<u32>> = pool
            .class_sets
            .iter()
            .map(|set| {
                set.classes
                    .iter()
                    .map(|c| pick(&c.texts, &mut texts))
                    .collect()
            })
            .collect();

        let clip = &self.parts.clip;
        let side = self.parts.preprocess.side();
        let mut pixels = Vec::with_capacity(n * 3 * side * side);
        for view in &views {
            pixels.extend_from_slice(&view.pixels);
        }
        let pixels = Tensor::from_vec(pixels, (n, 3, side, side), &Device::Cpu)?;
        let trunk = clip.trunk(&pixels, Mode::Train)?;
        let images = l2_normalise(&clip.head(&trunk.hidden, Mode::Train)?)?; // [n, d]
        let texts = texts.embed(clip, &self.parts.tokenizer, self.config.longest_text)?;
        let texts = l2_normalise(&texts)?; // [texts, d]
        let log_scale = clip.logit_scale()?.minimum(LARGEST_LOG_SCALE)?;
        let rows = |places: &[u32]| -> Result<Tensor> {
            let places = Tensor::from_slice(places, places.len(), &Device::Cpu)?;
            Ok(texts.index_select(&places, 0)?)
        };
        let scaled = images.broadcast_mul(&log_scale.exp()?)?; // [n, d]

        let logits = scaled.matmul(&texts.narrow(0, 0, m)?.t()?)?; // [n, m]
        let caption_loss = multi_positive_infonce(&logits, &positives)?;
        let mut total = (&caption_loss * self.config.caption_weight)?;
        let mut parts = vec![("caption", scalar(&caption_loss)?)];

        if !claims.is_empty() {
            let mut truth = vec![-1f32; n * claims.len()];
            for (i, view) in views.iter().enumerate() {
                for (claim, holds) in &view.claims {
                    if let Some(j) = claims.iter().position(|c| c == claim) {
                        truth[i * claims.len() + j] = f32::from(u8::from(*holds));
                    }
                }
            }
            let loss = claim_loss(
                &images,
                &rows(&claim_places)?,
                &rows(&denial_places)?,
                &log_scale,
                &truth,
                self.config.claim_focus,
            )?;
            total = (total + (&loss * self.config.claim_weight)?)?;
            parts.push(("claim", scalar(&loss)?));
        }

        for (set, places) in class_places.iter().enumerate() {
            let known: Vec<(u32, u32)> = views
                .iter()
                .enumerate()
                .flat_map(|(i, view)| {
                    let found = view.classes.iter().find(|(s, _)| *s == set);
                    found.map(|(_, class)| (i as u32, *class as u32))
                })
                .collect();
            if known.is_empty() {
                continue;
            }
            let (which, labels): (Vec<u32>, Vec<u32>) = known.into_iter().unzip();
            let count = which.len();
            let which = Tensor::from_vec(which, count, &Device::Cpu)?;
            let labels = Tensor::from_vec(labels, count, &Device::Cpu)?;
            let logits = scaled
                .index_select(&which, 0)?
                .matmul(&rows(places)?.t()?)?; // [count, classes]
            let loss = cross_entropy(&logits, &labels)?;
            total = (total + (&loss * self.config.class_weight)?)?;
            parts.push(("class", scalar(&loss)?));
        }
        if let Some(guide) = &self.parts.guide {
            let mut known = vec![-1f32; n * guide.claims()];
            let mut cells = Vec::new();
            for (i, view) in views.iter().enumerate() {
                cells.extend_from_slice(&view.cells);
                for (claim, holds) in &view.claims {
                    known[i * guide.claims() + claim] = f32::from(u8::from(*holds));
                }
            }
            let local = guide.local_loss(clip, &trunk.hidden, &cells)?;
            let global = guide.global_loss(&images, &known)?;
            total = (total + (&local * self.config.local_weight)?)?;
            total = (total + (&global * self.config.global_weight)?)?;
            parts.push(("local", scalar(&local)?));
            parts.push(("global", scalar(&global)?));
        }
        parts.push(("log_scale", scalar(&log_scale)?));
        Ok(StepLoss {
            total,
            parts,
            samples: n,
        })
    }

    fn evaluate(&mut self, averaged: &HashMap<String, Tensor>) -> Result<BTreeMap<String, f64>> {
        if self.parts.held_out.is_empty() {
            return Ok(BTreeMap::new());
        }
        let weights = Weights::from_tensors(averaged.clone(), "averaged weights");
        let clip = Clip::load(&weights, self.parts.clip.config())?;
        let samples: Vec<Arc<Sample>> = self
            .parts
            .held_out
            .iter()
            .map(|i| self.parts.data.sample(*i))
            .collect::<Result<_>>()?;
        let pool = PoolEmbedding::new(
            &clip,
            &self.parts.tokenizer,
            &self.parts.pool,
            self.config.longest_text,
        )?;
        let images = embed_images(&clip, &self.parts.preprocess, &samples)?;
        zero_shot(&pool, &self.parts.pool, &images, &samples)
    }
}

fn scalar(tensor: &Tensor) -> Result<f64> {
    Ok(f64::from(tensor.to_scalar::<f32>()?))
}
