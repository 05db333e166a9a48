//! The meta-learned image encoder.

use candle_core::Tensor;
use lucency_nn::{BatchNorm2d, Bias, Conv2d, Mode, Weights};

use crate::{Result, ZooError};

/// Four strided convolutions, each followed by a ReLU and then a batch norm, averaged over positions.
///
/// Keys: `conv1` … `conv4` and `conv1_bn` … `conv4_bn`. A released MAML has no batch norms; laid under a fresh store with
/// [`Weights::overlay`] they start as PyTorch's. Source: Nguyen et al. 2019, section 2.1; the learning: Finn et al. 2017.
#[derive(Debug, Clone)]
pub struct MamlCnn {
    layers: Vec<(Conv2d, BatchNorm2d)>,
}

/// Channels of every layer.
const CHANNELS: usize = 64;
/// Side of the images.
const SIDE: usize = 84;
const EPS: f64 = 1e-5;
const MOMENTUM: f64 = 0.05;

impl MamlCnn {
    /// Loads the four layers. Errors name the tensor that is missing or misshapen.
    pub fn load(weights: &Weights) -> Result<Self> {
        let layer = |i: usize| -> Result<(Conv2d, BatchNorm2d)> {
            let inputs = if i == 1 { 1 } else { CHANNELS };
            let conv = weights.pp(format!("conv{i}"));
            let norm = weights.pp(format!("conv{i}_bn"));
            Ok((
                Conv2d::load(&conv, inputs, CHANNELS, 3, 2, 1, Bias::Yes)?,
                BatchNorm2d::load(&norm, CHANNELS, EPS)?.with_momentum(MOMENTUM),
            ))
        };
        Ok(Self {
            layers: (1..=4).map(layer).collect::<Result<_>>()?,
        })
    }

    /// Encodes images.
    ///
    /// - `images`: `[b, 1, 84, 84]`, f32 in 0 to 1
    /// - returns `[b, 64]`
    ///
    /// Errors if the images have another shape.
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Result<Tensor> {
        if images.rank() != 4 || images.dims()[1..] != [1, SIDE, SIDE] {
            return Err(ZooError::PixelShape {
                wanted: format!("[b, 1, {SIDE}, {SIDE}]"),
                found: images.dims().to_vec(),
            });
        }
        let mut x = images.clone();
        for (conv, norm) in &self.layers {
            x = norm.forward(&conv.forward_relu(&x)?, mode)?; // [b, 64, ⌈side / 2⌉, ..]
        }
        Ok(x.flatten_from(2)?.mean(2)?)
    }
}
