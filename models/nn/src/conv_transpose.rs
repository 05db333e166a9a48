//! Two-dimensional transposed convolution.

use candle_core::Tensor;

use crate::batch_norm::Follow;
use crate::{Conv2d, Init, NnError, Result, Weights, kernels};

/// The transpose of a convolution with square kernels: a small image becomes a large one.
#[derive(Debug, Clone)]
pub struct ConvTranspose2d {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
    padding: usize,
    output_padding: usize,
}

impl ConvTranspose2d {
    /// Loads `weight` of shape `[inputs, outputs, kernel, kernel]` and `bias` of shape `[outputs]`.
    ///
    /// A fresh layer is uniform in `±1/√(outputs · kernel²)`, as in PyTorch. Errors as [`Weights::get`], if kernel or
    /// stride is 0, or if `output_padding` is not below the stride.
    #[allow(clippy::too_many_arguments)]
    pub fn load(
        weights: &Weights,
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
        output_padding: usize,
    ) -> Result<Self> {
        if kernel == 0 || stride == 0 || output_padding >= stride {
            return Err(NnError::argument(
                "transposed convolution",
                "kernel and stride are at least 1, the output padding is below the stride",
            ));
        }
        let init = Init::KaimingUniform {
            fan_in: outputs * kernel * kernel,
        };
        Ok(Self {
            weight: weights.get((inputs, outputs, kernel, kernel), "weight", init)?,
            bias: weights.get(outputs, "bias", init)?,
            stride,
            padding,
            output_padding,
        })
    }

    /// Applies the layer.
    ///
    /// - `x`: `[b, inputs, h, w]`, f32
    /// - returns `[b, outputs, (h − 1)·stride − 2·padding + k + output_padding, ..]`
    ///
    /// Errors if `x` has another number of channels, or if nothing is left after the padding.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, Follow::Nothing)
    }

    /// [`ConvTranspose2d::forward`] and then `max(·, 0)`, in one pass over memory.
    pub fn forward_relu(&self, x: &Tensor) -> Result<Tensor> {
        self.run(x, Follow::Relu)
    }

    /// [`ConvTranspose2d::forward_relu`] and then a convolution; the image between them is not kept.
    ///
    /// - `project`: a convolution of `outputs` channels with stride 1 and a bias
    /// - returns what `project` makes of the larger image, `[b, project's outputs, ..]`
    ///
    /// Errors also where [`Conv2d::forward`] would.
    pub fn forward_relu_then(&self, x: &Tensor, project: &Conv2d) -> Result<Tensor> {
        let Some((weight, bias, padding)) = project.plain() else {
            return project.forward(&self.forward_relu(x)?);
        };
        self.check(x)?;
        let (kernel, channels) = (weight.dim(2)?, weight.dim(1)?);
        let size = |n: usize| {
            (n - 1) * self.stride + self.weight.dims()[2] + self.output_padding - 2 * self.padding
        };
        let (_, _, h, w) = x.dims4()?;
        if channels != self.bias.elem_count() || size(h.min(w)) + 2 * padding < kernel {
            return project.forward(&self.forward_relu(x)?);
        }
        let strides = (self.stride, self.padding, self.output_padding);
        let grow = (&self.weight, &self.bias);
        kernels::upsample_project(x, grow, strides, (weight, bias), padding)
    }

    fn run(&self, x: &Tensor, follow: Follow) -> Result<Tensor> {
        self.check(x)?;
        kernels::conv_transpose2d(
            x,
            &self.weight,
            &self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            follow,
        )
    }

    fn check(&self, x: &Tensor) -> Result<()> {
        let (_, c, h, w) = x.dims4()?;
        let (inputs, _, kernel, _) = self.weight.dims4()?;
        if c != inputs {
            let reason = format!("{c} channels where {inputs} are wanted");
            return Err(NnError::argument("transposed convolution", reason));
        }
        let grown = |n: usize| (n.max(1) - 1) * self.stride + kernel + self.output_padding;
        if h == 0 || w == 0 || grown(h.min(w)) <= 2 * self.padding {
            let reason = format!("nothing is left of a {h}×{w} image");
            return Err(NnError::argument("transposed convolution", reason));
        }
        Ok(())
    }
}
