//! Gradient checkpointing: what a block computes inside is forgotten after the forward pass and computed again in the backward pass.
//!
//! A store that was told to (see [`Weights::checkpoint`]) hands its [`Checkpointing`] to the towers built from it, which run their
//! blocks through [`Segments`]. Memory falls from every value inside every block to one input a block; time grows by one forward pass.
//! Source: Chen et al. 2016, "Training deep nets with sublinear memory cost", section 3.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::backprop::GradStore;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, DType, Layout, MetalStorage, Shape, Storage, Tensor,
    TensorId, Var,
};

use crate::{Adaptation, NnError, Weights};

type CandleResult<T> = candle_core::Result<T>;

/// Gradients of variables inside blocks, gathered while a backward pass runs through them.
///
/// The tensor library's own pass sees a block as one operation on its input, so what belongs to the block's variables comes here.
#[derive(Default)]
pub struct Checkpointing {
    gathered: Mutex<HashMap<TensorId, Tensor>>,
}

impl fmt::Debug for Checkpointing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpointing").finish_non_exhaustive()
    }
}

impl Checkpointing {
    fn gathered(&self) -> MutexGuard<'_, HashMap<TensorId, Tensor>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was gathered, as before a step that follows a failed one.
    pub fn clear(&self) {
        self.gathered().clear();
    }

    /// Adds what was gathered to the gradients of the backward pass, and forgets it; call it after every `backward`, or after several
    /// that belong to one step.
    ///
    /// Errors if a sum cannot be computed.
    pub fn collect(&self, grads: &mut GradStore) -> crate::Result<()> {
        for (id, grad) in std::mem::take(&mut *self.gathered()) {
            let sum = match grads.get_id(id) {
                Some(before) => (before + grad)?,
                None => grad,
            };
            grads.insert_id(id, sum);
        }
        Ok(())
    }

    fn add(&self, id: TensorId, grad: Tensor) -> CandleResult<()> {
        let mut gathered = self.gathered();
        let sum = match gathered.remove(&id) {
            Some(before) => (before + grad)?,
            None => grad,
        };
        gathered.insert(id, sum);
        Ok(())
    }
}

/// How a tower runs its blocks: as they are, or recomputed in the backward pass.
#[derive(Debug, Clone, Default)]
pub struct Segments {
    recorder: Option<Arc<Checkpointing>>,
    adaptation: Option<Arc<Adaptation>>,
}

impl Segments {
    /// What the store says, for a tower that is built from it.
    pub fn of(weights: &Weights) -> Self {
        Self {
            recorder: weights.checkpointing(),
            adaptation: weights.adaptation(),
        }
    }

    /// Whether blocks are recomputed.
    pub fn recompute(&self) -> bool {
        self.recorder.is_some()
    }

    /// Runs a block.
    ///
    /// - `x`: the block's input; `block`: the same function every time it is called, but for dropout, which is replayed
    /// - returns what `block` returns; values and gradients are those of calling it directly
    ///
    /// Gradients of variables inside the block are in the store's [`Checkpointing`] after the backward pass.
    /// Errors as `block`.
    pub fn run<E>(
        &self,
        x: &Tensor,
        block: impl Fn(&Tensor) -> Result<Tensor, E> + Send + Sync + 'static,
    ) -> Result<Tensor, E>
    where
        E: From<NnError> + fmt::Display + Send + Sync + 'static,
    {
        let Some(recorder) = &self.recorder else {
            return block(x);
        };
        let (input, dropout) = (x.detach(), self.dropout());
        let output = match x.track_op() {
            // Layers compute in another order where no gradient is wanted, and the backward pass will want one.
            true => block(Var::from_tensor(&input).map_err(NnError::from)?.as_tensor())?,
            false => block(&input)?,
        };
        if !x.track_op() && !output.track_op() {
            return Ok(output);
        }
        // The tensor library walks only into operations behind a variable.
        let link = match x.track_op() {
            true => x.clone(),
            false => Var::zeros(1, DType::F32, x.device())
                .map_err(NnError::from)?
                .into_inner(),
        };
        let segment = Segment {
            block: Box::new(move |x| block(x).map_err(candle_core::Error::wrap)),
            input,
            wants_input: x.track_op(),
            output: Mutex::new(Some(output.detach())),
            dropout,
            adaptation: self.adaptation.clone(),
            recorder: recorder.clone(),
        };
        let run = link.apply_op1(segment).map_err(NnError::from)?;
        Ok(run)
    }

    fn dropout(&self) -> Option<crate::Dropout> {
        self.adaptation.as_ref().and_then(|a| a.dropout_state())
    }
}

type BlockFn = dyn Fn(&Tensor) -> CandleResult<Tensor> + Send + Sync;

/// A block as one operation.
struct Segment {
    block: Box<BlockFn>,
    input: Tensor,
    /// Whether something before the block wants a gradient.
    wants_input: bool,
    /// The forward pass's result until the operation takes it.
    output: Mutex<Option<Tensor>>,
    /// The source of masks as it was before the block.
    dropout: Option<crate::Dropout>,
    adaptation: Option<Arc<Adaptation>>,
    recorder: Arc<Checkpointing>,
}

impl Segment {
    /// The block's result, whose storage holds nothing else.
    fn take(&self) -> CandleResult<Tensor> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        match output.take() {
            Some(output) => output.force_contiguous(),
            None => candle_core::bail!("a checkpointed block is run once a forward pass"),
        }
    }

    /// The block again, with the masks that it had.
    fn again(&self, x: &Tensor) -> CandleResult<Tensor> {
        let Some(adaptation) = &self.adaptation else {
            return (self.block)(x);
        };
        let now = adaptation.replace_dropout(self.dropout.clone());
        let result = (self.block)(x);
        adaptation.replace_dropout(now);
        result
    }
}

impl CustomOp1 for Segment {
    fn name(&self) -> &'static str {
        "checkpointed-block"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        let output = self.take()?;
        match &*output.storage_and_layout().0 {
            Storage::Cpu(storage) => Ok((storage.clone(), output.shape().clone())),
            _ => candle_core::bail!("a checkpointed block changed the device"),
        }
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> CandleResult<(CudaStorage, Shape)> {
        let output = self.take()?;
        let (storage, layout) = output.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, output.shape().clone())),
            _ => candle_core::bail!("a checkpointed block changed the device"),
        }
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout) -> CandleResult<(MetalStorage, Shape)> {
        let output = self.take()?;
        let (storage, layout) = output.storage_and_layout();
        match &*storage {
            Storage::Metal(storage) => Ok((storage.try_clone(layout)?, output.shape().clone())),
            _ => candle_core::bail!("a checkpointed block changed the device"),
        }
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, slope: &Tensor) -> CandleResult<Option<Tensor>> {
        let leaf = match self.wants_input {
            true => Some(Var::from_tensor(&self.input)?),
            false => None,
        };
        let output = self.again(leaf.as_ref().map_or(&self.input, Var::as_tensor))?;
        // The sum's gradient at the output is the slope itself.
        let sum = (&output * slope.detach())?.sum_all()?;
        let mut grads = sum.backward()?;
        let of_input = leaf.as_ref().and_then(|leaf| grads.remove(leaf));
        for node in sum.sorted_nodes() {
            if node.is_variable()
                && let Some(grad) = grads.remove(node)
            {
                self.recorder.add(node.id(), grad)?;
            }
        }
        Ok(of_input)
    }
}
