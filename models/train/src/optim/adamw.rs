//! Adam with decoupled weight decay.

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Result, TrainError};

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

struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

/// AdamW over named variables; its state lives in host memory.
///
/// Source: Loshchilov and Hutter 2019, algorithm 2, with PyTorch's bias correction.
pub struct AdamW {
    config: AdamWConfig,
    steps: u64,
    moments: HashMap<String, Moments>,
}

impl AdamW {
    /// An optimiser with empty moments.
    pub fn new(config: AdamWConfig) -> Self {
        Self {
            config,
            steps: 0,
            moments: HashMap::new(),
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
        let correction1 = 1.0 - c.beta1.powi(t);
        let correction2_root = (1.0 - c.beta2.powi(t)).sqrt();
        for (name, var) in vars {
            let Some(grad) = grads.get(var.as_tensor()) else {
                continue;
            };
            let grad: Vec<f32> = grad.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
            let mut value: Vec<f32> = var.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
            let moments = self.moments.entry(name.clone()).or_insert_with(|| Moments {
                first: vec![0.0; value.len()],
                second: vec![0.0; value.len()],
            });
            if moments.first.len() != value.len() {
                return Err(TrainError::Data(format!(
                    "the optimiser's state of {name} has {} entries, the tensor {}",
                    moments.first.len(),
                    value.len()
                )));
            }
            let decays = c.decay == DecayScope::All || var.dims().len() > 1;
            let keep = if decays {
                1.0 - rate * c.weight_decay
            } else {
                1.0
            } as f32;
            let (b1, b2) = (c.beta1 as f32, c.beta2 as f32);
            let scale = scale as f32;
            let step_size = (rate / correction1) as f32;
            let root = correction2_root as f32;
            let eps = c.eps as f32;
            const CHUNK: usize = 1 << 14;
            value
                .par_chunks_mut(CHUNK)
                .zip(grad.par_chunks(CHUNK))
                .zip(moments.first.par_chunks_mut(CHUNK))
                .zip(moments.second.par_chunks_mut(CHUNK))
                .for_each(|(((value, grad), first), second)| {
                    for i in 0..value.len() {
                        let g = grad[i] * scale;
                        first[i] = b1 * first[i] + (1.0 - b1) * g;
                        second[i] = b2 * second[i] + (1.0 - b2) * g * g;
                        let denominator = second[i].sqrt() / root + eps;
                        value[i] = value[i] * keep - step_size * first[i] / denominator;
                    }
                });
            var.set(&Tensor::from_vec(value, var.dims(), var.device())?.to_dtype(var.dtype())?)?;
        }
        Ok(())
    }

    /// The state as tensors named `first.<key>` and `second.<key>`, for a checkpoint.
    pub fn state(&self) -> Result<HashMap<String, Tensor>> {
        let mut out = HashMap::new();
        for (name, m) in &self.moments {
            let n = m.first.len();
            let device = candle_core::Device::Cpu;
            out.insert(
                format!("first.{name}"),
                Tensor::from_slice(&m.first, n, &device)?,
            );
            out.insert(
                format!("second.{name}"),
                Tensor::from_slice(&m.second, n, &device)?,
            );
        }
        Ok(out)
    }

    /// Restores what [`AdamW::state`] gave.
    ///
    /// Errors if a first moment lacks its second.
    pub fn restore(&mut self, steps: u64, state: &HashMap<String, Tensor>) -> Result<()> {
        self.steps = steps;
        self.moments.clear();
        for (key, tensor) in state {
            let Some(name) = key.strip_prefix("first.") else {
                continue;
            };
            let second = state.get(&format!("second.{name}")).ok_or_else(|| {
                TrainError::Data(format!("the optimiser's state lacks second.{name}"))
            })?;
            self.moments.insert(
                name.to_string(),
                Moments {
                    first: tensor.to_vec1()?,
                    second: second.to_vec1()?,
                },
            );
        }
        Ok(())
    }
}
