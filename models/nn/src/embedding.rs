//! Rows of a table, looked up by number.

use candle_core::Tensor;

use crate::{Init, Result, Weights};

/// A table of vectors.
#[derive(Debug, Clone)]
pub struct Embedding {
    weight: Tensor,
}

impl Embedding {
    /// Loads `weight` of shape `[vocab, dim]`; a fresh table is normal with standard deviation 0.02.
    ///
    /// Errors as [`Weights::get`].
    pub fn load(weights: &Weights, vocab: usize, dim: usize) -> Result<Self> {
        let init = Init::Normal {
            mean: 0.0,
            std: 0.02,
        };
        Ok(Self {
            weight: weights.get((vocab, dim), "weight", init)?,
        })
    }

    /// A table from a tensor of shape `[vocab, dim]`.
    pub fn from_tensor(weight: Tensor) -> Self {
        Self { weight }
    }

    /// Looks up rows.
    ///
    /// - `ids`: any shape, u32 or i64
    /// - returns the shape of `ids` with `dim` appended
    ///
    /// Errors if an id is not below `vocab`.
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let mut shape = ids.dims().to_vec();
        shape.push(self.weight.dim(1)?);
        let rows = self
            .weight
            .index_select(&ids.flatten_all()?.contiguous()?, 0)?; // [ids, dim]
        Ok(rows.reshape(shape)?)
    }

    /// The table, `[vocab, dim]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }
}
