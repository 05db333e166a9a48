//! Affine maps, plain or adapted.

use candle_core::Tensor;

use crate::adapter::{self, Adapter};
use crate::kernels::{self, After, Packed};
use crate::{Activation, Init, LayerScale, NnError, Result, Weights};

/// Whether a layer adds a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bias {
    /// It has a `bias` tensor.
    Yes,
    /// It has none.
    No,
}

/// `y = x Wᵀ + b`, with a low-rank update or a learned scale where the store's [`crate::Adaptation`] says so.
///
/// Frozen tensors get no gradient, and none is computed for them.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Matrix,
    bias: Option<Tensor>,
    adapter: Option<Adapter>,
    scale: Scale,
    unmerged: Option<Box<Linear>>,
}

/// What multiplies a map's outputs.
#[derive(Debug, Clone)]
enum Scale {
    None,
    /// After the map.
    After(LayerScale),
    /// Weight and bias hold it already.
    Folded,
}

/// A weight matrix `[out, in]`.
#[derive(Debug, Clone)]
enum Matrix {
    Plain(Tensor),
    /// Frozen, of a store that packs.
    Packed(Packed),
}

impl Matrix {
    fn dims(&self) -> Vec<usize> {
        match self {
            Self::Plain(weight) => weight.dims().to_vec(),
            Self::Packed(weight) => weight.dims().to_vec(),
        }
    }

    fn to_tensor(&self) -> Result<Tensor> {
        match self {
            Self::Plain(weight) => Ok(weight.clone()),
            Self::Packed(weight) => weight.to_tensor(),
        }
    }
}

impl Linear {
    /// Loads `weight` of shape `[outputs, inputs]` and, if asked for, `bias` of shape `[outputs]`.
    ///
    /// A fresh layer is Kaiming uniform, as in PyTorch. Errors as [`Weights::get`].
    pub fn load(weights: &Weights, inputs: usize, outputs: usize, bias: Bias) -> Result<Self> {
        Self::load_scaled(weights, inputs, outputs, bias, None)
    }

    /// As [`Linear::load`], `y = γ (x Wᵀ + b)`, with an update or a learned scale inside the brackets.
    ///
    /// Where weight and factors are frozen and the store packs, they become one matrix and cost nothing.
    pub fn load_scaled(
        weights: &Weights,
        inputs: usize,
        outputs: usize,
        bias: Bias,
        scale: Option<&LayerScale>,
    ) -> Result<Self> {
        let init = Init::KaimingUniform { fan_in: inputs };
        let bias = match bias {
            Bias::Yes => Some(("bias", init)),
            Bias::No => None,
        };
        let adapter = Adapter::of(weights, &[outputs, inputs])?;
        let scale = scale.map(|scale| (scale, adapter.is_none()));
        let map = Self::of_shape(weights, &[outputs, inputs], ("weight", init), bias, scale)?;
        Ok(Self { adapter, ..map })
    }

    /// As [`Linear::load`], with other names and first values of the tensors.
    pub(crate) fn named(
        weights: &Weights,
        inputs: usize,
        outputs: usize,
        weight: (&str, Init),
        bias: Option<(&str, Init)>,
    ) -> Result<Self> {
        let adapter = Adapter::of(weights, &[outputs, inputs])?;
        let map = Self::of_shape(weights, &[outputs, inputs], weight, bias, None)?;
        Ok(Self { adapter, ..map })
    }

    /// A map of what a convolution's kernel sees: `weight` has the kernel's shape `[out, in, k, k]`, `x` `[.., in · k · k]`.
    ///
    /// It is no target of adapters. Fresh values and errors as [`Linear::load`].
    pub(crate) fn of_kernel(weights: &Weights, shape: [usize; 4], bias: Bias) -> Result<Self> {
        let fan_in = shape[1..].iter().product();
        let init = Init::KaimingUniform { fan_in };
        let bias = match bias {
            Bias::Yes => Some(("bias", init)),
            Bias::No => None,
        };
        Self::of_shape(weights, &shape, ("weight", init), bias, None)
    }

    /// A layer whose weight has `shape`, read as a matrix of the first axis by the others.
    ///
    /// - `scale`: multiplies the outputs, and whether weight and bias may hold it
    fn of_shape(
        weights: &Weights,
        shape: &[usize],
        (name, init): (&str, Init),
        bias: Option<(&str, Init)>,
        scale: Option<(&LayerScale, bool)>,
    ) -> Result<Self> {
        let bias = bias
            .map(|(name, init)| weights.get(shape[0], name, init))
            .transpose()?;
        let trained = bias.as_ref().is_some_and(Tensor::track_op);
        let factors = scale
            .filter(|(_, foldable)| *foldable)
            .and_then(|(scale, _)| scale.frozen());
        let packed = match trained {
            true => None,
            false => weights.pack(shape, name, init, factors)?,
        };
        let kept = scale.map_or(Scale::None, |(scale, _)| Scale::After(scale.clone()));
        let (weight, bias, scale) = match (packed, factors) {
            (Some(packed), None) => (Matrix::Packed(packed), bias, kept),
            (Some(packed), Some(factors)) => {
                let bias = bias.map(|bias| bias * factors).transpose()?;
                (Matrix::Packed(packed), bias, Scale::Folded)
            }
            (None, _) => {
                let weight = weights.get(shape, name, init)?.flatten_from(1)?;
                (Matrix::Plain(weight), bias, kept)
            }
        };
        Ok(Self {
            weight,
            bias,
            adapter: None,
            scale,
            unmerged: None,
        })
    }

