//! How tensors come into a network and leave it, wherever its own are.

use crate::error::Result;
use candle_core::{DType, Device, Tensor};
use lucency_nn::{Weights, on_pool};

/// A network's device and the type that it computes in. Gradients find the way back through both.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    device: Device,
    dtype: DType,
}

impl Door {
    /// Of a network whose tensors come from a store.
    pub(crate) fn of(weights: &Weights) -> Self {
        Self {
            device: weights.device().clone(),
            dtype: weights.compute_type(),
        }
    }

    /// Numbers as the network takes them.
    pub(crate) fn enter(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.to_device(&self.device)?.to_dtype(self.dtype)?)
    }

    /// Token numbers as the network takes them.
    pub(crate) fn enter_ids(&self, ids: &Tensor) -> Result<Tensor> {
        Ok(ids.to_device(&self.device)?)
    }

    /// Work inside on numbers from outside; see [`Door::within`].
    pub(crate) fn pass(
        &self,
        x: &Tensor,
        work: impl FnOnce(&Tensor) -> Result<Tensor> + Send,
    ) -> Result<Tensor> {
        let x = self.enter(x)?;
        self.within(|| work(&x))
    }

    /// [`Door::pass`] for token numbers.
    pub(crate) fn pass_ids(
        &self,
        ids: &Tensor,
        work: impl FnOnce(&Tensor) -> Result<Tensor> + Send,
    ) -> Result<Tensor> {
        let ids = self.enter_ids(ids)?;
        self.within(|| work(&ids))
    }

    /// Work whose result leaves, on a thread of the pool: from any other thread each of its many parallel pieces would put that thread to
    /// sleep and wake it again.
    pub(crate) fn within(&self, work: impl FnOnce() -> Result<Tensor> + Send) -> Result<Tensor> {
        self.leave(&on_pool(work)?)
    }

    /// Numbers as they are wanted outside: f32 of the processor.
    pub(crate) fn leave(&self, y: &Tensor) -> Result<Tensor> {
        Ok(y.to_device(&Device::Cpu)?.to_dtype(DType::F32)?)
    }
}
