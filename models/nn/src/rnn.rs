//! Recurrent layers over whole sequences.

use candle_core::Tensor;

use crate::kernels::{self, Cell};
use crate::{Init, NnError, Result, Weights};

/// The tensors that both layers have, under PyTorch's keys.
#[derive(Debug, Clone)]
struct Recurrence {
    cell: Cell,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
}

impl Recurrence {
    fn load(weights: &Weights, inputs: usize, hidden: usize, cell: Cell) -> Result<Self> {
        if inputs == 0 || hidden == 0 {
            return Err(NnError::argument(
                "recurrent layer",
                "inputs and hidden width are at least 1",
            ));
        }
        // All four are uniform in ±1/√hidden, whatever the fan-in is.
        let init = Init::KaimingUniform { fan_in: hidden };
        let rows = cell.gates() * hidden;
        Ok(Self {
            cell,
            weight_ih: weights.get((rows, inputs), "weight_ih_l0", init)?,
            weight_hh: weights.get((rows, hidden), "weight_hh_l0", init)?,
            bias_ih: weights.get(rows, "bias_ih_l0", init)?,
            bias_hh: weights.get(rows, "bias_hh_l0", init)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, steps, inputs) = x.dims3()?;
        if inputs != self.weight_ih.dim(1)? || steps == 0 {
            let reason = format!(
                "{:?} where at least one step of {} inputs is wanted",
                x.shape(),
                self.weight_ih.dim(1)?
            );
            return Err(NnError::argument("recurrent layer", reason));
        }
        let projected = kernels::linear(x, &self.weight_ih, Some(&self.bias_ih))?; // [b, t, gates · h]
        kernels::recurrent(&projected, &self.weight_hh, &self.bias_hh, self.cell)
    }
}

/// A long short-term memory of one layer, from a zero state.
///
/// Keys: `weight_ih_l0` `[4 h, inputs]`, `weight_hh_l0` `[4 h, h]`, `bias_ih_l0` and `bias_hh_l0` `[4 h]`; gates in the
/// order input, forget, cell, output. Source: Hochreiter and Schmidhuber 1997; the forget gate: Gers et al. 2000.
#[derive(Debug, Clone)]
pub struct Lstm(Recurrence);

impl Lstm {
    /// Loads a layer; a fresh one is uniform in ±1/√hidden, as in PyTorch.
    ///
    /// Errors as [`Weights::get`], or if a size is 0.
    pub fn load(weights: &Weights, inputs: usize, hidden: usize) -> Result<Self> {
        Recurrence::load(weights, inputs, hidden, Cell::Lstm).map(Self)
    }

    /// Runs over a sequence.
    ///
    /// - `x`: `[b, t, inputs]`, f32
    /// - returns the hidden state of every step, `[b, t, hidden]`
    ///
    /// Errors if the last axis is not `inputs` long or there is no step.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(x)
    }
}

/// A gated recurrent unit of one layer, from a zero state.
///
/// Keys: `weight_ih_l0` `[3 h, inputs]`, `weight_hh_l0` `[3 h, h]`, `bias_ih_l0` and `bias_hh_l0` `[3 h]`; gates in the
/// order reset, update, new, the reset gate acting on the recurrent product with its bias. Source: Cho et al. 2014.
#[derive(Debug, Clone)]
pub struct Gru(Recurrence);

impl Gru {
    /// Loads a layer; a fresh one is uniform in ±1/√hidden, as in PyTorch.
    ///
    /// Errors as [`Weights::get`], or if a size is 0.
    pub fn load(weights: &Weights, inputs: usize, hidden: usize) -> Result<Self> {
        Recurrence::load(weights, inputs, hidden, Cell::Gru).map(Self)
    }

    /// Runs over a sequence.
    ///
    /// - `x`: `[b, t, inputs]`, f32
    /// - returns the hidden state of every step, `[b, t, hidden]`
    ///
    /// Errors if the last axis is not `inputs` long or there is no step.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(x)
    }
}
