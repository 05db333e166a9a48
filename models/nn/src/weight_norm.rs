//! Affine maps whose weight is a direction and a length.

use candle_core::Tensor;

use crate::{Init, NnError, Result, Weights, kernels};

/// `y = x Wᵀ + b` with `W = g · v / ‖v‖`, one length `g` for the whole matrix.
///
/// Keys: `weight_g` `[]`, `weight_v` `[outputs, inputs]`, `bias` `[outputs]`, as PyTorch's `weight_norm` with `dim=None`
/// names them. Source: Salimans and Kingma 2016, eq. 2.
#[derive(Debug, Clone)]
pub struct WeightNormLinear {
    g: Tensor,
    v: Tensor,
    bias: Tensor,
}

impl WeightNormLinear {
    /// Loads a layer; a fresh one starts as PyTorch's linear layer: Kaiming uniform, and `g` the length of `v`.
    ///
    /// Errors as [`Weights::get`], or with [`NnError::Argument`] if `v` is zero, which has no direction.
    pub fn load(weights: &Weights, inputs: usize, outputs: usize) -> Result<Self> {
        let init = Init::KaimingUniform { fan_in: inputs };
        let (g, v) = weight_normed(weights, "weight", (outputs, inputs), init)?;
        Ok(Self {
            g,
            v,
            bias: weights.get(outputs, "bias", init)?,
        })
    }

    /// Applies the map to the last axis.
    ///
    /// - `x`: `[.., inputs]`, f32
    /// - returns `[.., outputs]`
    ///
    /// Errors if the last axis is not `inputs` long.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        kernels::linear(x, &self.weight()?, Some(&self.bias))
    }

    /// The effective weight, `[outputs, inputs]`.
    pub fn weight(&self) -> Result<Tensor> {
        kernels::weight_norm(&self.v, &self.g)
    }
}

/// Loads the length `{name}_g` `[]` and the direction `{name}_v` of a weight-normalised tensor.
///
/// A fresh direction is drawn from `init`, and the length is the direction's own.
/// Errors as [`Weights::get`], or with [`NnError::Argument`] if the direction is zero.
pub fn weight_normed(
    weights: &Weights,
    name: &str,
    shape: impl Into<candle_core::Shape>,
    init: Init,
) -> Result<(Tensor, Tensor)> {
    let v = weights.get(shape, &format!("{name}_v"), init)?;
    let length = v.detach().sqr()?.sum_all()?.sqrt()?;
    let length = f64::from(
        length
            .to_dtype(candle_core::DType::F32)?
            .to_scalar::<f32>()?,
    );
    if length == 0.0 {
        let key = weights.key(&format!("{name}_v"));
        return Err(NnError::argument(
            "weight normalisation",
            format!("`{key}` is zero and has no direction"),
        ));
    }
    let g = weights.get((), &format!("{name}_g"), Init::Const(length))?;
    Ok((g, v))
}
