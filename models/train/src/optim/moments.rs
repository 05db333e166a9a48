//! What Adam and its kin keep of each variable, and the one pass over memory that a step is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, DType, Device, InplaceOp2, Layout, Tensor, Var};
use rayon::prelude::*;

use crate::{Result, TrainError};

/// Entries that a task of the shared pool takes at once: all four arrays of a task stay in the core's own cache.
const CHUNK: usize = 1 << 14;

/// How one step moves entries and their moments.
pub(super) trait Rule: Copy + Send + Sync {
    /// One entry: the value after the step.
    ///
    /// - `grad`: as the backward pass gave it; `first`, `second`: the entry's moments, which move too
    fn entry(&self, value: f32, grad: f32, first: &mut f32, second: &mut f32) -> f32;
}

/// Two moments of every variable, in host memory.
pub(super) struct Moments {
    /// What the second one is called in a checkpoint.
    second: &'static str,
    pairs: HashMap<String, Pair>,
}

#[derive(Default)]
struct Pair {
    first: Vec<f32>,
    second: Vec<f32>,
}

/// What the first moment is called in a checkpoint.
const FIRST: &str = "first";

impl Moments {
    pub(super) fn new(second: &'static str) -> Self {
        Self {
            second,
            pairs: HashMap::new(),
        }
    }

    /// Moves every variable that has a gradient, by the rule that `of` gives for it.
    ///
    /// A variable of f32 on the CPU is changed where it lies, and its gradient is read where it lies; nothing is allocated after the
    /// first step. Others go through host memory.
    ///
    /// Errors if a moment was kept for a variable of another size.
    pub(super) fn step<R: Rule>(
        &mut self,
        vars: &[(String, Var)],
        grads: &GradStore,
        of: impl Fn(&Var) -> R,
    ) -> Result<()> {
        for (name, var) in vars {
            let Some(grad) = grads.get(var.as_tensor()) else {
                continue;
            };
            let pair = self.pair(name, var.elem_count())?;
            let grad = grad.to_dtype(DType::F32)?.contiguous()?;
            let rule = of(var);
            if matches!(var.device(), Device::Cpu) && var.dtype() == DType::F32 {
                let pair = Mutex::new(pair);
                var.as_tensor()
                    .inplace_op2(&grad, &InPlace { rule, pair })?;
            } else {
                let mut value: Vec<f32> = var.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
                let grad: Vec<f32> = grad.flatten_all()?.to_vec1()?;
                pair.apply(rule, &mut value, &grad);
                let value = Tensor::from_vec(value, var.dims(), var.device())?;
                var.set(&value.to_dtype(var.dtype())?)?;
            }
        }
        Ok(())
    }

    fn pair(&mut self, name: &str, count: usize) -> Result<&mut Pair> {
        if !self.pairs.contains_key(name) {
            let zeros = || vec![0.0; count];
            let (first, second) = (zeros(), zeros());
            self.pairs.insert(name.to_owned(), Pair { first, second });
        }
        let none = || TrainError::Data(format!("the optimiser has no state of {name}"));
        let pair = self.pairs.get_mut(name).ok_or_else(none)?;
        if pair.first.len() != count || pair.second.len() != count {
            return Err(TrainError::Data(format!(
                "the optimiser's state of {name} has {} entries, the tensor {count}",
                pair.first.len(),
            )));
        }
        Ok(pair)
    }

    /// The moments as tensors named `first.<key>` and so on, for a checkpoint.
    pub(super) fn state(&self) -> Result<HashMap<String, Tensor>> {
        let tensor = |v: &[f32]| Tensor::from_slice(v, v.len(), &Device::Cpu);
        let mut out = HashMap::new();
        for (name, pair) in &self.pairs {
            out.insert(format!("{FIRST}.{name}"), tensor(&pair.first)?);
            out.insert(format!("{}.{name}", self.second), tensor(&pair.second)?);
        }
        Ok(out)
    }

    /// Restores what [`Moments::state`] gave.
    ///
    /// Errors if a first moment lacks its second.
    pub(super) fn restore(&mut self, state: &HashMap<String, Tensor>) -> Result<()> {
        self.pairs.clear();
        for (key, first) in state {
            let Some(name) = key
                .strip_prefix(FIRST)
                .and_then(|rest| rest.strip_prefix('.'))
            else {
                continue;
            };
            let second = state
                .get(&format!("{}.{name}", self.second))
                .ok_or_else(|| {
                    let lacks = format!("the optimiser's state lacks {}.{name}", self.second);
                    TrainError::Data(lacks)
                })?;
            let pair = Pair {
                first: first.to_vec1()?,
                second: second.to_vec1()?,
            };
            self.pairs.insert(name.to_string(), pair);
        }
        Ok(())
    }
}

impl Pair {
    fn apply(&mut self, rule: impl Rule, value: &mut [f32], grad: &[f32]) {
        value
            .par_chunks_mut(CHUNK)
            .zip(grad.par_chunks(CHUNK))
            .zip(self.first.par_chunks_mut(CHUNK))
            .zip(self.second.par_chunks_mut(CHUNK))
            .for_each(|(((value, grad), first), second)| {
                for (((v, g), m), s) in value.iter_mut().zip(grad).zip(first).zip(second) {
                    *v = rule.entry(*v, *g, m, s);
                }
            });
    }
}

/// One step as an operation on the variable's own storage.
struct InPlace<'a, R> {
    rule: R,
    pair: Mutex<&'a mut Pair>,
}

impl<R: Rule> InplaceOp2 for InPlace<'_, R> {
    fn name(&self) -> &'static str {
        "optimiser-step"
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
            candle_core::bail!("an optimiser's step wants contiguous f32 tensors");
        };
        let mut pair = self.pair.lock().unwrap_or_else(PoisonError::into_inner);
        pair.apply(self.rule, &mut value[v.0..v.1], &grad[g.0..g.1]);
        Ok(())
    }
}
