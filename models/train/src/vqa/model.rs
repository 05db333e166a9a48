//! MEVF and QCR behind one face: a loss for training, logits for judging.

use candle_core::{DType, Device, Tensor};
use lucency_nn::{Dropout, Mode, Weights};
use lucency_zoo::vqa::{Branch, Mevf, Qcr, VisualBatch};

use super::examples::Batch;
use super::image_set::ImageSet;
use super::plan::{Method, VqaPlan};
use crate::losses::{Reconstruction, mevf_loss, qcr_loss};
use crate::{Result, TrainError};

/// Images a batch when only features are wanted.
pub(super) const CHUNK: usize = 32;

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
                let logits = match &batch.gate {
                    Some(gate) => (&out.logits + gate)?,
                    None => out.logits,
                };
                mevf_loss(&logits, &batch.targets, copy)
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

    /// Image features of some places of a set as questions are asked about them, without gradients, `[n, v]`.
    ///
    /// - `views`: views of an image that are averaged, itself among them
    ///
    /// Errors if there is none.
    pub fn encode_set(&self, set: &ImageSet, images: &[usize], views: u64) -> Result<Tensor> {
        let parts = images
            .chunks(CHUNK)
            .map(|chunk| {
                mean_over_views(views, |view| {
                    self.encode_visual(&set.small_view(chunk, view)?, Mode::Eval)
                })
            })
            .collect::<Result<Vec<_>>>()?;
        if parts.is_empty() {
            return Err(TrainError::Data("there is no image".into()));
        }
        Ok(Tensor::cat(&parts, 0)?)
    }
}

/// The mean of what is made of each view, without gradients.
pub(super) fn mean_over_views(views: u64, make: impl Fn(u64) -> Result<Tensor>) -> Result<Tensor> {
    let mut sum = make(0)?.detach();
    for view in 1..views {
        sum = (sum + make(view)?.detach())?;
    }
    match views {
        0 | 1 => Ok(sum),
        _ => Ok((sum * (1.0 / views as f64))?),
    }
}

/// The logit of an answer of the branch that was not taken, or that the question's form rules out.
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
