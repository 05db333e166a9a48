//! How a tensor starts when a model is trained from nothing.

use candle_core::{Device, Shape, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::Result;

/// First values of a tensor in a fresh store.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// All the same value.
    Const(f64),
    /// Independent normal values.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// Independent uniform values in `[-bound, bound]`.
    Uniform {
        /// Largest magnitude.
        bound: f64,
    },
    /// Uniform in `±1/sqrt(fan_in)`, what PyTorch gives linear and convolution layers
    /// (Kaiming uniform with `a = sqrt(5)`). Source: He et al. 2015, eq. 10.
    KaimingUniform {
        /// Inputs that one output sums over.
        fan_in: usize,
    },
    /// Standard normal rows and a last row of zeros: a table of vectors whose last row stands for padding, as PyTorch
    /// draws it.
    Table,
    /// Normal with mean 0, redrawn outside two standard deviations.
    TruncNormal {
        /// Standard deviation before truncation.
        std: f64,
    },
}

impl Init {
    /// Draws a tensor; the same seed and key always give the same values, in whatever order a model is built.
    pub(crate) fn draw(
        self,
        shape: &Shape,
        seed: u64,
        key: &str,
        device: &Device,
    ) -> Result<Tensor> {
        let count = shape.elem_count();
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ fnv1a(key));
        let values: Vec<f32> = match self {
            Init::Zeros => vec![0.0; count],
            Init::Ones => vec![1.0; count],
            Init::Const(value) => vec![value as f32; count],
            Init::Normal { mean, std } => (0..count)
                .map(|_| (mean + std * normal(&mut rng)) as f32)
                .collect(),
            Init::Uniform { bound } => uniform(&mut rng, count, bound),
            Init::KaimingUniform { fan_in } => {
                uniform(&mut rng, count, 1.0 / (fan_in.max(1) as f64).sqrt())
            }
            Init::Table => {
                let dim = shape.dims().last().copied().unwrap_or(0);
                let drawn = count.saturating_sub(dim);
                (0..drawn)
                    .map(|_| normal(&mut rng) as f32)
                    .chain(std::iter::repeat_n(0.0, count - drawn))
                    .collect()
            }
            Init::TruncNormal { std } => (0..count)
                .map(|_| {
                    loop {
                        let z = normal(&mut rng);
                        if z.abs() <= 2.0 {
                            break (std * z) as f32;
                        }
                    }
                })
                .collect(),
        };
        Ok(Tensor::from_vec(values, shape, device)?)
    }
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

fn uniform(rng: &mut ChaCha8Rng, count: usize, bound: f64) -> Vec<f32> {
    (0..count)
        .map(|_| ((rng.random::<f64>() * 2.0 - 1.0) * bound) as f32)
        .collect()
}

/// 64-bit FNV-1a, so that a key has the same hash on every platform.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
