//! Gradient clipping by global norm.

use candle_core::backprop::GradStore;
use candle_core::{DType, Var};

use crate::Result;

/// The Euclidean norm of all gradients of `vars` taken as one vector.
pub fn gradient_norm(grads: &GradStore, vars: &[(String, Var)]) -> Result<f64> {
    let mut sum = 0.0f64;
    for (_, var) in vars {
        if let Some(grad) = grads.get(var.as_tensor()) {
            let squares = grad.to_dtype(DType::F32)?.sqr()?.sum_all()?;
            sum += f64::from(squares.to_scalar::<f32>()?);
        }
    }
    Ok(sum.sqrt())
}

/// The factor that brings a gradient of norm `norm` to at most `limit`.
///
/// Source: Pascanu et al. 2013, algorithm 1.
pub fn clip_scale(norm: f64, limit: f64) -> f64 {
    if norm > limit {
        limit / (norm + 1e-6)
    } else {
        1.0
    }
}
