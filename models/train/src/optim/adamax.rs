//! Adamax: Adam with the largest gradient seen in place of the second moment.

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};

use super::Optimiser;
use super::moments::{Moments, Rule};
use crate::Result;

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

/// Adamax over named variables, with PyTorch's placing of `eps`; its state lives in host memory.
///
/// Variables on the CPU are changed in place, in one pass over variable, gradient and moments.
/// Source: Kingma and Ba 2015, algorithm 2; `torch.optim.Adamax`.
pub struct Adamax {
    config: AdamaxConfig,
    steps: u64,
    moments: Moments,
}

impl Adamax {
    /// An optimiser with empty moments.
    pub fn new(config: AdamaxConfig) -> Self {
        Self {
            config,
            steps: 0,
            moments: Moments::new("largest"),
        }
    }
}

/// The numbers of one step.
#[derive(Clone, Copy)]
struct Step {
    beta1: f32,
    beta2: f32,
    eps: f32,
    size: f32,
    scale: f32,
}

impl Rule for Step {
    #[inline(always)]
    fn entry(&self, value: f32, grad: f32, first: &mut f32, largest: &mut f32) -> f32 {
        let g = grad * self.scale;
        *first = self.beta1 * *first + (1.0 - self.beta1) * g;
        *largest = (self.beta2 * *largest).max(g.abs() + self.eps);
        value - self.size * *first / *largest
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
        self.moments.step(vars, grads, |_| step)
    }

    fn state(&self) -> Result<HashMap<String, Tensor>> {
        self.moments.state()
    }

    fn restore(&mut self, steps: u64, state: &HashMap<String, Tensor>) -> Result<()> {
        self.steps = steps;
        self.moments.restore(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

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
