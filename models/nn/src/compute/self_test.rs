//! A small network computed on a device and on the processor: the same results, and in what time.

use std::time::Instant;

use candle_core::{DType, Device, Tensor, Var};

use super::Place;
use crate::{
    Activation, AttentionKeys, Bias, Conv2d, LayerNorm, Linear, Mask, MultiHeadAttention,
    Precision, Result, Weights, ops,
};

/// Images of the test.
const BATCH: usize = 4;
/// Their side; patches are [`PATCH`] wide.
const SIDE: usize = 112;
const PATCH: usize = 8;
const WIDTH: usize = 256;
const HEADS: usize = 4;
const SEED: u64 = 20;
/// Passes that are timed; the fastest counts.
const PASSES: usize = 3;

/// How a device did: patches, layer norm, attention, two affine maps, GELU, softmax and their gradients, beside the processor.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfTest {
    /// Largest difference of a result or a gradient, relative to the largest value of the processor's.
    pub error: f64,
    /// Largest difference that the device's type of numbers allows.
    pub tolerance: f64,
    /// Fastest forward pass on the device, with the way there and back, milliseconds.
    pub device_ms: f64,
    /// Fastest forward pass on the processor, milliseconds.
    pub processor_ms: f64,
}

impl SelfTest {
    /// Tests a place.
    ///
    /// Errors if something cannot be computed there.
    pub(super) fn run(place: &Place) -> Result<Self> {
        let (elsewhere, here) = (Network::at(place)?, Network::at(&Place::processor())?);
        let (y, dx) = elsewhere.with_gradient()?;
        let (wanted, wanted_dx) = here.with_gradient()?;
        Ok(Self {
            error: difference(&y, &wanted)?.max(difference(&dx, &wanted_dx)?),
            tolerance: tolerance(place.precision),
            device_ms: elsewhere.fastest()?,
            processor_ms: here.fastest()?,
        })
    }

    /// Whether the results are the processor's.
    pub fn passes(&self) -> bool {
        self.error <= self.tolerance // which a NaN is not
    }
}

/// A few units in the last place, through some thirty operations.
fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::F32 | Precision::F64 => 2e-4,
        Precision::F16 => 1e-2,
        Precision::Bf16 | Precision::Mixed => 8e-2,
    }
}

struct Network {
    device: Device,
    dtype: DType,
    patches: Conv2d,
    norms: [LayerNorm; 2],
    attention: MultiHeadAttention,
    up: Linear,
    down: Linear,
    pixels: Tensor,
}

impl Network {
    fn at(place: &Place) -> Result<Self> {
        let weights = Weights::fresh(SEED, &place.device).in_precision(place.precision);
        let norm = |name: &str| LayerNorm::load(&weights.pp(name), WIDTH, 1e-5);
        let linear = |name: &str, inputs, outputs| {
            Linear::load(&weights.pp(name), inputs, outputs, Bias::Yes)
        };
        // Values from -1 to 1 that no generator has to agree on.
        let count = BATCH * 3 * SIDE * SIDE;
        let pixels: Vec<f32> = (0..count)
            .map(|i| ((i % 1013) as f32 * 0.7).sin())
            .collect();
        Ok(Self {
            patches: Conv2d::load(&weights.pp("patches"), 3, WIDTH, PATCH, PATCH, 0, Bias::Yes)?,
            norms: [norm("norm1")?, norm("norm2")?],
            attention: MultiHeadAttention::load(
                &weights.pp("attention"),
                WIDTH,
                HEADS,
                AttentionKeys::Split,
            )?,
            up: linear("up", WIDTH, 4 * WIDTH)?,
            down: linear("down", 4 * WIDTH, WIDTH)?,
            pixels: Tensor::from_vec(pixels, (BATCH, 3, SIDE, SIDE), &Device::Cpu)?,
            device: place.device.clone(),
            dtype: place.precision.compute(),
        })
    }

    /// - `pixels`: on the processor, `[b, 3, side, side]`
    /// - returns on the processor, `[b, tokens, width]`, f32
    fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let x = pixels.to_device(&self.device)?.to_dtype(self.dtype)?;
        let x = self.patches.forward(&x)?; // [b, width, rows, columns]
        let x = x.flatten_from(2)?.transpose(1, 2)?.contiguous()?; // [b, tokens, width]
        let x = (&x
            + self
                .attention
                .forward(&self.norms[0].forward(&x)?, &Mask::None)?)?;
        let hidden = self.up.forward(&self.norms[1].forward(&x)?)?;
        let hidden = Activation::GeluErf.forward(&hidden)?;
        let x = (&x + self.down.forward(&hidden)?)?;
        let x = ops::softmax_last(&x)?;
        Ok(x.to_device(&Device::Cpu)?.to_dtype(DType::F32)?)
    }

    fn with_gradient(&self) -> Result<(Tensor, Tensor)> {
        let pixels = Var::from_tensor(&self.pixels)?;
        let y = self.forward(pixels.as_tensor())?;
        let loss = y.sqr()?.sum_all()?;
        let gradients = loss.backward()?;
        let dx = match gradients.get(pixels.as_tensor()) {
            Some(dx) => dx.clone(),
            None => self.pixels.zeros_like()?,
        };
        Ok((y.detach(), dx))
    }

    fn fastest(&self) -> Result<f64> {
        let mut fastest = f64::INFINITY;
        for _ in 0..PASSES {
            let begin = Instant::now();
            self.forward(&self.pixels)?;
            fastest = fastest.min(begin.elapsed().as_secs_f64() * 1e3);
        }
        Ok(fastest)
    }
}

/// Largest difference relative to the largest value.
fn difference(found: &Tensor, wanted: &Tensor) -> Result<f64> {
    let largest = |t: &Tensor| t.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>();
    let apart = largest(&(found.to_dtype(DType::F32)? - wanted)?)?;
    Ok(f64::from(apart) / f64::from(largest(wanted)?).max(f64::MIN_POSITIVE))
}
