//! Attention over a question's words, and what is told from it: the question's type.

use candle_core::Tensor;
use lucency_nn::{Dropout, Init, Linear, Weights, ops};
use serde::{Deserialize, Serialize};

use super::ban::barred;
use super::sentence::{Reader, WordTable};
use super::{QuestionConfig, Rnn};
use crate::{Result, ZooError};

/// Dropout between the second layer and its ReLU. The published evaluation drops too, by an oversight; here only training does.
const DROPOUT: f64 = 0.5;

/// A map with Xavier uniform weight and zero bias.
fn xavier(weights: &Weights, inputs: usize, outputs: usize) -> Result<Linear> {
    let bound = (6.0 / (inputs + outputs) as f64).sqrt();
    Ok(Linear::from_tensors(
        weights.get((outputs, inputs), "weight", Init::Uniform { bound })?,
        Some(weights.get(outputs, "bias", Init::Zeros)?),
    ))
}

/// Word vectors, a recurrent layer, a gated attention over its states, and three layers on what it gathers.
///
/// Keys: `w_emb`, `q_emb.rnn`, `q_final.{tanh_gate,sigmoid_gate,attn}`, `f_fc1`, `f_fc2`, `f_fc3`.
/// Source: Zhan et al. 2020, section 3.2; the gate: Anderson et al. 2018, eq. 1 to 3.
#[derive(Debug, Clone)]
pub(super) struct GatedReader {
    question: QuestionConfig,
    words: WordTable,
    reader: Reader,
    tanh_gate: Linear,
    sigmoid_gate: Linear,
    score: Linear,
    layers: [Linear; 3],
    mask_padding: bool,
}

impl GatedReader {
    pub(super) fn load(
        weights: &Weights,
        question: &QuestionConfig,
        sizes: [usize; 3],
        mask_padding: bool,
    ) -> Result<Self> {
        // Both published readers use one table and a GRU, whatever the rest of the model uses.
        let question = QuestionConfig {
            concatenated: false,
            rnn: Rnn::Gru,
            ..*question
        };
        let (words, hidden) = (question.word_dim, question.hidden);
        let last = weights.pp("q_final");
        Ok(Self {
            words: WordTable::load(&weights.pp("w_emb"), &question)?,
            reader: Reader::load(&weights.pp("q_emb"), words, hidden, question.rnn)?,
            tanh_gate: xavier(&last.pp("tanh_gate"), words + hidden, hidden)?,
            sigmoid_gate: xavier(&last.pp("sigmoid_gate"), words + hidden, hidden)?,
            score: xavier(&last.pp("attn"), hidden, 1)?,
            layers: [
                xavier(&weights.pp("f_fc1"), hidden, sizes[0])?,
                xavier(&weights.pp("f_fc2"), sizes[0], sizes[1])?,
                xavier(&weights.pp("f_fc3"), sizes[1], sizes[2])?,
            ],
            question,
            mask_padding,
        })
    }

    /// The gathered question, `[b, hidden]`.
    pub(super) fn gather(&self, tokens: &[Vec<u32>]) -> Result<Tensor> {
        let words = self.words.forward(tokens)?; // [b, m, d]
        let states = self.reader.forward(&words)?; // [b, m, h]
        let both = Tensor::cat(&[&words, &states], 2)?; // [b, m, d + h]
        let gate = (ops::tanh(&self.tanh_gate.forward(&both)?)?
            * ops::sigmoid(&self.sigmoid_gate.forward(&both)?)?)?;
        let mut scores = self.score.forward(&gate)?.squeeze(2)?; // [b, m]
        if self.mask_padding {
            scores = (scores + barred(&self.question.real(tokens, &words)?)?)?;
        }
        let weights = ops::softmax_last(&scores)?;
        Ok(weights.unsqueeze(1)?.matmul(&states)?.squeeze(1)?)
    }

    pub(super) fn forward(
        &self,
        tokens: &[Vec<u32>],
        mut dropout: Option<&mut Dropout>,
    ) -> Result<Tensor> {
        let [first, second, third] = &self.layers;
        let x = ops::relu(&first.forward(&self.gather(tokens)?)?)?;
        let x = Dropout::maybe(&mut dropout, &second.forward(&x)?, DROPOUT)?;
        Ok(third.forward(&ops::relu(&x)?)?)
    }
}

/// The shape of a question-type classifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeClassifierConfig {
    /// How questions are read; one table and a GRU whatever it says.
    pub question: QuestionConfig,
    /// Whether padding gets no attention. The published classifier lets it.
    pub mask_padding: bool,
}

impl TypeClassifierConfig {
    /// Errors with [`ZooError::Config`] if no such model can exist.
    pub fn check(&self) -> Result<()> {
        self.question.check()
    }
}

/// Tells questions with a closed set of answers, such as yes and no, from open ones.
///
/// Source: Zhan et al. 2020, section 3.3.
#[derive(Debug, Clone)]
pub struct TypeClassifier(GatedReader);

impl TypeClassifier {
    /// Loads a classifier. Errors name the tensor that is missing or misshapen.
    pub fn load(weights: &Weights, config: &TypeClassifierConfig) -> Result<Self> {
        config.check()?;
        let sizes = [256, 64, 2];
        GatedReader::load(weights, &config.question, sizes, config.mask_padding).map(Self)
    }

    /// Scores both types.
    ///
    /// - `tokens`: one question a row, padded to the configured length
    /// - `dropout`: a source of masks for training, `None` for use
    /// - returns `[b, 2]`, closed first
    pub fn forward(&self, tokens: &[Vec<u32>], dropout: Option<&mut Dropout>) -> Result<Tensor> {
        self.0.forward(tokens, dropout)
    }

    /// The question as the attention gathers it, `[b, hidden]`.
    pub fn gather(&self, tokens: &[Vec<u32>]) -> Result<Tensor> {
        self.0.gather(tokens)
    }

    /// Which questions are closed: those whose first score is not the smaller.
    pub fn closed(&self, tokens: &[Vec<u32>]) -> Result<Vec<bool>> {
        let scores: Vec<Vec<f32>> = self.forward(tokens, None)?.to_vec2()?;
        let closed = |row: &Vec<f32>| match row.as_slice() {
            [closed, open] => Ok(closed >= open),
            _ => Err(ZooError::Config(
                "a type classifier gives two scores".to_string(),
            )),
        };
        scores.iter().map(closed).collect()
    }
}
