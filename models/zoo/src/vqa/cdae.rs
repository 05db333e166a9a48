//! The convolutional denoising auto-encoder.

use candle_core::Tensor;
use lucency_nn::{Bias, Conv2d, ConvTranspose2d, Weights, ops};

use crate::{Result, ZooError};

/// An encoder of three convolutions and a decoder of two transposed and two plain ones.
///
/// Keys: `conv1` … `conv5`, `tran_conv1`, `tran_conv2`. Source: Nguyen et al. 2019, section 2.2; Masci et al. 2011.
#[derive(Debug, Clone)]
pub struct Cdae {
    encoder: [Conv2d; 3],
    grow: [ConvTranspose2d; 2],
    smooth: [Conv2d; 2],
}

/// Channels of the code.
const CODE: usize = 16;

impl Cdae {
    /// Loads both halves. Errors name the tensor that is missing or misshapen.
    pub fn load(weights: &Weights) -> Result<Self> {
        let conv = |name: &str, inputs, outputs| {
            Conv2d::load(&weights.pp(name), inputs, outputs, 3, 1, 1, Bias::Yes)
        };
        let grow = |name: &str, inputs, outputs| {
            ConvTranspose2d::load(&weights.pp(name), inputs, outputs, 3, 2, 1, 1)
        };
        Ok(Self {
            encoder: [
                conv("conv1", 1, 64)?,
                conv("conv2", 64, 32)?,
                conv("conv3", 32, CODE)?,
            ],
            grow: [grow("tran_conv1", CODE, 32)?, grow("tran_conv2", 32, 64)?],
            smooth: [conv("conv4", 32, 32)?, conv("conv5", 64, 1)?],
        })
    }

    /// Floats of the code of an image of side `side`.
    pub fn code_len(side: usize) -> usize {
        CODE * (side / 4) * (side / 4)
    }

    /// Encodes images.
    ///
    /// - `images`: `[b, 1, h, w]`, f32 in 0 to 1; sides are multiples of 4
    /// - returns `[b, 16, h / 4, w / 4]`
    ///
    /// Errors if the images have another shape.
    pub fn encode(&self, images: &Tensor) -> Result<Tensor> {
        let dims = images.dims();
        if dims.len() != 4 || dims[1] != 1 || dims[2..].iter().any(|n| *n == 0 || n % 4 != 0) {
            return Err(ZooError::PixelShape {
                wanted: "[b, 1, h, w] with sides that are multiples of 4".to_string(),
                found: dims.to_vec(),
            });
        }
        let [first, second, third] = &self.encoder;
        let x = first.forward_relu_pool(images)?; // [b, 64, h / 2, w / 2]
        let x = second.forward_relu_pool(&x)?; // [b, 32, h / 4, w / 4]
        Ok(third.forward_relu(&x)?)
    }

    /// Turns a code back into an image.
    ///
    /// - `code`: `[b, 16, h / 4, w / 4]`
    /// - returns `[b, 1, h, w]` in 0 to 1
    pub fn decode(&self, code: &Tensor) -> Result<Tensor> {
        let x = self.grow[0].forward_relu(code)?; // [b, 32, h / 2, w / 2]
        let x = self.smooth[0].forward_relu(&x)?;
        let logits = self.grow[1].forward_relu_then(&x, &self.smooth[1])?; // [b, 1, h, w] by way of [b, 64, h, w]
        Ok(ops::sigmoid(&logits)?)
    }

    /// Encodes and decodes.
    ///
    /// - `images`: as for [`Cdae::encode`], with noise when the auto-encoder is trained
    /// - returns the shape of `images`
    pub fn forward(&self, images: &Tensor) -> Result<Tensor> {
        self.decode(&self.encode(images)?)
    }
}
