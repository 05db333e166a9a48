//! Optimisers, schedules, gradient clipping and weight averaging, one file each.

mod adamax;
mod adamw;
mod clip;
mod ema;
mod layer_wise;
mod moments;
mod rate;
mod schedule;

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

pub use adamax::{Adamax, AdamaxConfig};
pub use adamw::{AdamW, AdamWConfig, DecayScope};
pub use clip::{clip_scale, gradient_norm};
pub use ema::Ema;
pub use layer_wise::LayerWise;
pub use rate::Rate;
pub use schedule::Schedule;

use crate::Result;

/// What moves the variables, and can be put on disk and taken up again.
pub trait Optimiser {
    /// Moves every variable that has a gradient by one step.
    ///
    /// - `rate`: the learning rate of this step
    /// - `scale`: factor on every gradient, from clipping
    fn step(
        &mut self,
        vars: &[(String, Var)],
        grads: &GradStore,
        rate: f64,
        scale: f64,
    ) -> Result<()>;

    /// The state as named tensors, for a checkpoint.
    fn state(&self) -> Result<HashMap<String, Tensor>>;

    /// Restores what [`Optimiser::state`] gave after `steps` steps.
    ///
    /// Errors if a part of the state is missing.
    fn restore(&mut self, steps: u64, state: &HashMap<String, Tensor>) -> Result<()>;
}

impl Optimiser for AdamW {
    fn step(
        &mut self,
        vars: &[(String, Var)],
        grads: &GradStore,
        rate: f64,
        scale: f64,
    ) -> Result<()> {
        AdamW::step(self, vars, grads, rate, scale)
    }

    fn state(&self) -> Result<HashMap<String, Tensor>> {
        AdamW::state(self)
    }

    fn restore(&mut self, steps: u64, state: &HashMap<String, Tensor>) -> Result<()> {
        AdamW::restore(self, steps, state)
    }
}
