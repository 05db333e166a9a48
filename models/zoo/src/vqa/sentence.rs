//! Questions as word vectors and recurrent states.

use candle_core::{DType, Tensor};
use lucency_nn::{Gru, Init, Lstm, Weights, ops};
use serde::{Deserialize, Serialize};

use crate::{Result, ZooError};

/// The recurrent layer that reads a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rnn {
    /// Long short-term memory.
    Lstm,
    /// Gated recurrent unit.
    Gru,
}

/// How questions are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuestionConfig {
    /// Words of the dictionary; the row after the last stands for padding.
    pub words: usize,
    /// Tokens of every question, padding included; 12 in the published models.
    pub length: usize,
    /// Width of a word vector; 300 in the published models.
    pub word_dim: usize,
    /// Whether a second table (key `emb_`) stands beside the first.
    pub concatenated: bool,
    /// The recurrent layer.
    pub rnn: Rnn,
    /// Its width; 1024 in the published models.
    pub hidden: usize,
}

impl QuestionConfig {
    /// Errors with [`ZooError::Config`] if a size is 0.
    pub fn check(&self) -> Result<()> {
        let sizes = [self.words, self.length, self.word_dim, self.hidden];
        if sizes.contains(&0) {
            let reason = format!("a question encoder has no size of 0: {self:?}");
            return Err(ZooError::Config(reason));
        }
        Ok(())
    }

    /// The id that stands for padding.
    pub fn padding(&self) -> u32 {
        self.words as u32
    }

    /// Width of a token's vector.
    pub fn token_dim(&self) -> usize {
        self.word_dim * if self.concatenated { 2 } else { 1 }
    }

    /// Which tokens are words, `[b, length]` of ones and zeros; a question of padding alone counts as one word.
    pub(super) fn real(&self, tokens: &[Vec<u32>], like: &Tensor) -> Result<Tensor> {
        let ones: Vec<f32> = tokens
            .iter()
            .flat_map(|row| {
                let empty = row.iter().all(|id| *id == self.padding());
                row.iter().enumerate().map(move |(i, id)| {
                    let real = *id != self.padding() || (empty && i == 0);
                    f32::from(u8::from(real))
                })
            })
            .collect();
        let mask = Tensor::from_vec(ones, (tokens.len(), self.length), like.device())?;
        Ok(mask.to_dtype(DType::F32)?)
    }
}

/// One or two tables of word vectors; padding gets no gradient. Keys: `emb.weight`, `emb_.weight`.
#[derive(Debug, Clone)]
pub(super) struct WordTable {
    tables: Vec<Tensor>,
    padding: u32,
    length: usize,
}

impl WordTable {
    pub(super) fn load(weights: &Weights, config: &QuestionConfig) -> Result<Self> {
        let shape = (config.words + 1, config.word_dim);
        let table = |name: &str| weights.pp(name).get(shape, "weight", Init::Table);
        let mut tables = vec![table("emb")?];
        if config.concatenated {
            tables.push(table("emb_")?);
        }
        Ok(Self {
            tables,
            padding: config.padding(),
            length: config.length,
        })
    }

    /// - `tokens`: rows of `length` ids
    /// - returns `[b, length, dim]`
    pub(super) fn forward(&self, tokens: &[Vec<u32>]) -> Result<Tensor> {
        if let Some(row) = tokens.iter().find(|row| row.len() != self.length) {
            let reason = format!(
                "a question of {} tokens where {} are wanted",
                row.len(),
                self.length
            );
            return Err(ZooError::Tokenizer(reason));
        }
        let ids = tokens.concat();
        let rows = self
            .tables
            .iter()
            .map(|table| Ok(ops::lookup(table, &ids, Some(self.padding))?))
            .collect::<Result<Vec<_>>>()?;
        let rows = match rows.as_slice() {
            [one] => one.clone(),
            _ => Tensor::cat(&rows, 1)?,
        };
        Ok(rows.reshape((tokens.len(), self.length, ()))?)
    }
}

/// Either recurrent layer.
#[derive(Debug, Clone)]
enum Recurrent {
    Lstm(Lstm),
    Gru(Gru),
}

/// A question as recurrent states. Keys: `rnn.*`.
#[derive(Debug, Clone)]
pub(super) struct Reader(Recurrent);

impl Reader {
    pub(super) fn load(weights: &Weights, inputs: usize, hidden: usize, rnn: Rnn) -> Result<Self> {
        let weights = weights.pp("rnn");
        Ok(Self(match rnn {
            Rnn::Lstm => Recurrent::Lstm(Lstm::load(&weights, inputs, hidden)?),
            Rnn::Gru => Recurrent::Gru(Gru::load(&weights, inputs, hidden)?),
        }))
    }

    /// - `words`: `[b, t, dim]`; returns `[b, t, hidden]`
    pub(super) fn forward(&self, words: &Tensor) -> Result<Tensor> {
        Ok(match &self.0 {
            Recurrent::Lstm(layer) => layer.forward(words)?,
            Recurrent::Gru(layer) => layer.forward(words)?,
        })
    }
}
