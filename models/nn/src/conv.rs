//! Two-dimensional convolution.

use candle_core::Tensor;

use crate::adapter::{self, Adapter};
use crate::kernels::{self, Then};
use crate::{Bias, Init, NnError, Result, Weights, ops};

/// A convolution of `[b, in, h, w]` with square kernels, stride and zero padding.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    stride: usize,
    padding: usize,
    adapter: Option<Adapter>,
}

impl Conv2d {
    /// Loads `weight` of shape `[outputs, inputs, kernel, kernel]` and, if asked for, `bias` of shape `[outputs]`.
    ///
    /// A fresh layer is Kaiming uniform, as in PyTorch. Errors as [`Weights::get`], or if `stride` is 0.
    pub fn load(
        weights: &Weights,
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
        bias: Bias,
    ) -> Result<Self> {
        if stride == 0 || kernel == 0 {
            return Err(NnError::argument(
                "convolution",
                "kernel and stride are at least 1",
            ));
        }
        let init = Init::KaimingUniform {
            fan_in: inputs * kernel * kernel,
        };
        Ok(Self {
            weight: weights.get((outputs, inputs, kernel, kernel), "weight", init)?,
            bias: match bias {
                Bias::Yes => Some(weights.get(outputs, "bias", init)?),
                Bias::No => None,
            },
            stride,
            padding,
            adapter: Adapter::of(weights, &[outputs, inputs, kernel, kernel])?,
        })
    }

    /// A layer from tensors: `weight` `[out, in, k, k]`, `bias` `[out]`.
    pub fn from_tensors(
        weight: Tensor,
        bias: Option<Tensor>,
        stride: usize,
        padding: usize,
    ) -> Self {
        Self {
            weight,
            bias,
            stride,
            padding,
            adapter: None,
        }
    }

    /// The same function as a plain layer: the adapter is worked into a frozen copy of the weight.
    pub fn merge(&self) -> Result<Self> {
        let Some(adapter) = &self.adapter else {
            return Ok(self.clone());
        };
        let (weight, bias) = adapter::merged(&self.weight, self.bias.as_ref(), adapter)?;
        Ok(Self::from_tensors(weight, bias, self.stride, self.padding))
    }

    /// Convolves.
    ///
    /// - `x`: `[b, in, h, w]`, f32
    /// - returns `[b, out, (h + 2·padding − k) / stride + 1, (w + 2·padding − k) / stride + 1]`
    ///
    /// Errors if `x` has another number of channels or is smaller than the kernel.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, Then::Nothing)
    }

    /// [`Conv2d::forward`] and then `max(·, 0)`, in one pass over memory.
    pub fn forward_relu(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, Then::Relu)
    }

    /// [`Conv2d::forward_relu`] and then the maximum of each 2×2 square; the large result is never written.
    ///
    /// - returns the shape of [`Conv2d::forward`] with halved height and width, rounded down
    ///
    /// Errors also if the convolution's result is smaller than 2×2.
    pub fn forward_relu_pool(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, Then::ReluPool)
    }

    fn run(&self, x: &Tensor, then: Then) -> Result<Tensor> {
        let (_, c, h, w) = x.dims4()?;
        let (_, inputs, kernel, _) = self.weight.dims4()?;
        if c != inputs {
            let reason = format!("{c} channels where {inputs} are wanted");
            return Err(NnError::argument("convolution", reason));
        }
        if h + 2 * self.padding < kernel || w + 2 * self.padding < kernel {
            let reason = format!("a {h}×{w} image is smaller than the {kernel}×{kernel} kernel");
            return Err(NnError::argument("convolution", reason));
        }
        let least = (h.min(w) + 2 * self.padding - kernel) / self.stride + 1;
        if then == Then::ReluPool && least < 2 {
            let reason = format!("a result {least} wide has no 2×2 square");
            return Err(NnError::argument("convolution", reason));
        }
        let Some(adapter) = &self.adapter else {
            return self.plain_run(x, &self.weight, self.bias.as_ref(), then);
        };
        let y = self.adapted_run(x, adapter)?;
        match then {
            Then::Nothing => Ok(y),
            Then::Relu => ops::relu(&y),
            Then::ReluPool => ops::max_pool2d(&ops::relu(&y)?, 2, 2),
        }
    }

    fn plain_run(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        then: Then,
    ) -> Result<Tensor> {
        kernels::conv2d(x, weight, bias, self.stride, self.padding, then)
    }

    /// Convolves with the adapter beside the frozen kernel. Source of the layout: PEFT's `lora.Conv2d`.
    fn adapted_run(&self, x: &Tensor, adapter: &Adapter) -> Result<Tensor> {
        let bias = self.bias.as_ref();
        let column = |scale: &Tensor| scale.reshape((1, scale.elem_count(), 1, 1));
        match adapter {
            Adapter::Lora(lora) => {
                let y = self.plain_run(x, &self.weight, bias, Then::Nothing)?;
                let low = self.plain_run(&lora.dropped(x)?, &lora.a, None, Then::Nothing)?;
                let delta = kernels::conv2d(&low, &lora.b, None, 1, 0, Then::Nothing)?;
                Ok((y + (delta * lora.scale)?)?)
            }
            Adapter::Outputs(scale) => {
                let y = self.plain_run(x, &self.weight, bias, Then::Nothing)?;
                Ok(y.broadcast_mul(&column(scale)?)?)
            }
            Adapter::Inputs(scale) => {
                let x = x.broadcast_mul(&column(scale)?)?;
                self.plain_run(&x, &self.weight, bias, Then::Nothing)
            }
        }
    }

    /// Weight, bias and padding of a layer with stride 1 and a bias, and without adapter.
    pub(crate) fn plain(&self) -> Option<(&Tensor, &Tensor, usize)> {
        let bias = self
            .bias
            .as_ref()
            .filter(|_| self.stride == 1 && self.adapter.is_none())?;
        Some((&self.weight, bias, self.padding))
    }

    /// The weight, `[out, in, k, k]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }
}
