//! QCR: question-conditioned reasoning, with separate branches for closed and open questions.

use candle_core::{DType, Device, Tensor};
use lucency_nn::{Dropout, Mode, Weights, ops};
use serde::{Deserialize, Serialize};

use super::fc::Classifier;
use super::sentence::{Reader, WordTable};
use super::type_classifier::GatedReader;
use super::visual::{Visual, VisualKeys};
use super::{BiAttention, BiResidual, QuestionConfig, VisualBatch, VisualConfig};
use crate::{Result, ZooError};

/// The shape of a QCR.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QcrConfig {
    /// How questions are read.
    pub question: QuestionConfig,
    /// Which image encoders there are.
    pub visual: VisualConfig,
    /// Glimpses of each branch's attention.
    pub glimpses: usize,
    /// Answers to closed questions.
    pub closed_answers: usize,
    /// Answers to open questions.
    pub open_answers: usize,
    /// Whether padding is kept out of attention and sums. The published model lets it in.
    pub mask_padding: bool,
    /// Dropout in the classifiers; 0.5 in the published model.
    pub dropout: f64,
}

impl QcrConfig {
    /// Errors with [`ZooError::Config`] if no such model can exist.
    pub fn check(&self) -> Result<()> {
        self.question.check()?;
        self.visual.check()?;
        if self.closed_answers == 0 || self.open_answers == 0 || self.glimpses == 0 {
            let reason = "each branch needs an answer, and at least one glimpse is needed";
            return Err(ZooError::Config(reason.to_string()));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let reason = format!("dropout {} is not in 0 to 1", self.dropout);
            return Err(ZooError::Config(reason));
        }
        Ok(())
    }
}

/// One branch: attention, residual network, classifier.
#[derive(Debug, Clone)]
struct Reasoning {
    attention: BiAttention,
    residual: BiResidual,
    classifier: Classifier,
    answers: usize,
}

/// What one branch gives.
#[derive(Debug, Clone)]
pub struct Branch {
    /// The rows of the batch that the branch got, in order; it may be none.
    pub rows: Vec<usize>,
    /// One score an answer, before the sigmoid, `[rows, answers]`.
    pub logits: Tensor,
    /// Attention weights, `[rows, glimpses, objects, tokens]`.
    pub attention: Tensor,
    /// The joint vector after the type attention, `[rows, hidden]`.
    pub joint: Tensor,
}

/// What a QCR gives for a batch.
#[derive(Debug, Clone)]
pub struct QcrOutput {
    /// Closed questions.
    pub closed: Branch,
    /// Open questions.
    pub open: Branch,
    /// The auto-encoder's image, `[b, 1, side, side]`, if there is one and its images were given.
    pub reconstruction: Option<Tensor>,
}

/// A loaded QCR. Source: Zhan et al. 2020; with CLIP features: Eslami et al. 2023.
#[derive(Debug, Clone)]
pub struct Qcr {
    config: QcrConfig,
    visual: Visual,
    words: WordTable,
    reader: Reader,
    kind: GatedReader,
    closed: Reasoning,
    open: Reasoning,
}

impl Qcr {
    /// Loads a model under the published keys: `w_emb`, `q_emb`, `typeatt`, `close_*`, `open_*`, `maml`, `ae`, `convert`.
    /// A CLIP beside them (`clip`) is not read, and neither is `bbn_classifier`, which takes no part.
    ///
    /// Errors if the configuration cannot exist, or a tensor is missing or has another shape.
    pub fn load(weights: &Weights, config: &QcrConfig) -> Result<Self> {
        config.check()?;
        let (question, visual) = (&config.question, config.visual.width());
        let hidden = question.hidden;
        let keys = VisualKeys {
            maml: "maml",
            ae: "ae",
        };
        let branch = |name: &str, answers: usize| -> Result<Reasoning> {
            let part = |what: &str| weights.pp(format!("{name}_{what}"));
            Ok(Reasoning {
                attention: BiAttention::load(&part("att"), visual, hidden, config.glimpses)?,
                residual: BiResidual::load(&part("resnet"), visual, hidden, config.glimpses)?,
                classifier: Classifier::load(&part("classifier"), hidden, answers, config.dropout)?,
                answers,
            })
        };
        let sizes = [2 * hidden, hidden, hidden];
        Ok(Self {
            visual: Visual::load(weights, &config.visual, &keys)?,
            words: WordTable::load(&weights.pp("w_emb"), question)?,
            reader: Reader::load(
                &weights.pp("q_emb"),
                question.token_dim(),
                hidden,
                question.rnn,
            )?,
            kind: GatedReader::load(&weights.pp("typeatt"), question, sizes, config.mask_padding)?,
            closed: branch("close", config.closed_answers)?,
            open: branch("open", config.open_answers)?,
            config: config.clone(),
        })
    }

