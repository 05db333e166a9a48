//! A pack's towers with the trainable parts of a method, and what a step needs of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use lucency_nn::{Adaptation, Checkpointing, Init, Mode, Place, Precision, Weights, ops};
use lucency_zoo::clip::{Clip, ClipConfig};
use lucency_zoo::preprocess::{Image8, Preprocess};
use lucency_zoo::tokenizer::ClipTokenizer;
use rand::Rng;

use super::Method;
use super::heads::ReportHeads;
use super::plan::{TunePlan, blocks, depth};
use crate::contrastive::{TextBatch, normalise};
use crate::data::{Augment, Facing, Warp, augment, rng_for};
use crate::{Result, TrainError};

/// Key of learned context vectors.
pub(super) const CONTEXT: &str = "prompt_context";

/// Words before a class name from which context vectors start.
const FIRST_PROMPT: &str = "a photo of a";

/// Towers, their store and their switch.
pub struct Towers {
    /// The model.
    pub clip: Clip,
    /// Every tensor, and which are trainable.
    pub weights: Weights,
    /// The parts that layers got.
    pub adaptation: Option<Arc<Adaptation>>,
    /// Where gradients of blocks that are computed again are gathered.
    checkpointing: Option<Arc<Checkpointing>>,
    /// Learned context vectors, `[m, width]`.
    pub context: Option<Tensor>,
    /// Linear heads that embed in the towers' place.
    heads: Option<ReportHeads>,
    precision: Precision,
    /// How images are prepared.
    pub preprocess: Preprocess,
    /// The text tower's tokenizer.
    pub tokenizer: ClipTokenizer,
}

impl Towers {
    /// Builds the towers of a plan.
    ///
    /// - `tensors`: the pack's, and those of an adapter or a checkpoint if it goes on
    /// - `place`: where they compute; its precision counts where the plan leaves f32
    ///
    /// Errors if a tensor is missing, no layer is a target, or the device has no room.
    pub fn build(
        tensors: HashMap<String, Tensor>,
        config: &ClipConfig,
        preprocess: &Preprocess,
        tokenizer: &ClipTokenizer,
        place: &Place,
        plan: &TunePlan,
    ) -> Result<Self> {
        plan.check()?;
        let mut tensors = tensors;
        let heads = ReportHeads::take(&mut tensors)?;
        let precision = match (plan.precision, place.precision) {
            (Precision::F32, Precision::F64) => Precision::F64,
            (planned, _) => planned,
        };
        let tensors = placed(tensors, &place.device)?;
        let first_context = tensors.get(CONTEXT).cloned();
        // What stays frozen is packed; what is trained stays as it is.
        let weights = Weights::from_tensors(tensors, "the pack")
            .packed()
            .in_precision(precision);
        let adaptation = match plan.adaptation(config)? {
            Some(adaptation) => Some(weights.adapt(adaptation)?),
            None => None,
        };
        let checkpointing = plan.checkpointing.then(|| weights.checkpoint());
        let (deepest, frozen) = (blocks(config), plan.frozen_blocks);
        let locked = plan.locked_images;
        match plan.method {
            Method::Lora | Method::Ia3 | Method::Prefix => weights.train_where(Adaptation::owns)?,
            Method::Prompt => weights.train_where(|key| key == CONTEXT)?,
            Method::Contrastive if plan.report_heads => {}
            Method::Full | Method::Contrastive => {
                let deep = move |key: &str| frozen == 0 || depth(key, deepest) >= frozen;
                weights.train_where(move |key| deep(key) && !(locked && of_images(key)))?;
            }
            Method::Probe => {}
        }
        let clip = Clip::load(&weights, config)?;
        let context = match plan.method {
            Method::Prompt => {
                if first_context.is_none() {
                    let first = first_vectors(&clip, tokenizer, plan.tokens)?;
                    let first = first.to_device(&place.device)?;
                    weights.overlay([(CONTEXT.to_string(), first)])?;
                }
                let shape = (plan.tokens, config.text.width);
                Some(weights.get(shape, CONTEXT, Init::Zeros)?)
            }
            _ => None,
        };
        if plan.method != Method::Probe && !plan.report_heads && weights.vars().is_empty() {
            return Err(TrainError::Plan(format!(
                "no layer of the pack ends in one of the targets {:?}",
                plan.targets
            )));
        }
        Ok(Self {
            clip,
            weights,
            adaptation,
            checkpointing,
            context,
            heads,
            precision,
            preprocess: preprocess.clone(),
            tokenizer: tokenizer.clone(),
        })
    }

