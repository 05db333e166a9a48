//! In which types of numbers a model computes.

use candle_core::DType;
use serde::{Deserialize, Serialize};

/// In which types of numbers a model computes.
///
/// Norms' scales and shifts, running statistics and whatever else is read through [`crate::Weights::wide`] are f32 in all of
/// them, and sums behind norms and softmax are taken in f32 or wider. Source: Micikevicius et al. 2018, "Mixed precision training",
/// section 3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Everything in f32.
    #[default]
    F32,
    /// Weights and activations in bf16: the least memory; small steps are lost in a weight's rounding.
    Bf16,
    /// Activations in bf16, trained weights in f32, of which layers are given copies in bf16.
    Mixed,
    /// Weights and activations in f16, for inference: gradients fall below its range, which no loss scaling here lifts.
    F16,
    /// Weights and activations in f64: the reference that other types are held against.
    F64,
}

impl Precision {
    /// The type in which layers compute.
    pub fn compute(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 | Self::Mixed => DType::BF16,
            Self::F16 => DType::F16,
            Self::F64 => DType::F64,
        }
    }

    /// The type of trained weights.
    pub fn master(self) -> DType {
        match self {
            Self::F32 | Self::Mixed => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
            Self::F64 => DType::F64,
        }
    }

    /// Whether layers hold copies of trained weights, so that a model has to be loaded again from its store after every step.
    pub fn copies(self) -> bool {
        self.compute() != self.master()
    }

    /// Whether everything is f32.
    pub fn is_f32(&self) -> bool {
        *self == Self::F32
    }
}