    /// A layer from tensors: `weight` `[out, in]`, `bias` `[out]`.
    pub fn from_tensors(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self {
            weight: Matrix::Plain(weight),
            bias,
            adapter: None,
            scale: Scale::None,
            unmerged: None,
        }
    }

    /// Adds a low-rank adapter with keys `lora_A.weight` `[rank, in]` and `lora_B.weight` `[out, rank]` below `weights`.
    ///
    /// A is drawn Kaiming uniform and B is zero where the store does not have them, so the layer starts unchanged.
    /// Errors if `rank` is 0, if a [`LayerScale`] was worked into the weight, or as [`Weights::get_or_init`].
    pub fn with_lora(mut self, rank: usize, alpha: f64, weights: &Weights) -> Result<Self> {
        if matches!(self.scale, Scale::Folded) {
            let reason = "the layer's scale is part of its packed weight; adapt the store before it is built";
            return Err(NnError::argument("low-rank adapter", reason));
        }
        let lora = Adapter::lora(weights, &self.weight.dims(), rank, alpha)?;
        self.adapter = Some(Adapter::Lora(lora));
        Ok(self)
    }

    /// The same function as a plain layer: the adapter is worked into a frozen copy of the weight.
    pub fn merge(&self) -> Result<Self> {
        let Some(adapter) = &self.adapter else {
            return Ok(self.clone());
        };
        let (weight, bias) =
            adapter::merged(&self.weight.to_tensor()?, self.bias.as_ref(), adapter)?;
        Ok(Self {
            unmerged: Some(Box::new(self.clone())),
            scale: self.scale.clone(),
            ..Self::from_tensors(weight, bias)
        })
    }

    /// The layer before [`Linear::merge`], bit for bit.
    pub fn unmerge(&self) -> Self {
        match &self.unmerged {
            Some(before) => (**before).clone(),
            None => self.clone(),
        }
    }

    /// Applies the map to the last axis.
    ///
    /// - `x`: `[.., in]`, f32
    /// - returns `[.., out]`
    ///
    /// Errors if the last axis is not `in` long.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = match &self.adapter {
            None => self.map(x, After::default())?,
            Some(adapter) => adapter::linear(x, |x| self.map(x, After::default()), adapter)?,
        };
        match &self.scale {
            Scale::After(scale) => scale.forward(&y),
            Scale::None | Scale::Folded => Ok(y),
        }
    }

    /// [`Linear::forward`] and then a function of every element, in one pass over memory where that can be.
    pub fn forward_activated(&self, x: &Tensor, function: Activation) -> Result<Tensor> {
        if !self.is_bare() {
            return function.forward(&self.forward(x)?);
        }
        let after = After {
            activation: Some(function),
            add: None,
        };
        self.map(x, after)
    }

    /// `shortcut` and [`Linear::forward`] added, in one pass over memory where that can be.
    ///
    /// - `shortcut`: shaped like the result
    pub fn forward_beside(&self, shortcut: &Tensor, x: &Tensor) -> Result<Tensor> {
        if !self.is_bare() {
            return Ok((shortcut + self.forward(x)?)?);
        }
        let after = After {
            activation: None,
            add: Some(shortcut),
        };
        self.map(x, after)
    }

    /// Whether the map is all that there is.
    fn is_bare(&self) -> bool {
        self.adapter.is_none() && !matches!(self.scale, Scale::After(_))
    }

    /// The map without its adapter and a scale that is not folded into it.
    fn map(&self, x: &Tensor, after: After<'_>) -> Result<Tensor> {
        let weight = match &self.weight {
            Matrix::Packed(weight) => return weight.linear(x, self.bias.as_ref(), after),
            Matrix::Plain(weight) => weight,
        };
        let y = kernels::linear(x, weight, self.bias.as_ref())?;
        let y = match after.activation {
            Some(function) => function.forward(&y)?,
            None => y,
        };
        Ok(match after.add {
            Some(add) => (add + y)?,
            None => y,
        })
    }

    /// The weight without adapter, `[out, in]`; a copy if it is packed, and then times a [`LayerScale`] that was worked into it.
    pub fn weight(&self) -> Result<Tensor> {
        self.weight.to_tensor()
    }

    /// The bias, `[out]`; times a [`LayerScale`] that was worked into it.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }
}
