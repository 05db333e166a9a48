//! Functions between layers.

use candle_core::Tensor;

use crate::{Result, ops};

/// An elementwise non-linearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x · sigmoid(1.702 x)`, what the original CLIP uses. Source: Hendrycks and Gimpel 2016, section 2.
    QuickGelu,
    /// `x · Φ(x)` with the exact normal distribution.
    GeluErf,
    /// `x · Φ(x)` with the tanh approximation, as in GPT-2.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`.
    Silu,
    /// `1 / (1 + e⁻ˣ)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// Applies the function to every element.
    ///
    /// - `x`: any shape, f32
    /// - returns the same shape
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        ops::activation(x, self)
    }
}
