//! Binary cross-entropy of every answer on its own.

use candle_core::Tensor;

use super::claims::softplus;
use crate::Result;

/// The summed binary cross-entropy of logits, stable for logits of any size.
///
/// - `logits`, `targets`: `[n, answers]`, f32; targets in 0..=1
/// - returns `[]`; divide by the number of entries for PyTorch's `reduction='mean'`
///
/// Errors if the shapes differ.
pub fn bce_with_logits_sum(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    Ok((softplus(logits)? - (logits * targets)?)?.sum_all()?)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn value_and_gradient_are_those_of_the_sigmoid_and_large_logits_stay_finite() {
        let x = Var::new(&[[0.3f32, -2.0, 90.0, -90.0]], &Device::Cpu).unwrap();
        let t = Tensor::new(&[[1.0f32, 0.25, 1.0, 0.0]], &Device::Cpu).unwrap();
        let loss = bce_with_logits_sum(x.as_tensor(), &t).unwrap();
        let sigmoid = |v: f64| 1.0 / (1.0 + (-v).exp());
        let wanted =
            -sigmoid(0.3).ln() - 0.25 * sigmoid(-2.0).ln() - 0.75 * (1.0 - sigmoid(-2.0)).ln();
        let value = f64::from(loss.to_scalar::<f32>().unwrap());
        assert!((value - wanted).abs() < 1e-5, "{value} {wanted}");
        let grads = loss.backward().unwrap();
        let g: Vec<f32> = grads
            .get(x.as_tensor())
            .unwrap()
            .squeeze(0)
            .unwrap()
            .to_vec1()
            .unwrap();
        for (got, wanted) in g
            .iter()
            .zip([sigmoid(0.3) - 1.0, sigmoid(-2.0) - 0.25, 0.0, 0.0])
        {
            assert!((f64::from(*got) - wanted).abs() < 1e-6, "{got} {wanted}");
        }
    }
}
