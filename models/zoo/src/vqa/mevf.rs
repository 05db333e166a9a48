//! MEVF: a mixture of enhanced visual features, joined with a question by bilinear or stacked attention.

use candle_core::Tensor;
use lucency_nn::{Dropout, Mode, Weights};
use serde::{Deserialize, Serialize};

use super::fc::Classifier;
use super::sentence::{Reader, WordTable};
use super::visual::{Visual, VisualKeys};
use super::{BiAttention, BiResidual, QuestionConfig, StackedAttention, VisualBatch, VisualConfig};
use crate::{Result, ZooError};

/// How image and question are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fusion {
    /// Bilinear attention.
    Ban,
    /// Stacked attention.
    San,
}

/// The shape of a MEVF.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MevfConfig {
    /// How questions are read.
    pub question: QuestionConfig,
    /// Which image encoders there are.
    pub visual: VisualConfig,
    /// How both are joined.
    pub fusion: Fusion,
    /// Glimpses of the bilinear attention, or stacks of the stacked one; 2 in the published models.
    pub glimpses: usize,
    /// Width of the joint vector, the question encoder's too; 1024 in the published models.
    pub hidden: usize,
    /// Answers to choose from.
    pub answers: usize,
    /// Whether padding is kept out: of the attention and the final sum, and for stacked attention by taking the state
    /// after the last word. The published models let padding in.
    pub mask_padding: bool,
    /// Dropout in the classifier and in stacked attention; 0.5 in the published models. The projections' own rates are
    /// fixed.
    pub dropout: f64,
}

