//! MEVF and QCR behind one face: a loss for training, logits for judging.

use candle_core::{DType, Device, Tensor};
use lucency_nn::{Bias, Dropout, Linear, Mode, Weights};
use lucency_zoo::vqa::{Branch, Cdae, MamlCnn, Mevf, Qcr, VisualBatch};

use super::examples::Batch;
use super::image_set::ImageSet;
use super::plan::{Method, VqaPlan};
use crate::losses::{Reconstruction, mevf_loss, qcr_loss};
use crate::{Result, TrainError};

/// Images a batch when only features are wanted.
const CHUNK: usize = 32;

/// A question-answering network.
pub enum AnswerModel {
    /// MEVF.
    Mevf(Box<Mevf>),
    /// QCR.
    Qcr(Box<Qcr>),
}

impl AnswerModel {
    /// Builds the plan's network.
    ///
    /// - `words`: of the dictionary; `answers`, `closed`: of the vocabulary
    pub fn load(
        weights: &Weights,
        plan: &VqaPlan,
        words: usize,
        answers: usize,
        closed: usize,
    ) -> Result<Self> {
        Ok(match plan.method {
            Method::Mevf => Self::Mevf(Box::new(Mevf::load(weights, &plan.mevf(words, answers))?)),
            Method::Qcr => Self::Qcr(Box::new(Qcr::load(
                weights,
                &plan.qcr(words, closed, answers - closed),
            )?)),
        })
    }

    /// Image features, `[b, v]`.
    pub fn encode_visual(&self, visual: &VisualBatch, mode: Mode) -> Result<Tensor> {
        Ok(match self {
            Self::Mevf(m) => m.encode_visual(visual, mode)?,
            Self::Qcr(m) => m.encode_visual(visual, mode)?,
        })
    }

    /// The published loss of a batch, `[]`; see [`mevf_loss`] and [`qcr_loss`].
    ///
    /// - `features`: `[b, v]` where the image networks are frozen
    pub fn loss(
        &self,
        batch: &Batch,
        features: Option<&Tensor>,
        dropout: &mut Dropout,
    ) -> Result<Tensor> {
        let (visual, tokens, closed) = (&batch.visual, &batch.tokens, &batch.closed);
        match self {
            Self::Mevf(m) => {
                let out = match features {
                    Some(f) => m.forward_from_features(f, tokens, Some(dropout))?,
                    None => m.forward(visual, tokens, Mode::Train, Some(dropout))?,
                };
                let copy = reconstruction(out.reconstruction.as_ref(), visual);
                mevf_loss(&out.logits, &batch.targets, copy)
            }
            Self::Qcr(m) => {
                let out = match features {
                    Some(f) => m.forward_from_features(f, tokens, closed, Some(dropout))?,
                    None => m.forward(visual, tokens, closed, Mode::Train, Some(dropout))?,
                };
                let split = m.config().closed_answers;
                let open = m.config().open_answers;
                let targets = [
                    branch_targets(&batch.targets, &out.closed, 0, split)?,
                    branch_targets(&batch.targets, &out.open, split, open)?,
                ];
                qcr_loss(
                    (&out.closed.logits, &targets[0]),
                    (&out.open.logits, &targets[1]),
                    reconstruction(out.reconstruction.as_ref(), visual),
                )
            }
        }
    }

    /// Logits of every answer; those of QCR's other branch are so low that nothing is left of them.
    ///
    /// - `features`: `[n, v]`; `tokens`: `n` questions; `closed`: which branch, ignored by MEVF
    /// - `dropout`: none but for QCR as published
    /// - returns `[n][answers]`
    pub fn logits(
        &self,
        features: &Tensor,
        tokens: &[Vec<u32>],
        closed: &[bool],
        answers: usize,
        dropout: Option<&mut Dropout>,
    ) -> Result<Vec<Vec<f32>>> {
        match self {
            Self::Mevf(m) => {
                let out = m.forward_from_features(features, tokens, None)?;
                Ok(out.logits.to_vec2()?)
            }
            Self::Qcr(m) => {
                let out = m.forward_from_features(features, tokens, closed, dropout)?;
                let mut all = vec![vec![OTHER_BRANCH; answers]; tokens.len()];
                let split = m.config().closed_answers;
                for (branch, offset) in [(&out.closed, 0), (&out.open, split)] {
                    if branch.rows.is_empty() {
                        continue;
                    }
                    let logits: Vec<Vec<f32>> = branch.logits.to_vec2()?;
                    for (row, values) in branch.rows.iter().zip(logits) {
                        all[*row][offset..offset + values.len()].copy_from_slice(&values);
                    }
                }
                Ok(all)
            }
        }
    }

    /// Image features of some places of a set, without gradients, `[n, v]`.
    ///
    /// Errors if there is none.
    pub fn encode_set(&self, set: &ImageSet, images: &[usize]) -> Result<Tensor> {
        let parts = images
            .chunks(CHUNK)
            .map(|chunk| {
                let features = self.encode_visual(&set.batch(chunk)?, Mode::Eval)?;
                Ok(features.detach())
            })
            .collect::<Result<Vec<_>>>()?;
        if parts.is_empty() {
            return Err(TrainError::Data("there is no image".into()));
        }
        Ok(Tensor::cat(&parts, 0)?)
    }
}

