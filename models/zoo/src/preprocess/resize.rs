//! Antialiased resizing in integer arithmetic, equal to Pillow's to the last grey level.
//!
//! Two passes, columns first, each rounded to 8 bits. A coefficient is a fixed-point number of 22 fractional bits. When the
//! image shrinks, the kernel widens by the same factor, so that every source pixel counts.
//! Source of the arithmetic: Pillow, `src/libImaging/Resample.c`.

use super::image8::Image8;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Fractional bits of a coefficient: 32 less 8 for the sample and 2 for overshoot.
const PRECISION_BITS: u32 = 22;

/// The interpolation kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// Piecewise cubic with a = -0.5, support 2.
    Bicubic,
    /// Triangle, support 1.
    Bilinear,
}

impl Filter {
    /// Half the kernel's width at scale 1, in pixels.
    fn support(self) -> f64 {
        match self {
            Self::Bicubic => 2.0,
            Self::Bilinear => 1.0,
        }
    }

    /// The kernel's value at distance `x`.
    fn weight(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

/// The free parameter of the piecewise cubic. Source: Keys 1981, eq. 4.
const A: f64 = -0.5;

/// One output sample: where its kernel starts in the source, and the kernel.
struct Taps {
    first: usize,
    coefficients: Vec<i32>,
}

/// The kernels of the output positions `wanted` when `from` samples become `to`.
fn taps(filter: Filter, from: usize, to: usize, wanted: Range<usize>) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let widening = scale.max(1.0);
    let support = filter.support() * widening;
    wanted
        .map(|i| {
            let centre = (i as f64 + 0.5) * scale;
            // Truncation towards zero and the half added before it are part of the reference.
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let weights: Vec<f64> = (first..end)
                .map(|x| filter.weight((x as f64 - centre + 0.5) / widening))
                .collect();
            let sum: f64 = weights.iter().sum();
            let coefficients = weights
                .iter()
                .map(|w| {
                    let fixed = w / sum * f64::from(1u32 << PRECISION_BITS);
                    (fixed + 0.5f64.copysign(fixed)) as i32
                })
                .collect();
            Taps {
                first,
                coefficients,
            }
        })
        .collect()
}

/// Rounds a fixed-point sum (which already holds the half) to 8 bits.
fn to_level(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// Resizes to `width` x `height` and returns the rectangle `columns` x `rows` of the result.
///
/// Only what the rectangle needs is computed; its levels are those of the whole result. The ranges lie inside
/// `0..width` and `0..height`, and are not empty.
pub fn resize_part(
    image: &Image8,
    filter: Filter,
    (width, height): (usize, usize),
    columns: Range<usize>,
    rows: Range<usize>,
) -> Image8 {
    let channels = image.channels;
    let vertical =
        (height != image.height).then(|| taps(filter, image.height, height, rows.clone()));
    let source_rows = match &vertical {
        Some(taps) => {
            let first = taps.iter().map(|t| t.first).min().unwrap_or(0);
            let end = taps.iter().map(|t| t.first + t.coefficients.len()).max();
            first..end.unwrap_or(0)
        }
        None => rows.clone(),
    };
    let narrow = if width == image.width {
        copy_columns(image, source_rows.clone(), columns.clone())
    } else {
        let taps = taps(filter, image.width, width, columns.clone());
        let pass = match channels {
            1 => horizontal::<1>,
            _ => horizontal::<3>,
        };
        pass(image, source_rows.clone(), &taps)
    };
    let data = match vertical {
        Some(taps) => down(&narrow, columns.len() * channels, source_rows.start, &taps),
        None => narrow,
    };
    Image8 {
        width: columns.len(),
        height: rows.len(),
        channels,
        data,
    }
}

/// Resizes the whole image to `width` x `height`.
pub fn resize(image: &Image8, filter: Filter, width: usize, height: usize) -> Image8 {
    resize_part(image, filter, (width, height), 0..width, 0..height)
}

fn copy_columns(image: &Image8, rows: Range<usize>, columns: Range<usize>) -> Vec<u8> {
    let stride = image.width * image.channels;
    let part = columns.start * image.channels..columns.end * image.channels;
    image.data[rows.start * stride..rows.end * stride]
        .chunks_exact(stride)
        .flat_map(|row| &row[part.clone()])
        .copied()
        .collect()
}

/// The pass along rows, for `C` interleaved channels.
fn horizontal<const C: usize>(image: &Image8, rows: Range<usize>, taps: &[Taps]) -> Vec<u8> {
    let stride = image.width * C;
    let mut out = vec![0u8; rows.len() * taps.len() * C];
    out.par_chunks_mut(taps.len() * C)
        .with_min_len(64)
        .zip(image.data[rows.start * stride..rows.end * stride].par_chunks(stride))
        .for_each(|(out, row)| {
            for (out, taps) in out.chunks_exact_mut(C).zip(taps) {
                let end = taps.first + taps.coefficients.len();
                let mut sums = [HALF; C];
                let pixels = row[taps.first * C..end * C].chunks_exact(C);
                for (pixel, &k) in pixels.zip(&taps.coefficients) {
                    for c in 0..C {
                        sums[c] += i32::from(pixel[c]) * k;
                    }
                }
                for c in 0..C {
                    out[c] = to_level(sums[c]);
                }
            }
        });
    out
}

/// The pass along columns; `narrow` starts at source row `first_row` and its rows are `stride` samples long.
fn down(narrow: &[u8], stride: usize, first_row: usize, taps: &[Taps]) -> Vec<u8> {
    let mut out = vec![0u8; taps.len() * stride];
    out.par_chunks_mut(stride)
        .with_min_len(16)
        .zip(taps)
        .for_each_init(
            || vec![0i32; stride],
            |sums, (out, taps)| {
                sums.fill(HALF);
                let start = (taps.first - first_row) * stride;
                let source = narrow[start..].chunks_exact(stride);
                for (row, &k) in source.zip(&taps.coefficients) {
                    for (sum, &v) in sums.iter_mut().zip(row) {
                        *sum += i32::from(v) * k;
                    }
                }
                for (out, &sum) in out.iter_mut().zip(sums.iter()) {
                    *out = to_level(sum);
                }
            },
        );
    out
}