impl MevfConfig {
    /// Errors with [`ZooError::Config`] if no such model can exist.
    pub fn check(&self) -> Result<()> {
        self.question.check()?;
        self.visual.check()?;
        let wrong = |what: String| Err(ZooError::Config(what));
        if self.hidden != self.question.hidden {
            return wrong(format!(
                "the joint vector is {} wide and the question encoder {}, but both are one width",
                self.hidden, self.question.hidden
            ));
        }
        if self.answers == 0 || self.glimpses == 0 {
            return wrong("at least one answer and one glimpse are needed".to_string());
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return wrong(format!("dropout {} is not in 0 to 1", self.dropout));
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Join {
    Ban(BiAttention, BiResidual),
    San(StackedAttention),
}

/// A loaded MEVF. Source: Nguyen et al. 2019; with CLIP features: Eslami et al. 2023.
#[derive(Debug, Clone)]
pub struct Mevf {
    config: MevfConfig,
    visual: Visual,
    words: WordTable,
    reader: Reader,
    join: Join,
    classifier: Classifier,
}

/// What a MEVF gives for a batch.
#[derive(Debug, Clone)]
pub struct MevfOutput {
    /// One score an answer, before the sigmoid, `[b, answers]`.
    pub logits: Tensor,
    /// Attention weights, `[b, glimpses, objects, tokens]`; stacked attention has one column in place of the tokens.
    pub attention: Tensor,
    /// The joint vector, `[b, hidden]`.
    pub joint: Tensor,
    /// The auto-encoder's image, `[b, 1, side, side]`, if there is one and its images were given.
    pub reconstruction: Option<Tensor>,
}

impl Mevf {
    /// Loads a model under the published keys: `w_emb`, `q_emb`, `v_att`, `b_net`, `q_prj`, `classifier`, `maml_v_emb`,
    /// `ae_v_emb`, `convert`. A CLIP beside them (`clip_v_emb`) is not read: its features are given.
    ///
    /// Errors if the configuration cannot exist, or a tensor is missing or has another shape.
    pub fn load(weights: &Weights, config: &MevfConfig) -> Result<Self> {
        config.check()?;
        let (visual, hidden) = (config.visual.width(), config.hidden);
        let keys = VisualKeys {
            maml: "maml_v_emb",
            ae: "ae_v_emb",
        };
        let attention = weights.pp("v_att");
        let question = &config.question;
        Ok(Self {
            visual: Visual::load(weights, &config.visual, &keys)?,
            words: WordTable::load(&weights.pp("w_emb"), question)?,
            reader: Reader::load(
                &weights.pp("q_emb"),
                question.token_dim(),
                hidden,
                question.rnn,
            )?,
            join: match config.fusion {
                Fusion::Ban => Join::Ban(
                    BiAttention::load(&attention, visual, hidden, config.glimpses)?,
                    BiResidual::load(weights, visual, hidden, config.glimpses)?,
                ),
                Fusion::San => Join::San(StackedAttention::load(
                    &attention,
                    visual,
                    hidden,
                    config.glimpses,
                    config.dropout,
                )?),
            },
            classifier: Classifier::load(
                &weights.pp("classifier"),
                hidden,
                config.answers,
                config.dropout,
            )?,
            config: config.clone(),
        })
    }

    /// What the model is made of.
    pub fn config(&self) -> &MevfConfig {
        &self.config
    }

    /// Answers a batch of questions, and reconstructs the auto-encoder's images.
    ///
    /// - `tokens`: one question a row, padded to the configured length
    /// - `mode`: whether batch norms take the batch's statistics
    /// - `dropout`: a source of masks for training, `None` for use
    ///
    /// For use without reconstruction call [`Mevf::encode_visual`] and [`Mevf::forward_from_features`].
    /// Errors if an image is missing or misshapen, or a question has another length or an unknown word.
    pub fn forward(
        &self,
        visual: &VisualBatch,
        tokens: &[Vec<u32>],
        mode: Mode,
        dropout: Option<&mut Dropout>,
    ) -> Result<MevfOutput> {
        let (features, code) = self.visual.encode(visual, mode)?;
        let reconstruction = self.visual.reconstruct(code)?;
        let output = self.forward_from_features(&features, tokens, dropout)?;
        Ok(MevfOutput {
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

    /// Reads questions.
    ///
    /// - returns the state after every token, `[b, length, hidden]`
    pub fn read(&self, tokens: &[Vec<u32>]) -> Result<Tensor> {
        self.reader.forward(&self.words.forward(tokens)?)
    }

    /// Answers a batch of questions about images that were encoded before.
    ///
    /// - `features`: `[b, v]` from [`Mevf::encode_visual`]
    pub fn forward_from_features(
        &self,
        features: &Tensor,
        tokens: &[Vec<u32>],
        mut dropout: Option<&mut Dropout>,
    ) -> Result<MevfOutput> {
        let objects = features.unsqueeze(1)?; // [b, 1, v]
        let states = self.read(tokens)?; // [b, m, h]
        let real = match self.config.mask_padding {
            true => Some(self.config.question.real(tokens, features)?),
            false => None,
        };
        let (joint, attention) = match &self.join {
            Join::Ban(attend, residual) => {
                let map = attend
                    .forward(&objects, &states, real.as_ref(), dropout.as_deref_mut())?
                    .weights;
                let joint = residual.forward(
                    &objects,
                    &states,
                    &map,
                    real.as_ref(),
                    dropout.as_deref_mut(),
                )?;
                (joint, map)
            }
            Join::San(attend) => {
                let last = self.last_state(&states, tokens)?; // [b, h]
                let (joint, map) = attend.forward(&objects, &last, dropout.as_deref_mut())?;
                (joint, map.unsqueeze(3)?)
            }
        };
        Ok(MevfOutput {
            logits: self.classifier.forward(&joint, &mut dropout)?,
            attention,
            joint,
            reconstruction: None,
        })
    }

    /// The state after the last token, or after the last word if padding is masked.
    fn last_state(&self, states: &Tensor, tokens: &[Vec<u32>]) -> Result<Tensor> {
        let (b, m, h) = states.dims3()?;
        if !self.config.mask_padding {
            return Ok(states.narrow(1, m - 1, 1)?.squeeze(1)?);
        }
        let padding = self.config.question.padding();
        let rows: Vec<u32> = tokens
            .iter()
            .enumerate()
            .map(|(i, row)| {
                let last = row.iter().rposition(|id| *id != padding).unwrap_or(0);
                (i * m + last) as u32
            })
            .collect();
        Ok(lucency_nn::ops::lookup(
            &states.reshape((b * m, h))?,
            &rows,
            None,
        )?)
    }

    /// The bilinear attention and its residual network, `None` for stacked attention.
    pub fn bilinear(&self) -> Option<(&BiAttention, &BiResidual)> {
        match &self.join {
            Join::Ban(attention, residual) => Some((attention, residual)),
            Join::San(_) => None,
        }
    }

    /// The stacked attention, `None` for bilinear attention.
    pub fn stacked(&self) -> Option<&StackedAttention> {
        match &self.join {
            Join::San(attention) => Some(attention),
            Join::Ban(..) => None,
        }
    }
}