/// The logit of an answer of the branch that was not taken.
pub const OTHER_BRANCH: f32 = -1e4;

/// What the autoencoder was given and what it gave back.
fn reconstruction<'a>(
    copy: Option<&'a Tensor>,
    visual: &'a VisualBatch,
) -> Option<Reconstruction<'a>> {
    Some((visual.ae.as_ref()?, copy?))
}

/// The targets of a branch's rows, its own answers alone, `[rows, answers]`.
fn branch_targets(all: &Tensor, branch: &Branch, from: usize, answers: usize) -> Result<Tensor> {
    let rows: Vec<u32> = branch.rows.iter().map(|r| *r as u32).collect();
    if rows.is_empty() {
        return Ok(Tensor::zeros((0, answers), DType::F32, &Device::Cpu)?);
    }
    let rows = Tensor::from_vec(rows, branch.rows.len(), &Device::Cpu)?;
    Ok(all
        .index_select(&rows, 0)?
        .narrow(1, from, answers)?
        .contiguous()?)
}

/// Outputs of frozen image networks, computed once an image; the linear layer after the autoencoder is still trained.
pub struct FrozenFeatures {
    maml: Option<Tensor>,
    code: Option<Tensor>,
    clip: Option<Tensor>,
    convert: Option<Linear>,
}

impl FrozenFeatures {
    /// Runs the frozen networks over a set.
    ///
    /// - `weights`: of the whole model, in which `convert` is trainable
    pub fn of(weights: &Weights, plan: &VqaPlan, images: &ImageSet) -> Result<Self> {
        let (maml_key, ae_key) = plan.visual_prefixes();
        let maml = match plan.maml {
            true => Some(MamlCnn::load(&weights.pp(maml_key))?),
            false => None,
        };
        let cdae = match plan.ae_side {
            Some(_) => Some(Cdae::load(&weights.pp(ae_key))?),
            None => None,
        };
        let all: Vec<usize> = (0..images.len()).collect();
        let (mut embeddings, mut codes, mut clips) = (Vec::new(), Vec::new(), Vec::new());
        for chunk in all.chunks(CHUNK) {
            let batch = images.batch(chunk)?;
            if let (Some(net), Some(x)) = (&maml, &batch.maml) {
                embeddings.push(net.forward(x, Mode::Eval)?.detach());
            }
            if let (Some(net), Some(x)) = (&cdae, &batch.ae) {
                codes.push(net.encode(x)?.flatten_from(1)?.detach());
            }
            if let Some(x) = batch.clip {
                clips.push(x);
            }
        }
        let join = |parts: Vec<Tensor>| -> Result<Option<Tensor>> {
            match parts.is_empty() {
                true => Ok(None),
                false => Ok(Some(Tensor::cat(&parts, 0)?)),
            }
        };
        let code = join(codes)?;
        let convert = match &code {
            Some(code) => Some(Linear::load(
                &weights.pp("convert"),
                code.dim(1)?,
                64,
                Bias::Yes,
            )?),
            None => None,
        };
        Ok(Self {
            maml: join(embeddings)?,
            code,
            clip: join(clips)?,
            convert,
        })
    }

    /// The same outputs with the linear layer of other weights.
    pub fn with_weights(&self, weights: &Weights) -> Result<Self> {
        let convert = match &self.code {
            Some(code) => {
                let inputs = code.dim(1)?;
                let layer = Linear::load(&weights.pp("convert"), inputs, 64, Bias::Yes)?;
                Some(layer)
            }
            None => None,
        };
        Ok(Self {
            maml: self.maml.clone(),
            code: self.code.clone(),
            clip: self.clip.clone(),
            convert,
        })
    }

    /// The image features of some places in the set, in the order of the published concatenation, `[n, v]`.
    pub fn features(&self, images: &[usize]) -> Result<Tensor> {
        let rows: Vec<u32> = images.iter().map(|i| *i as u32).collect();
        let rows = Tensor::from_vec(rows, images.len(), &Device::Cpu)?;
        let pick = |t: &Option<Tensor>| -> Result<Option<Tensor>> {
            t.as_ref()
                .map(|t| Ok(t.index_select(&rows, 0)?))
                .transpose()
        };
        let ae = match (pick(&self.code)?, &self.convert) {
            (Some(code), Some(convert)) => Some(convert.forward(&code)?),
            _ => None,
        };
        let parts: Vec<Tensor> = match (pick(&self.maml)?, ae, pick(&self.clip)?) {
            (None, ae, Some(clip)) => [Some(clip), ae].into_iter().flatten().collect(),
            (maml, ae, clip) => [maml, ae, clip].into_iter().flatten().collect(),
        };
        Ok(Tensor::cat(&parts, 1)?)
    }
}
