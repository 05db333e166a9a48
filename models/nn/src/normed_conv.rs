//! A convolution and the batch normalisation behind it.

use candle_core::Tensor;

use crate::kernels::FrozenConv;
use crate::{BatchNorm2d, Bias, Conv2d, Init, Mode, NnError, Result, Weights};

/// A convolution without bias and its batch normalisation; one pass over memory in a store that packs
/// ([`Weights::packed`]), where the normalisation is worked into the weights.
#[derive(Debug, Clone)]
pub struct NormedConv2d(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Layers {
        conv: Conv2d,
        norm: BatchNorm2d,
    },
    /// For inference.
    Folded {
        conv: FrozenConv,
        sizes: Sizes,
    },
}

/// Sizes of a convolution with square kernels.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Positions from one output to the next.
    pub stride: usize,
    /// Zeros around the image.
    pub padding: usize,
}

impl NormedConv2d {
    /// Loads `weight` `[outputs, inputs, kernel, kernel]` below `conv` and the normalisation's tensors below `norm`.
    ///
    /// `eps` is added to the variance. Errors as [`Conv2d::load`] and [`BatchNorm2d::load`].
    pub fn load(conv: &Weights, norm: &Weights, sizes: Sizes, eps: f64) -> Result<Self> {
        let Sizes {
            inputs,
            outputs,
            kernel,
            stride,
            padding,
        } = sizes;
        let norm = BatchNorm2d::load(norm, outputs, eps)?;
        let fan_in = inputs * kernel * kernel;
        let shape = (outputs, inputs, kernel, kernel);
        let once = match stride {
            0 => None, // the plain layer says what is wrong
            _ => conv.once(shape, "weight", Init::KaimingUniform { fan_in })?,
        };
        if let (Some(weight), Some((scale, shift))) = (once, norm.folded()?) {
            let conv = FrozenConv::new(&weight, &scale, shift, stride, padding)?;
            return Ok(Self(Kind::Folded { conv, sizes }));
        }
        let conv = Conv2d::load(conv, inputs, outputs, kernel, stride, padding, Bias::No)?;
        Ok(Self(Kind::Layers { conv, norm }))
    }

    /// Convolves and normalises.
    ///
    /// - `x`: `[b, inputs, h, w]`, f32
    /// - returns `[b, outputs, ..]`
    ///
    /// Errors as the layers do, and in training if the layer was loaded for inference.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        match &self.0 {
            Kind::Layers { conv, norm } => norm.forward(&conv.forward(x)?, mode),
            Kind::Folded { conv, sizes } => {
                sizes.check(x, mode).and_then(|()| conv.forward(x, false))
            }
        }
    }

    /// [`NormedConv2d::forward`] and then `max(·, 0)`.
    pub fn forward_relu(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        match &self.0 {
            Kind::Layers { conv, norm } => norm.forward_relu(&conv.forward(x)?, mode),
            Kind::Folded { conv, sizes } => {
                sizes.check(x, mode).and_then(|()| conv.forward(x, true))
            }
        }
    }
}

impl Sizes {
    fn check(self, x: &Tensor, mode: Mode) -> Result<()> {
        let wrong = |reason: String| Err(NnError::argument("convolution", reason));
        let (_, c, h, w) = x.dims4()?;
        if mode == Mode::Train {
            return wrong("a network that was loaded for inference cannot be trained".into());
        }
        if c != self.inputs {
            return wrong(format!("{c} channels where {} are wanted", self.inputs));
        }
        if h.min(w) + 2 * self.padding < self.kernel || x.elem_count() == 0 {
            let kernel = self.kernel;
            return wrong(format!(
                "a {h}×{w} image is smaller than the {kernel}×{kernel} kernel"
            ));
        }
        Ok(())
    }
}
