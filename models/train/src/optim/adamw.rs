//! Adam with decoupled weight decay.

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};

use super::moments::{Moments, Rule};
use crate::Result;

/// The optimiser's numbers; the learning rate comes from the schedule at each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamWConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay, times the learning rate.
    pub weight_decay: f64,
    /// Which tensors decay.
    pub decay: DecayScope,
}

/// Which tensors weight decay acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecayScope {
    /// Every trainable tensor.
    All,
    /// Matrices and convolutions; not biases, norms and scales.
    Matrices,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.98,
            eps: 1e-6,
            weight_decay: 0.05,
            decay: DecayScope::Matrices,
        }
    }
}

/// AdamW over named variables; its state lives in host memory.
///
/// Variables on the CPU are changed in place, in one pass over variable, gradient and moments.
/// Source: Loshchilov and Hutter 2019, algorithm 2, with PyTorch's bias correction.
pub struct AdamW {
    config: AdamWConfig,
    steps: u64,
    moments: Moments,
}

/// The numbers of one step on one variable.
#[derive(Clone, Copy)]
struct Step {
    beta1: f32,
    beta2: f32,
    eps: f32,
    /// The rate over the first moment's bias.
    size: f32,
    /// The root of the second moment's bias.
    root: f32,
    /// What weight decay leaves of a value.
    keep: f32,
    scale: f32,
}

impl Rule for Step {
    #[inline(always)]
    fn entry(&self, value: f32, grad: f32, first: &mut f32, second: &mut f32) -> f32 {
        let g = grad * self.scale;
        *first = self.beta1 * *first + (1.0 - self.beta1) * g;
        *second = self.beta2 * *second + (1.0 - self.beta2) * g * g;
        let denominator = second.sqrt() / self.root + self.eps;
        value * self.keep - self.size * *first / denominator
    }
}

impl AdamW {
    /// An optimiser with empty moments.
    pub fn new(config: AdamWConfig) -> Self {
        Self {
            config,
            steps: 0,
            moments: Moments::new("second"),
        }
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Moves every variable that has a gradient by one step.
    ///
    /// - `rate`: the learning rate of this step
    /// - `scale`: factor on every gradient, from clipping
    pub fn step(
        &mut self,
        vars: &[(String, Var)],
        grads: &GradStore,
        rate: f64,
        scale: f64,
    ) -> Result<()> {
        self.steps += 1;
        let c = self.config;
        let t = self.steps.min(i32::MAX as u64) as i32;
        self.moments.step(vars, grads, |var| {
            let decays = c.decay == DecayScope::All || var.dims().len() > 1;
            let lost = if decays { rate * c.weight_decay } else { 0.0 };
            Step {
                beta1: c.beta1 as f32,
                beta2: c.beta2 as f32,
                eps: c.eps as f32,
                size: (rate / (1.0 - c.beta1.powi(t))) as f32,
                root: (1.0 - c.beta2.powi(t)).sqrt() as f32,
                keep: (1.0 - lost) as f32,
                scale: scale as f32,
            }
        })
    }

    /// The state as tensors named `first.<key>` and `second.<key>`, for a checkpoint.
    pub fn state(&self) -> Result<HashMap<String, Tensor>> {
        self.moments.state()
    }

    /// Restores what [`AdamW::state`] gave.
    ///
    /// Errors if a first moment lacks its second.
    pub fn restore(&mut self, steps: u64, state: &HashMap<String, Tensor>) -> Result<()> {
        self.steps = steps;
        self.moments.restore(state)
    }
}