    /// Whether a tensor of the image tower is trainable; if none is, an image's embedding stays as it is.
    pub fn trains_images(&self) -> bool {
        self.weights.vars().iter().any(|(key, _)| of_images(key))
    }

    /// What the method added or changed, by key: an adapter's tensors, or every trainable one.
    pub fn trained(&self) -> BTreeMap<String, Tensor> {
        if let Some(heads) = &self.heads {
            return heads.tensors();
        }
        self.weights
            .vars()
            .into_iter()
            .map(|(key, var)| (key, var.as_detached_tensor()))
            .collect()
    }

    /// The same towers with heads that embed in their place.
    pub(super) fn with_heads(self, heads: ReportHeads) -> Self {
        Self {
            heads: Some(heads),
            ..self
        }
    }

    /// Whether heads embed in the towers' place.
    pub(super) fn has_heads(&self) -> bool {
        self.heads.is_some()
    }

    /// Turns dropout on for a step of a run, or off.
    pub fn set_dropout(&self, seed_and_step: Option<(u64, u64)>) {
        if let Some(adaptation) = &self.adaptation {
            let seed = seed_and_step.map(|(seed, step)| rng_for(seed, step, DROPOUT_SLOT).random());
            adaptation.set_dropout(seed);
        }
    }

    /// Gives layers the trained weights as they are now, where layers hold copies of them; call it before a step and before an evaluation.
    ///
    /// Errors if a copy cannot be made.
    pub fn follow_weights(&mut self) -> Result<()> {
        if !self.precision.copies() {
            return Ok(());
        }
        let config = self.clip.config().clone();
        self.clip = Clip::load(&self.weights, &config)?;
        if let Some(context) = &mut self.context {
            let shape = context.dims2()?;
            *context = self.weights.get(shape, CONTEXT, Init::Zeros)?;
        }
        Ok(())
    }

    /// The gradients of a loss, those inside blocks that are computed again among them.
    ///
    /// Errors if a block cannot be computed again.
    pub fn backward(&self, loss: &Tensor) -> Result<GradStore> {
        let Some(checkpointing) = &self.checkpointing else {
            return Ok(loss.backward()?);
        };
        checkpointing.clear(); // a step that failed may have left some
        let mut grads = loss.backward()?;
        checkpointing.collect(&mut grads)?;
        Ok(grads)
    }

    /// Texts as unit vectors, `[texts, d]`; behind learned context vectors if the method has them.
    pub fn embed_texts(&self, texts: &[String]) -> Result<Tensor> {
        if let Some(heads) = &self.heads {
            return heads.texts(&self.tokenizer, texts);
        }
        let longest = self.clip.config().text.context;
        let raw = match &self.context {
            None => {
                let mut batch = TextBatch::default();
                let places: Vec<u32> = texts.iter().map(|t| batch.place(t)).collect();
                let distinct = batch.embed(&self.clip, &self.tokenizer, longest)?;
                let places = Tensor::from_vec(places, texts.len(), &Device::Cpu)?;
                distinct.index_select(&places, 0)?
            }
            Some(context) => {
                let ids = self.ids_behind(texts, context.dim(0)?, longest)?;
                self.clip.encode_text_with_context(&ids, context)?
            }
        };
        Ok(ops::l2_normalise(&raw)?)
    }

    /// Reports of any length as unit vectors, `[reports, d]`: the direction of the mean of their [pieces](ClipTokenizer::pieces).
    pub fn embed_reports(&self, reports: &[String]) -> Result<Tensor> {
        let context = self.clip.config().text.context;
        let of_each: Vec<Vec<String>> = reports
            .iter()
            .map(|report| self.tokenizer.pieces(report, context))
            .collect();
        let count: usize = of_each.iter().map(Vec::len).sum();
        let embedded = self.embed_texts(&of_each.concat())?; // [pieces, d]
        if count == reports.len() {
            return Ok(embedded);
        }
        let mut shares = vec![0f32; reports.len() * count];
        let mut first = 0;
        for (row, pieces) in of_each.iter().enumerate() {
            let share = 1.0 / pieces.len() as f32;
            shares[row * count + first..][..pieces.len()].fill(share);
            first += pieces.len();
        }
        let shares = Tensor::from_vec(shares, (reports.len(), count), &Device::Cpu)?;
        Ok(ops::l2_normalise(&shares.matmul(&embedded)?)?)
    }

