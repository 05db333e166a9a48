//! Adamax: Adam with the largest gradient seen in place of the second moment.

use std::collections::HashMap;
use std::sync::Mutex;

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, Device, InplaceOp2, Layout, Tensor, Var};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Optimiser;
use crate::{Result, TrainError};

/// The optimiser's numbers; the learning rate comes from the schedule at each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamaxConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the largest magnitude.
    pub beta2: f64,
    /// Added to each magnitude.
    pub eps: f64,
}

impl Default for AdamaxConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
        }
    }
}

#[derive(Default)]
struct Moments {
    first: Vec<f32>,
    largest: Vec<f32>,
}

/// Adamax over named variables, with PyTorch's placing of `eps`; its state lives in host memory.
///
/// Variables on the CPU are changed in place.
/// Source: Kingma and Ba 2015, algorithm 2; `torch.optim.Adamax`.
pub struct Adamax {
    config: AdamaxConfig,
    steps: u64,
    moments: HashMap<String, Moments>,
}

impl Adamax {
    /// An optimiser with empty moments.
    pub fn new(config: AdamaxConfig) -> Self {
        Self {
            config,
            steps: 0,
            moments: HashMap::new(),
        }
    }
}

/// The numbers of one step on one variable.
#[derive(Clone, Copy)]
struct Step {
    beta1: f32,
    beta2: f32,
    eps: f32,
    size: f32,
    scale: f32,
}

impl Step {
    fn apply(self, value: &mut [f32], grad: &[f32], moments: &mut Moments) {
        const CHUNK: usize = 1 << 14;
        value
            .par_chunks_mut(CHUNK)
            .zip(grad.par_chunks(CHUNK))
            .zip(moments.first.par_chunks_mut(CHUNK))
            .zip(moments.largest.par_chunks_mut(CHUNK))
            .for_each(|(((value, grad), first), largest)| {
                for (((v, g), m), u) in value.iter_mut().zip(grad).zip(first).zip(largest) {
                    let g = g * self.scale;
                    *m = self.beta1 * *m + (1.0 - self.beta1) * g;
                    *u = (self.beta2 * *u).max(g.abs() + self.eps);
                    *v -= self.size * *m / *u;
                }
            });
    }
}

/// One step as an operation on the variable's own storage; the gradient is read where it lies.
struct InPlace<'a> {
    step: Step,
    moments: Mutex<&'a mut Moments>,
}

impl InplaceOp2 for InPlace<'_> {
    fn name(&self) -> &'static str {
        "adamax"
    }

    fn cpu_fwd(
        &self,
        value: &mut CpuStorage,
        value_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> candle_core::Result<()> {
        let ranges = (
            value_layout.contiguous_offsets(),
            grad_layout.contiguous_offsets(),
        );
        let (CpuStorage::F32(value), CpuStorage::F32(grad), (Some(v), Some(g))) =
            (value, grad, ranges)
        else {
            candle_core::bail!("adamax wants contiguous f32 tensors");
        };
        let mut moments = self
            .moments
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.step
            .apply(&mut value[v.0..v.1], &grad[g.0..g.1], &mut moments);
        Ok(())
    }
}

impl Optimiser for Adamax {
    fn step(
        &mut self,
        vars: &[(String, Var)],
        grads: &GradStore,
        rate: f64,
        scale: f64,
    ) -> Result<()> {
        self.steps += 1;
        let c = self.config;
        let t = self.steps.min(i32::MAX as u64) as i32;
        let step = Step {
            beta1: c.beta1 as f32,
            beta2: c.beta2 as f32,
            eps: c.eps as f32,
            size: (rate / (1.0 - c.beta1.powi(t))) as f32,
            scale: scale as f32,
        };
        for (name, var) in vars {
            let Some(grad) = grads.get(var.as_tensor()) else {
                continue;
            };
            let count = var.elem_count();
            let moments = self.moments.entry(name.clone()).or_insert_with(|| Moments {
                first: vec![0.0; count],
                largest: vec![0.0; count],
            });
            if moments.first.len() != count {
                return Err(TrainError::Data(format!(
                    "the optimiser's state of {name} has {} entries, the tensor {count}",
                    moments.first.len(),
                )));
            }
            let grad = grad.to_dtype(DType::F32)?.contiguous()?;
            if matches!(var.device(), Device::Cpu) && var.dtype() == DType::F32 {
                let op = InPlace {
                    step,
                    moments: Mutex::new(moments),
                };
                var.as_tensor().inplace_op2(&grad, &op)?;
            } else {
                let mut value: Vec<f32> = var.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
                let grad: Vec<f32> = grad.flatten_all()?.to_vec1()?;
                step.apply(&mut value, &grad, moments);
                let value = Tensor::from_vec(value, var.dims(), var.device())?;
                var.set(&value.to_dtype(var.dtype())?)?;
            }
        }
        Ok(())
    }

    fn state(&self) -> Result<HashMap<String, Tensor>> {
        let mut out = HashMap::new();
        for (name, m) in &self.moments {
            let tensor = |v: &[f32]| Tensor::from_slice(v, v.len(), &Device::Cpu);
            out.insert(format!("first.{name}"), tensor(&m.first)?);
            out.insert(format!("largest.{name}"), tensor(&m.largest)?);
        }
        Ok(out)
    }

    fn restore(&mut self, steps: u64, state: &HashMap<String, Tensor>) -> Result<()> {
        self.steps = steps;
        self.moments.clear();
        for (key, tensor) in state {
            let Some(name) = key.strip_prefix("first.") else {
                continue;
            };
            let largest = state.get(&format!("largest.{name}")).ok_or_else(|| {
                TrainError::Data(format!("the optimiser's state lacks largest.{name}"))
            })?;
            let moments = Moments {
                first: tensor.to_vec1()?,
                largest: largest.to_vec1()?,
            };
            self.moments.insert(name.to_string(), moments);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The algorithm in double precision, written down on its own.
    fn by_hand(start: f64, grads: &[f64], rate: f64) -> f64 {
        let (mut p, mut m, mut u) = (start, 0.0, 0.0f64);
        for (t, g) in grads.iter().enumerate() {
            m = 0.9 * m + 0.1 * g;
            u = (0.999 * u).max(g.abs() + 1e-8);
            p -= rate / (1.0 - 0.9f64.powi(t as i32 + 1)) * m / u;
        }
        p
    }

    fn walk(grads: &[f64], optimiser: &mut Adamax, var: &Var) {
        for g in grads {
            let loss = (var.as_tensor() * *g).unwrap().sum_all().unwrap();
            let store = loss.backward().unwrap();
            let vars = [("x".to_string(), var.clone())];
            optimiser.step(&vars, &store, 0.01, 1.0).unwrap();
        }
    }

    #[test]
    fn steps_follow_the_algorithm_and_a_restored_state_goes_on_the_same_way() {
        let grads = [0.5, -2.0, 0.1, 1e-4, 3.0];
        let var = Var::new(&[1.0f32, 1.0], &Device::Cpu).unwrap();
        let mut optimiser = Adamax::new(AdamaxConfig::default());
        walk(&grads[..3], &mut optimiser, &var);
        let mut again = Adamax::new(AdamaxConfig::default());
        again.restore(3, &optimiser.state().unwrap()).unwrap();
        walk(&grads[3..], &mut again, &var);
        let wanted = by_hand(1.0, &grads, 0.01);
        for value in var.to_vec1::<f32>().unwrap() {
            assert!((f64::from(value) - wanted).abs() < 1e-6, "{value} {wanted}");
        }
    }
}
