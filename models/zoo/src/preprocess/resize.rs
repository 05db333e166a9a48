//! Antialiased resizing in integer arithmetic, equal to Pillow's to the last grey level.
//!
//! Two passes, each rounded to 8 bits, along rows first unless the image loses much more height than width. A coefficient is a
//! fixed-point number of 22 fractional bits. When the image shrinks, the kernel widens by the same factor, so that every source
//! pixel counts. Source of the arithmetic: Pillow 13, `src/libImaging/Resample.c`.

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

/// Where the antialiased kernel of output sample `i` starts in a source of `from` samples, and its weights, whose sum is one.
///
/// - `scale`: source samples an output sample
pub(crate) fn kernel(filter: Filter, scale: f64, from: usize, i: usize) -> (usize, Vec<f64>) {
    let widening = scale.max(1.0);
    let support = filter.support() * widening;
    let centre = (i as f64 + 0.5) * scale;
    // Truncation towards zero and the half added before it are part of the reference.
    let first = (centre - support + 0.5).max(0.0) as usize;
    let end = ((centre + support + 0.5) as usize).min(from);
    let mut weights: Vec<f64> = (first..end)
        .map(|x| filter.weight((x as f64 - centre + 0.5) * (1.0 / widening)))
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= sum);
    (first, weights)
}

/// The kernels of the output positions `wanted` when `from` samples become `to`.
fn taps(filter: Filter, from: usize, to: usize, wanted: Range<usize>) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    wanted
        .map(|i| {
            let (first, weights) = kernel(filter, scale, from, i);
            let coefficients = weights
                .iter()
                .map(|w| {
                    let fixed = w * f64::from(1u32 << PRECISION_BITS);
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
    let across = (width != image.width).then(|| taps(filter, image.width, width, columns.clone()));
    let down = (height != image.height).then(|| taps(filter, image.height, height, rows.clone()));
    let source_columns = across.as_deref().map_or(columns.clone(), reach);
    let source_rows = down.as_deref().map_or(rows.clone(), reach);
    let along_rows = |data: &[u8], stride: usize, first: usize, taps: &[Taps]| match channels {
        1 => horizontal::<1>(data, stride, first, taps),
        _ => horizontal::<3>(data, stride, first, taps),
    };
    let band = {
        let stride = image.width * channels;
        &image.data[source_rows.start * stride..source_rows.end * stride]
    };
    let data = match (across, down) {
        (Some(across), Some(down)) if loses_height(image, width, height) => {
            let block = cut_columns(
                band,
                image.width * channels,
                channels,
                source_columns.clone(),
            );
            let stride = source_columns.len();
            let low = vertical(&block, stride * channels, source_rows.start, &down);
            along_rows(&low, stride, source_columns.start, &across)
        }
        (Some(across), Some(down)) => {
            let narrow = along_rows(band, image.width, 0, &across);
            vertical(&narrow, columns.len() * channels, source_rows.start, &down)
        }
        (Some(across), None) => along_rows(band, image.width, 0, &across),
        (None, down) => {
            let block = cut_columns(band, image.width * channels, channels, columns.clone());
            match down {
                Some(down) => vertical(&block, columns.len() * channels, source_rows.start, &down),
                None => block,
            }
        }
    };
    Image8 {
        width: columns.len(),
        height: rows.len(),
        channels,
        data,
    }
}

/// Whether the pass along columns comes first: when more than twice as many rows vanish as columns. Older versions than
/// Pillow 13 always begin along rows, which can differ by a level.
fn loses_height(image: &Image8, width: usize, height: usize) -> bool {
    let lost = |from: usize, to: usize| from as i128 - to as i128;
    height < image.height && lost(image.height, height) > 2 * lost(image.width, width)
}

/// The source positions that kernels reach.
fn reach(taps: &[Taps]) -> Range<usize> {
    let first = taps.iter().map(|t| t.first).min().unwrap_or(0);
    let end = taps.iter().map(|t| t.first + t.coefficients.len()).max();
    first..end.unwrap_or(first)
}

/// Resizes the whole image to `width` x `height`.
pub fn resize(image: &Image8, filter: Filter, width: usize, height: usize) -> Image8 {
    resize_part(image, filter, (width, height), 0..width, 0..height)
}

/// Cuts columns out of rows that are `stride` samples long.
fn cut_columns(rows: &[u8], stride: usize, channels: usize, columns: Range<usize>) -> Vec<u8> {
    let part = columns.start * channels..columns.end * channels;
    rows.chunks_exact(stride)
        .flat_map(|row| &row[part.clone()])
        .copied()
        .collect()
}

/// The pass along rows of `stride` pixels with `C` interleaved channels; the first pixel is source column `first_column`.
fn horizontal<const C: usize>(
    rows: &[u8],
    stride: usize,
    first_column: usize,
    taps: &[Taps],
) -> Vec<u8> {
    let mut out = vec![0u8; rows.len() / (stride * C) * taps.len() * C];
    out.par_chunks_mut(taps.len() * C)
        .with_min_len(64)
        .zip(rows.par_chunks(stride * C))
        .for_each(|(out, row)| {
            for (out, taps) in out.chunks_exact_mut(C).zip(taps) {
                let first = taps.first - first_column;
                let end = first + taps.coefficients.len();
                let mut sums = [HALF; C];
                let pixels = row[first * C..end * C].chunks_exact(C);
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

/// The pass along columns of rows that are `stride` samples long; the first row is source row `first_row`.
fn vertical(rows: &[u8], stride: usize, first_row: usize, taps: &[Taps]) -> Vec<u8> {
    let mut out = vec![0u8; taps.len() * stride];
    out.par_chunks_mut(stride)
        .with_min_len(16)
        .zip(taps)
        .for_each_init(
            || vec![0i32; stride],
            |sums, (out, taps)| {
                sums.fill(HALF);
                let start = (taps.first - first_row) * stride;
                let source = rows[start..].chunks_exact(stride);
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
