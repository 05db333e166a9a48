//! A convolution and the batch normalisation behind it.

use candle_core::Tensor;

use crate::kernels::FrozenConv;
use crate::{BatchNorm2d, Bias, Conv2d, Init, Mode, NnError, Result, Weights, ops};

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

    /// Whether the layer was loaded for inference, so that [`NormedConv2d::forward_last`] takes it.
    pub fn is_folded(&self) -> bool {
        matches!(self.0, Kind::Folded { .. })
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
            Kind::Folded { .. } => self.turned(x, mode, false),
        }
    }

    /// [`NormedConv2d::forward`] and then `max(·, 0)`.
    pub fn forward_relu(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        match &self.0 {
            Kind::Layers { conv, norm } => norm.forward_relu(&conv.forward(x)?, mode),
            Kind::Folded { .. } => self.turned(x, mode, true),
        }
    }

    fn turned(&self, x: &Tensor, mode: Mode, relu: bool) -> Result<Tensor> {
        let y = self.forward_last(&ops::channels_last(x)?, None, relu, mode)?;
        ops::channels_first(&y)
    }

    /// Convolves and normalises an image with channels innermost, in one pass with what follows.
    ///
    /// - `x`: `[b, h, w, inputs]`, f32
    /// - `shortcut`: added to the result, `[b, h', w', outputs]`
    /// - `relu`: whether `max(·, 0)` comes last
    /// - returns `[b, h', w', outputs]`
    ///
    /// Errors unless the layer [is folded](NormedConv2d::is_folded), in training, and if a shape does not fit.
    pub fn forward_last(
        &self,
        x: &Tensor,
        shortcut: Option<&Tensor>,
        relu: bool,
        mode: Mode,
    ) -> Result<Tensor> {
        match &self.0 {
            Kind::Layers { .. } => Err(NnError::argument(
                "convolution",
                "channels are innermost in networks that were loaded for inference alone",
            )),
            Kind::Folded { conv, sizes } => {
                let (_, h, w, c) = x.dims4()?;
                sizes.check([c, h, w], x.elem_count(), mode)?;
                conv.forward(x, shortcut, relu)
            }
        }
    }
}

impl Sizes {
    fn check(self, [c, h, w]: [usize; 3], elements: usize, mode: Mode) -> Result<()> {
        let wrong = |reason: String| Err(NnError::argument("convolution", reason));
        if mode == Mode::Train {
            return wrong("a network that was loaded for inference cannot be trained".into());
        }
        if c != self.inputs {
            return wrong(format!("{c} channels where {} are wanted", self.inputs));
        }
        if h.min(w) + 2 * self.padding < self.kernel || elements == 0 {
            let kernel = self.kernel;
            return wrong(format!(
                "a {h}×{w} image is smaller than the {kernel}×{kernel} kernel"
            ));
        }
        Ok(())
    }
}