    /// Ids with room for `m` vectors behind the start, `[texts, n]`.
    fn ids_behind(&self, texts: &[String], m: usize, longest: usize) -> Result<Tensor> {
        let rows: Vec<Vec<u32>> = texts
            .iter()
            .map(|text| {
                let ids = self.tokenizer.tokenize(text, longest - m);
                let mut row = vec![ids[0]];
                row.extend(std::iter::repeat_n(0, m));
                row.extend(&ids[1..]);
                row
            })
            .collect();
        Ok(Tensor::from_vec(
            rows.concat(),
            (texts.len(), longest),
            &Device::Cpu,
        )?)
    }

    /// Images as unit vectors, `[images, d]`. Norms keep the pack's statistics: a site's batches are too small to give their own.
    pub fn embed_pixels(&self, pixels: &Tensor) -> Result<Tensor> {
        if let Some(heads) = &self.heads {
            return heads.images(&self.clip, pixels);
        }
        let raw = self.clip.encode_image(pixels, Mode::Eval)?;
        Ok(ops::l2_normalise(&raw)?)
    }

    /// Images in the model's size as the model takes them, `[images, 3, side, side]`.
    pub fn pixels(&self, squares: &[Image8]) -> Result<Tensor> {
        let references: Vec<&Image8> = squares.iter().collect();
        Ok(self.preprocess.batch(&references, &Device::Cpu)?)
    }

    /// Random views of grey images, each from its own generator; colour images stay as they are.
    ///
    /// - `first`: place of the first image in its batch, so that a view does not depend on the chunk it is in
    pub fn views(&self, squares: &[Image8], seed: u64, step: u64, first: usize) -> Result<Tensor> {
        use rayon::prelude::*;
        let side = self.preprocess.side();
        let how = Augment::default();
        let planes: Vec<Vec<f32>> = squares
            .par_iter()
            .enumerate()
            .map(|(slot, square)| {
                if square.channels != 1 || self.preprocess.channels.count() != 3 {
                    return Ok(self.preprocess.apply(square)?);
                }
                let mut rng = rng_for(seed, step, (first + slot) as u64 + VIEW_SLOT);
                let size = (square.width, square.height);
                let warp = Warp::draw(&how, size, Facing::Same, &mut rng);
                let grey = augment(square, side, &how, &warp, &mut rng);
                Ok(normalise(&grey, &self.preprocess))
            })
            .collect::<Result<_>>()?;
        let channels = self.preprocess.channels.count();
        Ok(Tensor::from_vec(
            planes.concat(),
            (squares.len(), channels, side, side),
            &Device::Cpu,
        )?)
    }

    /// The factor on cosines, `[]`, at most 100.
    pub fn scale(&self) -> Result<Tensor> {
        Ok(self.clip.logit_scale()?.minimum(100f64.ln())?.exp()?)
    }
}

/// Tensors on a device.
fn placed(tensors: HashMap<String, Tensor>, device: &Device) -> Result<HashMap<String, Tensor>> {
    let there = |(key, tensor): (String, Tensor)| Ok((key, tensor.to_device(device)?));
    tensors.into_iter().map(there).collect()
}

/// Whether a tensor is of the image tower, by its key in either layout.
fn of_images(key: &str) -> bool {
    let own = ["vision_model.", "visual_projection", "visual."];
    own.iter().any(|start| key.starts_with(start))
}

const VIEW_SLOT: u64 = 16;
const DROPOUT_SLOT: u64 = 1;

/// Vectors of a hand-written prompt, repeated if it is too short, `[m, width]`. Source: Zhou et al. 2022, section 3.1.
fn first_vectors(clip: &Clip, tokenizer: &ClipTokenizer, m: usize) -> Result<Tensor> {
    let words = tokenizer.encode(FIRST_PROMPT);
    let inner: Vec<u32> = words
        .into_iter()
        .filter(|id| *id != tokenizer.start() && *id != tokenizer.end())
        .collect();
    let ids: Vec<u32> = (0..m).map(|i| inner[i % inner.len()]).collect();
    let ids = Tensor::from_vec(ids, (1, m), &Device::Cpu)?;
    Ok(clip.token_vectors(&ids)?.squeeze(0)?.detach())
}
