//! What is trained of a store: variables, adapters, and their values as checkpoints keep them.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Tensor, Var};

use super::{Entry, Weights};
use crate::{Adaptation, Checkpointing, NnError, Result};

impl Weights {
    /// Makes every float tensor whose full key passes `filter` trainable; call it before a model is built.
    ///
    /// Replaces an earlier filter. Errors with [`NnError::Conflict`] if a layer already holds a passing tensor as frozen.
    pub fn train_where(&self, filter: impl Fn(&str) -> bool + Send + Sync + 'static) -> Result<()> {
        let mut state = self.state();
        for (key, entry) in &state.entries {
            if matches!(entry, Entry::Frozen(tensor) if tensor.dtype().is_float()) && filter(key) {
                return Err(NnError::Conflict {
                    key: key.clone(),
                    reason: "was handed out as frozen before it was made trainable",
                });
            }
        }
        state.trainable = Some(Box::new(filter));
        Ok(())
    }

    /// Gives layers that are built from now on the parts of an adaptation; call it before a model is built.
    ///
    /// The parts' tensors are taken from the store where it has them, else drawn so that the model starts unchanged (a prefix:
    /// nearly so).
    /// Errors with [`NnError::Conflict`] if a layer already took a tensor.
    pub fn adapt(&self, adaptation: Adaptation) -> Result<Arc<Adaptation>> {
        let mut state = self.state();
        if let Some(key) = state.entries.keys().next() {
            return Err(NnError::Conflict {
                key: key.clone(),
                reason: "was handed out before the model was adapted",
            });
        }
        let adaptation = Arc::new(adaptation);
        state.adaptation = Some(adaptation.clone());
        Ok(adaptation)
    }

    /// What layers are adapted with.
    pub(crate) fn adaptation(&self) -> Option<Arc<Adaptation>> {
        self.state().adaptation.clone()
    }

    /// Lets towers that are built from now on compute their blocks again in the backward pass; call it before a model is built, and
    /// after [`Weights::adapt`].
    ///
    /// Gradients of variables inside blocks are then had from what is returned: see [`Checkpointing::collect`].
    pub fn checkpoint(&self) -> Arc<Checkpointing> {
        let mut state = self.state();
        state.checkpointing.get_or_insert_default().clone()
    }

    /// Where gradients of recomputed blocks are gathered, if blocks are recomputed.
    pub(crate) fn checkpointing(&self) -> Option<Arc<Checkpointing>> {
        self.state().checkpointing.clone()
    }

    /// The trainable variables below this view that layers have asked for, by full key, sorted.
    pub fn vars(&self) -> Vec<(String, Var)> {
        self.state()
            .entries
            .iter()
            .filter(|(key, _)| self.covers(key))
            .filter_map(|(key, entry)| match entry {
                Entry::Trainable(var) => Some((key.clone(), var.clone())),
                _ => None,
            })
            .collect()
    }

    /// Everything below this view, loaded or handed out, by full key: what [`Weights::save`] writes.
    ///
    /// Values of variables are copies: later training does not change them.
    /// Errors if a copy fails, for want of memory.
    pub fn snapshot(&self) -> Result<BTreeMap<String, Tensor>> {
        let state = self.state();
        let mut tensors: BTreeMap<String, Tensor> = state
            .loaded
            .iter()
            .filter(|(key, _)| self.covers(key) && !state.entries.contains_key(*key))
            .map(|(key, tensor)| (key.clone(), tensor.clone()))
            .collect();
        for (key, entry) in state.entries.iter().filter(|(key, _)| self.covers(key)) {
            let tensor = match entry {
                Entry::Frozen(tensor) => tensor.clone(),
                Entry::Trainable(var) | Entry::Running(var) => var.as_detached_tensor().copy()?,
            };
            tensors.insert(key.clone(), tensor);
        }
        Ok(tensors)
    }

    /// Everything below this view, loaded or handed out, by full key.
    ///
    /// Variables share their storage with the result, so later training shows in it; [`Weights::snapshot`] copies.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let state = self.state();
        let loaded = state
            .loaded
            .iter()
            .map(|(key, tensor)| (key.clone(), tensor.clone()));
        let entries = state
            .entries
            .iter()
            .map(|(key, entry)| (key.clone(), entry.tensor().detach()));
        loaded
            .chain(entries)
            .filter(|(key, _)| self.covers(key))
            .collect()
    }

    /// Puts values back into variables and running statistics, as after reading a checkpoint or a best epoch.
    ///
    /// Keys are full keys. Returns how many were set; keys that are frozen or unknown are left alone.
    /// Errors with [`NnError::ShapeMismatch`].
    pub fn restore(&self, tensors: &BTreeMap<String, Tensor>) -> Result<usize> {
        let state = self.state();
        let mut count = 0;
        for (key, entry) in state.entries.iter().filter(|(key, _)| self.covers(key)) {
            let (Entry::Trainable(var) | Entry::Running(var)) = entry else {
                continue;
            };
            let Some(value) = tensors.get(key) else {
                continue;
            };
            self.check(key, var.shape(), value.shape())?;
            var.set(&value.to_dtype(var.dtype())?.to_device(var.device())?)?;
            count += 1;
        }
        Ok(count)
    }

    fn covers(&self, key: &str) -> bool {
        self.prefix.is_empty()
            || key
                .strip_prefix(&self.prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}
