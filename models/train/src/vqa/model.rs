//! MEVF and QCR behind one face: a loss for training, logits for judging.

use candle_core::{Device, Tensor};
use lucency_nn::{Bias, Dropout, Linear, Mode, Weights};
use lucency_zoo::vqa::{Cdae, MamlCnn, Mevf, Qcr, VisualBatch};

use super::examples::{Batch, ImageSet};
use super::plan::{Method, VqaPlan};
use crate::losses::bce_with_logits_sum;
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

/// What a step minimises, with its parts.
pub struct ModelLoss {
    /// `[]`.
    pub total: Tensor,
    /// For the log.
    pub parts: Vec<(&'static str, f64)>,
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

    /// The published loss of a batch: of MEVF the summed binary cross-entropy and the weighted reconstruction error over the batch's
    /// size, of QCR the mean of each branch.
    ///
    /// - `features`: `[b, v]` where the image networks are frozen
    ///
    /// Source: `trainer.py` of MEVF, `train.py` of QCR (sarahESL/PubMedCLIP).
    pub fn loss(
        &self,
        batch: &Batch,
        features: Option<&Tensor>,
        plan: &VqaPlan,
        dropout: &mut Dropout,
    ) -> Result<ModelLoss> {
        match self {
            Self::Mevf(m) => {
                let (logits, reconstruction) = match features {
                    Some(f) => (
                        m.forward_from_features(f, &batch.tokens, Some(dropout))?
                            .logits,
                        None,
                    ),
                    None => {
                        let out =
                            m.forward(&batch.visual, &batch.tokens, Mode::Train, Some(dropout))?;
                        (out.logits, out.reconstruction)
                    }
                };
                let n = batch.tokens.len() as f64;
                let bce = (bce_with_logits_sum(&logits, &batch.targets)? * (1.0 / n))?;
                let mut parts = vec![("bce", value(&bce)?)];
                let mut total = bce;
                if let Some(mse) = reconstruction_error(reconstruction.as_ref(), &batch.visual)? {
                    parts.push(("mse", value(&mse)?));
                    total = (total + (mse * (plan.ae_weight / n))?)?;
                }
                Ok(ModelLoss { total, parts })
            }
            Self::Qcr(m) => {
                let out = match features {
                    Some(f) => {
                        m.forward_from_features(f, &batch.tokens, &batch.closed, Some(dropout))?
                    }
                    None => m.forward(
                        &batch.visual,
                        &batch.tokens,
                        &batch.closed,
                        Mode::Train,
                        Some(dropout),
                    )?,
                };
                let mut parts = Vec::new();
                let mut total = Tensor::zeros((), candle_core::DType::F32, &Device::Cpu)?;
                let width = batch.targets.dim(1)?;
                let mut offset = 0;
                for (name, branch) in [("closed", &out.closed), ("open", &out.open)] {
                    let classes = match name {
                        "closed" => m.config().closed_answers,
                        _ => width - offset,
                    };
                    if !branch.rows.is_empty() {
                        let rows: Vec<u32> = branch.rows.iter().map(|r| *r as u32).collect();
                        let rows = Tensor::from_vec(rows, branch.rows.len(), &Device::Cpu)?;
                        let targets = batch.targets.index_select(&rows, 0)?;
                        let targets = targets.narrow(1, offset, classes)?.contiguous()?;
                        let count = (branch.rows.len() * classes) as f64;
                        let mean =
                            (bce_with_logits_sum(&branch.logits, &targets)? * (1.0 / count))?;
                        parts.push((name, value(&mean)?));
                        total = (total + mean)?;
                    }
                    offset += classes;
                }
                if let Some(mse) = reconstruction_error(out.reconstruction.as_ref(), &batch.visual)?
                {
                    parts.push(("mse", value(&mse)?));
                    total = (total + (mse * plan.ae_weight)?)?;
                }
                Ok(ModelLoss { total, parts })
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

    /// Image features of a whole set, without gradients, `[images, v]`.
    pub fn encode_set(&self, images: &ImageSet) -> Result<Tensor> {
        let all: Vec<usize> = (0..images.len()).collect();
        let parts = all
            .chunks(CHUNK)
            .map(|chunk| {
                Ok(self
                    .encode_visual(&images.batch(chunk)?, Mode::Eval)?
                    .detach())
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

fn value(tensor: &Tensor) -> Result<f64> {
    Ok(f64::from(tensor.to_scalar::<f32>()?))
}

/// The mean squared error of the autoencoder's output against its input, `[]`.
fn reconstruction_error(
    reconstruction: Option<&Tensor>,
    visual: &VisualBatch,
) -> Result<Option<Tensor>> {
    match (reconstruction, &visual.ae) {
        (Some(made), Some(given)) => Ok(Some((made - given)?.sqr()?.mean_all()?)),
        _ => Ok(None),
    }
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
