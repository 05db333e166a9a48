//! Learned positions of a square grid, interpolated for images of other sizes.

use super::config::{DinoConfig, Resizing};
use super::init::DRAWN;
use crate::error::Result;
use crate::preprocess::{Filter, resize};
use candle_core::Tensor;
use lucency_nn::Weights;
use std::sync::{Arc, Mutex, PoisonError};

/// A vector for the class token and one for every place of a square grid.
#[derive(Debug, Clone)]
pub(super) struct Positions {
    class: Tensor,
    /// `[side, side, width]`
    places: Tensor,
    side: usize,
    resizing: Resizing,
    /// The last grid that was not the learned one, if nothing trains the vectors.
    last: Arc<Mutex<Option<Resized>>>,
}

#[derive(Debug, Clone)]
struct Resized {
    grid: (usize, usize),
    /// `[1, rows · columns, width]`
    places: Tensor,
}

impl Positions {
    /// Loads `pos_embed` `[1, 1 + side², width]`, the class token's first.
    pub(super) fn load(weights: &Weights, config: &DinoConfig) -> Result<Self> {
        let (side, width) = (config.grid(), config.width);
        let table = weights.get((1, 1 + side * side, width), "pos_embed", DRAWN)?;
        let places = table.narrow(1, 1, side * side)?.contiguous()?;
        Ok(Self {
            class: table.narrow(1, 0, 1)?,
            places: places.reshape((side, side, width))?,
            side,
            resizing: config.resizing,
            last: Arc::default(),
        })
    }

    /// Of the class token, `[1, 1, width]`.
    pub(super) fn class(&self) -> &Tensor {
        &self.class
    }

    /// Of a grid's patches row by row, `[1, rows · columns, width]`. Gradients flow to the learned vectors.
    pub(super) fn places(&self, rows: usize, columns: usize) -> Result<Tensor> {
        if (rows, columns) == (self.side, self.side) {
            return Ok(self.places.flatten(0, 1)?.unsqueeze(0)?);
        }
        if self.places.track_op() {
            return self.resized(rows, columns);
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = last.as_ref().filter(|kept| kept.grid == (rows, columns)) {
            return Ok(kept.places.clone());
        }
        let places = self.resized(rows, columns)?;
        *last = Some(Resized {
            grid: (rows, columns),
            places: places.clone(),
        });
        Ok(places)
    }

    /// Interpolates along the columns of the grid and then along its rows.
    fn resized(&self, rows: usize, columns: usize) -> Result<Tensor> {
        let (side, width) = (self.side, self.places.dim(2)?);
        let along = |to: usize| -> Result<Tensor> {
            let matrix = matrix(self.resizing, side, to);
            let matrix = Tensor::from_vec(matrix, (to, side), self.places.device())?;
            Ok(matrix.to_dtype(self.places.dtype())?)
        };
        let tall = along(rows)?.matmul(&self.places.reshape((side, side * width))?)?;
        let tall = tall.reshape((rows, side, width))?;
        let across = along(columns)?.unsqueeze(0)?;
        let places = across.broadcast_matmul(&tall)?; // [rows, columns, width]
        Ok(places.reshape((1, rows * columns, width))?)
    }
}

/// Weights of `from` samples in each of `to` samples, `[to, from]`; the ends of the axes coincide.
///
/// Source: PyTorch, `interpolate(mode="bicubic", align_corners=False)`, with `antialias` or without.
fn matrix(resizing: Resizing, from: usize, to: usize) -> Vec<f32> {
    // The published code passes `(to + offset) / from` as the scale, and PyTorch takes that in place of the sizes' ratio.
    let scale = from as f64 / (to as f64 + resizing.offset);
    let mut matrix = vec![0.0; to * from];
    for (i, row) in matrix.chunks_exact_mut(from).enumerate() {
        if resizing.antialias {
            let (first, weights) = resize::kernel(Filter::Bicubic, scale, from, i);
            for (cell, weight) in row[first..].iter_mut().zip(weights) {
                *cell = weight as f32;
            }
            continue;
        }
        let centre = (i as f64 + 0.5) * scale - 0.5;
        let first = centre.floor() as i64 - 1;
        for tap in first..first + 4 {
            // What lies outside has the value of the edge.
            let place = tap.clamp(0, from as i64 - 1) as usize;
            row[place] += cubic(tap as f64 - centre) as f32;
        }
    }
    matrix
}

/// The piecewise cubic with a = -0.75. Source: Keys 1981, eq. 4.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.75;
    let x = x.abs();
    match x {
        x if x <= 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => ((x - 5.0) * x + 8.0) * x * A - 4.0 * A,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use candle_core::{Device, safetensors};
    use std::path::Path;

    /// PyTorch's interpolation of the reference's positions; the numbers lie in `tests/vectors/dinov2`.
    #[test]
    fn interpolated_positions_equal_the_published_code_with_and_without_antialias() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/dinov2");
        let read = |file| safetensors::load(folder.join(file), &Device::Cpu).unwrap();
        let (weights, wanted) = (read("weights.safetensors"), read("outputs.safetensors"));
        let text = std::fs::read_to_string(folder.join("config.json")).unwrap();
        for (resizing, suffix) in [
            (Resizing::ANTIALIASED, ""),
            (Resizing::OFFSET, "_offset01_no_antialias"),
        ] {
            let mut config = DinoConfig::from_config_json(&text).unwrap();
            config.resizing = resizing;
            let weights = Weights::from_tensors(weights.clone(), "the reference");
            let positions = Positions::load(&weights.pp("img_encoder_q.model"), &config).unwrap();
            for side in [4, 7] {
                let wanted = &wanted[&format!("pos_embed_interp_{side}x{side}{suffix}")];
                let found = |positions: &Positions| {
                    let places = positions.places(side, side).unwrap();
                    Tensor::cat(&[positions.class(), &places], 1).unwrap()
                };
                // The second time they are kept from the first.
                for _ in 0..2 {
                    let off = (found(&positions) - wanted).unwrap().abs().unwrap();
                    let off = off.max_all().unwrap().to_scalar::<f32>().unwrap();
                    assert!(off <= 1e-5, "{side}{suffix} is {off:e} away");
                }
            }
        }
    }
}
