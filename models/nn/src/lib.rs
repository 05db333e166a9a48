//! Differentiable layers with fused CPU kernels, forward and backward.
//!
//! Every layer works for inference and for training: nothing in this crate stops a gradient silently. On a CPU with f32
//! tensors the fused kernels run; elsewhere the same functions are composed from the tensor library's operations. [`Compute`]
//! chooses where that is.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use lucency_nn::{Bias, Linear, Weights};
//!
//! let weights = Weights::fresh(1, &Device::Cpu);
//! weights.train_where(|_| true)?;
//! let layer = Linear::load(&weights.pp("proj"), 4, 2, Bias::Yes)?;
//! let y = layer.forward(&Tensor::ones((3, 4), candle_core::DType::F32, &Device::Cpu)?)?;
//! let gradients = y.sum_all()?.backward()?;
//! assert!(weights.vars().iter().all(|(_, var)| gradients.get(var).is_some()));
//! # Ok::<(), lucency_nn::NnError>(())
//! ```

mod activation;
mod adapter;
mod attention;
mod batch_norm;
mod checkpointing;
mod compute;
mod conv;
mod conv_transpose;
mod dropout;
mod embedding;
mod error;
mod init;
pub mod job;
mod kernels;
mod layer_norm;
mod layer_scale;
mod linear;
mod normed_conv;
pub mod ops;
mod patches;
mod precision;
mod quantisation;
mod rnn;
mod weight_norm;
mod weights;

pub use activation::Activation;
pub use adapter::{ALL_LAYERS, Adaptation, AdapterKind};
pub use attention::{AttentionKeys, Mask, MultiHeadAttention};
pub use batch_norm::BatchNorm2d;
pub use checkpointing::{Checkpointing, Segments};
pub use compute::{Compute, ComputeState, DeviceChoice, Hosted, PassedOver, Place, SelfTest};
pub use conv::Conv2d;
pub use conv_transpose::ConvTranspose2d;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use error::{NnError, Result};
pub use init::Init;
pub use job::{Interrupt, Progress};
pub use kernels::{keep_freed_memory, release_freed_memory};
pub use layer_norm::LayerNorm;
pub use layer_scale::LayerScale;
pub use linear::{Bias, Linear};
pub use normed_conv::{NormedConv2d, Sizes};
pub use patches::PatchEmbedding;
pub use precision::Precision;
pub use quantisation::Quantisation;
pub use rnn::{Gru, Lstm};
pub use weight_norm::{WeightNormLinear, weight_normed};
pub use weights::{Weights, save_tensors};

/// Whether a model is being trained or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Statistics of the batch, dropout.
    Train,
    /// Running statistics, no dropout.
    Eval,
}

/// Sets how many threads the one pool has that all layers share; call it once, before any tensor work.
///
/// Errors with [`NnError::Threads`] if the pool already runs with another number.
pub fn set_threads(threads: usize) -> Result<()> {
    let built = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global();
    let running = rayon::current_num_threads();
    if built.is_err() && running != threads {
        return Err(NnError::Threads {
            running,
            wanted: threads,
        });
    }
    Ok(())
}

/// Does work on a thread of the pool that all layers share.
///
/// A training step calls the pool hundreds of times. From a thread of the pool such a call costs little; from another thread
/// each one puts that thread to sleep and wakes it again.
pub fn on_pool<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::join(work, || ()).0
}
