//! Exponential moving average of weights.

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use crate::Result;

/// A smoothed copy of the weights, batch-norm statistics included, which usually generalises better than the last step.
///
/// Source: Polyak and Juditsky 1992; the warm-up of the decay keeps the first steps from dominating.
pub struct Ema {
    decay: f64,
    steps: u64,
    values: BTreeMap<String, Vec<f32>>,
}

impl Ema {
    /// An empty average with the given decay per step; 0 gives the last weights themselves, at no cost.
    pub fn new(decay: f64) -> Self {
        Self {
            decay,
            steps: 0,
            values: BTreeMap::new(),
        }
    }

    /// Takes the current weights into the average.
    ///
    /// - `tensors`: float tensors by key; others are skipped
    pub fn update(&mut self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        self.steps += 1;
        if self.decay == 0.0 {
            return Ok(());
        }
        let t = self.steps as f64;
        let decay = self.decay.min((1.0 + t) / (10.0 + t)) as f32;
        for (name, tensor) in tensors {
            if !tensor.dtype().is_float() {
                continue;
            }
            let now: Vec<f32> = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
            match self.values.get_mut(name) {
                Some(mean) if mean.len() == now.len() => mean
                    .par_chunks_mut(1 << 14)
                    .zip(now.par_chunks(1 << 14))
                    .for_each(|(mean, now)| {
                        for (m, n) in mean.iter_mut().zip(now) {
                            *m += (1.0 - decay) * (n - *m);
                        }
                    }),
                _ => {
                    self.values.insert(name.clone(), now);
                }
            }
        }
        Ok(())
    }

    /// The averaged weights, in the shapes of `like`; tensors that the average does not hold are taken from `like`.
    pub fn tensors(&self, like: &BTreeMap<String, Tensor>) -> Result<HashMap<String, Tensor>> {
        let mut out = HashMap::new();
        for (name, tensor) in like {
            let averaged = match self.values.get(name) {
                Some(v) => Tensor::from_slice(v, tensor.dims(), &Device::Cpu)?,
                None => tensor.clone(),
            };
            out.insert(name.clone(), averaged);
        }
        Ok(out)
    }

    /// The number of updates, for a checkpoint.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Restores an average from a checkpoint.
    pub fn restore(&mut self, steps: u64, tensors: &HashMap<String, Tensor>) -> Result<()> {
        self.steps = steps;
        self.values.clear();
        for (name, tensor) in tensors {
            if tensor.dtype().is_float() && self.decay > 0.0 {
                let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
                self.values.insert(name.clone(), values);
            }
        }
        Ok(())
    }
}