    /// What the model is made of.
    pub fn config(&self) -> &QcrConfig {
        &self.config
    }

    /// Answers a batch of questions, each in its branch, and reconstructs the auto-encoder's images.
    ///
    /// - `tokens`: one question a row, padded to the configured length
    /// - `split`: which questions are closed: the truth in training, what a [`super::TypeClassifier`] says in use
    /// - `mode`, `dropout`: as for [`super::Mevf::forward`]
    ///
    /// Errors if an image is missing or misshapen, a question has another length or an unknown word, or `split` has
    /// another length than `tokens`.
    pub fn forward(
        &self,
        visual: &VisualBatch,
        tokens: &[Vec<u32>],
        split: &[bool],
        mode: Mode,
        dropout: Option<&mut Dropout>,
    ) -> Result<QcrOutput> {
        let (features, code) = self.visual.encode(visual, mode)?;
        let reconstruction = self.visual.reconstruct(code)?;
        let output = self.forward_from_features(&features, tokens, split, dropout)?;
        Ok(QcrOutput {
            reconstruction,
            ..output
        })
    }

    /// Encodes images alone.
    ///
    /// - returns `[b, v]`, see [`VisualConfig::width`]
    pub fn encode_visual(&self, visual: &VisualBatch, mode: Mode) -> Result<Tensor> {
        Ok(self.visual.encode(visual, mode)?.0)
    }

    /// The type attention, `[b, hidden]`: what the branches' results are multiplied by.
    pub fn type_attention(
        &self,
        tokens: &[Vec<u32>],
        dropout: Option<&mut Dropout>,
    ) -> Result<Tensor> {
        self.kind.forward(tokens, dropout)
    }

    /// Answers a batch of questions about images that were encoded before.
    ///
    /// - `features`: `[b, v]` from [`Qcr::encode_visual`]
    pub fn forward_from_features(
        &self,
        features: &Tensor,
        tokens: &[Vec<u32>],
        split: &[bool],
        mut dropout: Option<&mut Dropout>,
    ) -> Result<QcrOutput> {
        if split.len() != tokens.len() {
            let reason = format!("{} questions, {} of known type", tokens.len(), split.len());
            return Err(ZooError::Config(reason));
        }
        let kind = self.kind.forward(tokens, dropout.as_deref_mut())?; // [b, h]
        let states = self.reader.forward(&self.words.forward(tokens)?)?; // [b, m, h]
        let real = match self.config.mask_padding {
            true => Some(self.config.question.real(tokens, features)?),
            false => None,
        };
        let all = Shared {
            features,
            states: &states,
            kind: &kind,
            real: real.as_ref(),
        };
        let rows = |closed: bool| -> Vec<usize> {
            (0..split.len()).filter(|i| split[*i] == closed).collect()
        };
        Ok(QcrOutput {
            closed: self.closed.run(&all, rows(true), dropout.as_deref_mut())?,
            open: self.open.run(&all, rows(false), dropout)?,
            reconstruction: None,
        })
    }
}

/// What both branches take their rows from.
struct Shared<'a> {
    features: &'a Tensor,
    states: &'a Tensor,
    kind: &'a Tensor,
    real: Option<&'a Tensor>,
}

impl Reasoning {
    fn run(
        &self,
        all: &Shared<'_>,
        rows: Vec<usize>,
        mut dropout: Option<&mut Dropout>,
    ) -> Result<Branch> {
        let (b, m, h) = all.states.dims3()?;
        if rows.is_empty() {
            let empty = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
            return Ok(Branch {
                logits: empty(&[0, self.answers])?,
                attention: empty(&[0, self.attention.glimpses(), 1, m])?,
                joint: empty(&[0, h])?,
                rows,
            });
        }
        let ids: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
        let pick = |tensor: &Tensor| ops::lookup(tensor, &ids, None);
        let objects = pick(all.features)?.unsqueeze(1)?; // [r, 1, v]
        let states = pick(&all.states.reshape((b, m * h))?)?.reshape((rows.len(), m, h))?;
        let real = all.real.map(pick).transpose()?;
        let map = self
            .attention
            .forward(&objects, &states, real.as_ref(), dropout.as_deref_mut())?
            .weights;
        let joint = self.residual.forward(
            &objects,
            &states,
            &map,
            real.as_ref(),
            dropout.as_deref_mut(),
        )?;
        let joint = (joint * pick(all.kind)?)?; // [r, h]
        Ok(Branch {
            logits: self.classifier.forward(&joint, &mut dropout)?,
            attention: map,
            joint,
            rows,
        })
    }
}
