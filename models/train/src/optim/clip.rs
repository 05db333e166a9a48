//! Gradient clipping by global norm.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Storage, Tensor, Var};
use rayon::prelude::*;

use crate::Result;

/// Entries whose squares a task of the shared pool sums; the sum does not depend on the number of tasks at a time.
const CHUNK: usize = 1 << 16;

/// The Euclidean norm of all gradients of `vars` taken as one vector, in f64.
pub fn gradient_norm(grads: &GradStore, vars: &[(String, Var)]) -> Result<f64> {
    let mut sum = 0.0f64;
    for (_, var) in vars {
        if let Some(grad) = grads.get(var.as_tensor()) {
            sum += squares(grad)?;
        }
    }
    Ok(sum.sqrt())
}

/// The sum of a tensor's squares, in one pass over where it lies on the CPU.
fn squares(tensor: &Tensor) -> Result<f64> {
    let tensor = tensor.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        return Ok(0.0); // a tensor on the CPU has no other storage
    };
    let all = storage.as_slice::<f32>()?;
    let own = &all[layout.start_offset()..][..tensor.elem_count()];
    let parts: Vec<f64> = own.par_chunks(CHUNK).map(sum_of_squares).collect();
    Ok(parts.iter().sum())
}

/// In eight sums side by side, which is one register of doubles.
fn sum_of_squares(values: &[f32]) -> f64 {
    let mut sums = [0.0f64; 8];
    let eights = values.chunks_exact(sums.len());
    let rest = eights.remainder();
    for eight in eights {
        for (sum, value) in sums.iter_mut().zip(eight) {
            *sum += f64::from(*value) * f64::from(*value);
        }
    }
    let rest: f64 = rest.iter().map(|v| f64::from(*v).powi(2)).sum();
    sums.iter().sum::<f64>() + rest
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_of_any_layout_and_type_are_summed_once_each() {
        let n = CHUNK + 5;
        let wide = Tensor::ones((3, n), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(squares(&wide).unwrap(), 3.0 * n as f64);
        let part = (wide.narrow(1, 2, 7).unwrap() * 2.0).unwrap();
        assert_eq!(squares(&part).unwrap(), 3.0 * 7.0 * 4.0);
        assert_eq!(squares(&part.narrow(0, 1, 1).unwrap()).unwrap(), 28.0);
        assert_eq!(squares(&part.t().unwrap()).unwrap(), 84.0);
        assert_eq!(squares(&part.to_dtype(DType::BF16).unwrap()).unwrap(), 84.0);
    }
}
