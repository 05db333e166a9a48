//! Weighs what speaks for each answer into calibrated probabilities.
//!
//! Stacked generalisation (Wolpert 1992): a small network scores every possible answer from its evidence, one more row stands for "none of
//! these", and a softmax over the rows gives the probabilities. It is fitted on questions that head and memory had not seen, so that
//! it learns how far each of them can be trusted, near known images and far from them.

use candle_core::{D, Tensor};
use lucency_nn::ops::{log_softmax_last, tanh};
use lucency_nn::{Bias, Init, Linear, Weights};
use serde::{Deserialize, Serialize};

use super::evidence::{EVIDENCE, Evidence};
use crate::Result;

/// The shape of a ranker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankerConfig {
    /// Width of its one hidden layer.
    pub hidden: usize,
}

/// A fitted ranker.
pub struct Ranker {
    mean: Tensor,        // [EVIDENCE]
    inverse_std: Tensor, // [EVIDENCE]
    hidden: Linear,
    score: Linear,
}

impl Ranker {
    /// Loads a ranker. Errors name the tensor that is missing or misshapen.
    pub fn load(weights: &Weights, config: &RankerConfig) -> Result<Self> {
        Ok(Self {
            mean: weights.get(EVIDENCE, "mean", Init::Zeros)?,
            inverse_std: weights.get(EVIDENCE, "inverse_std", Init::Ones)?,
            hidden: Linear::load(&weights.pp("hidden"), EVIDENCE, config.hidden, Bias::Yes)?,
            score: Linear::load(&weights.pp("score"), config.hidden, 1, Bias::Yes)?,
        })
    }

    /// Standardised evidence, of the shape of `columns`, `[..., EVIDENCE]`.
    pub fn standardise(&self, columns: &Tensor) -> Result<Tensor> {
        Ok(columns
            .broadcast_sub(&self.mean)?
            .broadcast_mul(&self.inverse_std)?)
    }

    /// Scores of every row.
    ///
    /// - `standard`: `[..., EVIDENCE]` from [`Ranker::standardise`]
    /// - `keep`: a dropout mask for the hidden layer, `[..., hidden]`, or none
    /// - returns `[...]`
    pub fn scores(&self, standard: &Tensor, keep: Option<&Tensor>) -> Result<Tensor> {
        let mut hidden = tanh(&self.hidden.forward(standard)?)?;
        if let Some(keep) = keep {
            hidden = (hidden * keep)?;
        }
        Ok(self.score.forward(&hidden)?.squeeze(D::Minus1)?)
    }

    /// Log-probabilities of the candidates and, last, of none of them.
    ///
    /// - returns `[candidates + 1]`
    pub fn log_probabilities(&self, evidence: &Evidence) -> Result<Tensor> {
        let scores = self.scores(&self.standardise(&evidence.columns)?, None)?;
        Ok(log_softmax_last(&scores.unsqueeze(0)?)?.squeeze(0)?)
    }
}
