//! Dropout whose masks depend on a seed and on nothing else.

use candle_core::Tensor;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{NnError, Result, kernels};

/// Elements that a task draws.
const CHUNK: usize = 16 * 1024;

/// A source of dropout masks: the same seed and the same order of calls give the same masks, on any number of threads.
///
/// Source: Srivastava et al. 2014, section 4, with the scaling during training.
#[derive(Debug, Clone)]
pub struct Dropout {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Drawn { seed: u64, calls: u64 },
    Given(std::collections::VecDeque<Tensor>),
}

impl Dropout {
    /// Masks drawn from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            source: Source::Drawn { seed, calls: 0 },
        }
    }

    /// Given masks of zeros and ones, one a call; when they are used up nothing is dropped any more.
    ///
    /// This repeats what another implementation dropped.
    pub fn given(masks: impl IntoIterator<Item = Tensor>) -> Self {
        Self {
            source: Source::Given(masks.into_iter().collect()),
        }
    }

    /// Zeroes each element with probability `p` and scales the others by `1 / (1 − p)`.
    ///
    /// - `x`: any shape
    /// - returns the same shape
    ///
    /// Errors unless `0 ≤ p < 1`, or if a given mask has another shape.
    pub fn apply(&mut self, x: &Tensor, p: f64) -> Result<Tensor> {
        if !(0.0..1.0).contains(&p) {
            return Err(NnError::argument("dropout", format!("probability {p}")));
        }
        let keep = (1.0 / (1.0 - p)) as f32;
        let mask = match &mut self.source {
            _ if p == 0.0 => return Ok(x.clone()),
            Source::Drawn { seed, calls } => {
                *calls += 1;
                draw(*seed, *calls, x.elem_count(), p, keep)
            }
            Source::Given(masks) => {
                let Some(mask) = masks.pop_front() else {
                    return Ok(x.clone());
                };
                if mask.shape() != x.shape() {
                    let reason = format!("mask {:?} for {:?}", mask.shape(), x.shape());
                    return Err(NnError::argument("dropout", reason));
                }
                let mask = mask.to_dtype(candle_core::DType::F32)?.flatten_all()?;
                mask.to_vec1::<f32>()?
                    .into_iter()
                    .map(|v| v * keep)
                    .collect()
            }
        };
        kernels::mask(x, mask)
    }

    /// [`Dropout::apply`] if there is a source, else `x`: what a layer calls that is trained and used.
    pub fn maybe(dropout: &mut Option<&mut Self>, x: &Tensor, p: f64) -> Result<Tensor> {
        match dropout {
            Some(dropout) => dropout.apply(x, p),
            None => Ok(x.clone()),
        }
    }
}

/// The mask of one call; each task seeks to its place in the call's stream.
fn draw(seed: u64, call: u64, count: usize, p: f64, keep: f32) -> Vec<f32> {
    let threshold = (p * 2f64.powi(32)) as u32;
    let mut mask = vec![0.0; count];
    mask.par_chunks_mut(CHUNK)
        .enumerate()
        .for_each(|(i, mask)| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(call);
            rng.set_word_pos((i * CHUNK) as u128);
            for value in mask {
                *value = if rng.next_u32() < threshold {
                    0.0
                } else {
                    keep
                };
            }
        });
    mask
}
