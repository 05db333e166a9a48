//! A rate of its own for every depth.

use std::collections::{BTreeMap, HashMap};

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use super::{AdamW, AdamWConfig, Optimiser};
use crate::Result;

/// AdamW whose rate is multiplied by a factor that follows from the variable's name.
///
/// Source: Clark et al. 2020 (ELECTRA), layer-wise learning-rate decay.
pub struct LayerWise {
    config: AdamWConfig,
    factor: Box<dyn Fn(&str) -> f64>,
    groups: BTreeMap<u64, AdamW>, // by the factor's bits, which order as positive numbers do
}

impl LayerWise {
    /// An optimiser with empty moments.
    ///
    /// - `factor`: of a variable's name, positive
    pub fn new(config: AdamWConfig, factor: impl Fn(&str) -> f64 + 'static) -> Self {
        Self {
            config,
            factor: Box::new(factor),
            groups: BTreeMap::new(),
        }
    }

    fn group(&mut self, name: &str) -> u64 {
        let bits = (self.factor)(name).to_bits();
        let config = self.config;
        self.groups
            .entry(bits)
            .or_insert_with(|| AdamW::new(config));
        bits
    }
}

impl Optimiser for LayerWise {
    fn step(
        &mut self,
        vars: &[(String, Var)],
        grads: &GradStore,
        rate: f64,
        scale: f64,
    ) -> Result<()> {
        let mut parts: BTreeMap<u64, Vec<(String, Var)>> = BTreeMap::new();
        for (name, var) in vars {
            let bits = self.group(name);
            parts
                .entry(bits)
                .or_default()
                .push((name.clone(), var.clone()));
        }
        for (bits, vars) in parts {
            if let Some(group) = self.groups.get_mut(&bits) {
                group.step(&vars, grads, rate * f64::from_bits(bits), scale)?;
            }
        }
        Ok(())
    }

    fn state(&self) -> Result<HashMap<String, Tensor>> {
        let mut all = HashMap::new();
        for group in self.groups.values() {
            all.extend(group.state()?);
        }
        Ok(all)
    }

    fn restore(&mut self, steps: u64, state: &HashMap<String, Tensor>) -> Result<()> {
        self.groups.clear();
        let mut parts: BTreeMap<u64, HashMap<String, Tensor>> = BTreeMap::new();
        for (key, tensor) in state {
            let name = key.split_once('.').map_or(key.as_str(), |(_, name)| name);
            let bits = self.group(name);
            parts
                .entry(bits)
                .or_default()
                .insert(key.clone(), tensor.clone());
        }
        for (bits, state) in parts {
            if let Some(group) = self.groups.get_mut(&bits) {
                group.restore(steps, &state)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn a_deeper_variable_moves_by_its_factor_and_a_restored_state_goes_on() {
        let config = AdamWConfig {
            weight_decay: 0.0,
            ..AdamWConfig::default()
        };
        let factor = |name: &str| if name == "early" { 0.5 } else { 1.0 };
        let var = || Var::new(&[1.0f32, -1.0], &Device::Cpu).unwrap();
        let vars = [("early".to_string(), var()), ("late".to_string(), var())];
        let gradients = || {
            let sum = (vars[0].1.as_tensor() + vars[1].1.as_tensor()).unwrap();
            sum.sum_all().unwrap().backward().unwrap()
        };
        let mut optimiser = LayerWise::new(config, factor);
        optimiser.step(&vars, &gradients(), 0.1, 1.0).unwrap();
        let moved = |i: usize| 1.0 - vars[i].1.to_vec1::<f32>().unwrap()[0];
        assert!((moved(0) - 0.05).abs() < 1e-5 && (moved(1) - 0.1).abs() < 1e-5);
        let mut again = LayerWise::new(config, factor);
        again.restore(1, &optimiser.state().unwrap()).unwrap();
        again.step(&vars, &gradients(), 0.1, 1.0).unwrap();
        assert!((moved(0) - 0.1).abs() < 1e-5 && (moved(1) - 0.2).abs() < 1e-5);
    }
}
