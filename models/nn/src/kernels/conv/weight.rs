//! The gradient of a convolution's weight: dot products of output gradients with shifted rows of the image.

use std::ops::Range;

use rayon::prelude::*;

use super::packed::with_scratch;
use super::slope::Slope;
use super::unrolled::{Geometry, Unrolled};
use crate::kernels::math::sum1;
use crate::kernels::simd::{self, Rows, vectorised};

/// Floats of output gradients that are laid out at once.
const AT_ONCE: usize = 128 * 1024;

/// Gradient of the weight `[outputs, depth]` and of the bias `[outputs]`.
///
/// - `keep`: if given, a pixel of `x` counts only where this is positive
pub(super) fn weight_gradient(
    g: &Geometry,
    x: &[f32],
    keep: Option<&[f32]>,
    slope: Slope<'_>,
) -> (Vec<f32>, Vec<f32>) {
    let u = Unrolled::new(g);
    let threads = rayon::current_num_threads();
    let part = Part {
        g,
        u: &u,
        x,
        keep,
        slope,
    };
    let mut sums = Sums::new(g, g.outputs);
    if g.batch < threads {
        let (tile_rows, _) = simd::dots_tile(u.offsets.starts().len());
        let rows = g.outputs.div_ceil(threads).next_multiple_of(tile_rows);
        let weights = sums.weight.par_chunks_mut(rows * g.depth());
        weights
            .zip(sums.bias.par_chunks_mut(rows))
            .enumerate()
            .for_each(|(i, (weight, bias))| part.add(0..g.batch, i * rows, weight, bias));
        return (sums.weight, sums.bias);
    }
    // Each thread sums its share of the batch.
    let share = g.batch.div_ceil(threads);
    let shares: Vec<Sums> = (0..g.batch.div_ceil(share))
        .into_par_iter()
        .map(|i| {
            let mut sums = Sums::new(g, g.outputs);
            let images = i * share..((i + 1) * share).min(g.batch);
            part.add(images, 0, &mut sums.weight, &mut sums.bias);
            sums
        })
        .collect();
    for share in shares {
        let add = |to: &mut [f32], from: &[f32]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        };
        add(&mut sums.weight, &share.weight);
        add(&mut sums.bias, &share.bias);
    }
    (sums.weight, sums.bias)
}

struct Sums {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Sums {
    fn new(g: &Geometry, rows: usize) -> Self {
        Self {
            weight: vec![0.0; rows * g.depth()],
            bias: vec![0.0; rows],
        }
    }
}

/// What a weight gradient is computed from.
struct Part<'a> {
    g: &'a Geometry,
    u: &'a Unrolled,
    x: &'a [f32],
    keep: Option<&'a [f32]>,
    slope: Slope<'a>,
}

impl Part<'_> {
    /// Adds the gradients of some images and of the output channels from `first` on, as many as `bias` holds.
    fn add(&self, images: Range<usize>, first: usize, weight: &mut [f32], bias: &mut [f32]) {
        let (g, u) = (self.g, self.u);
        // Enough images at once that the sums at the end of `dots` cost little, few enough to stay in cache.
        let floats = u.size + bias.len() * u.len();
        let group = 1024usize
            .div_ceil(u.len())
            .min((256 * 1024 / floats).max(1))
            .min(images.len().max(1));
        with_scratch(group * u.size, |columns| {
            for next in images.clone().step_by(group) {
                let some = next..(next + group).min(images.end);
                if u.size > 0 {
                    for (out, i) in columns.chunks_exact_mut(u.size).zip(some.clone()) {
                        let span = i * g.image()..(i + 1) * g.image();
                        let keep = self.keep.map(|keep| &keep[span.clone()]);
                        u.prepare(g, &self.x[span], keep, out);
                    }
                    add_products(
                        g,
                        u,
                        (columns, u.size),
                        self.slope,
                        some,
                        first,
                        weight,
                        bias,
                    );
                } else {
                    let from = &self.x[next * g.image()..];
                    add_products(
                        g,
                        u,
                        (from, g.image()),
                        self.slope,
                        some,
                        first,
                        weight,
                        bias,
                    );
                }
            }
        });
    }
}

/// Adds the products of some images' output gradients with their columns.
///
/// - `columns`: prepared images, and floats from one to the next
#[allow(clippy::too_many_arguments)]
pub(super) fn add_products(
    g: &Geometry,
    u: &Unrolled,
    columns: (&[f32], usize),
    slope: Slope<'_>,
    images: Range<usize>,
    first: usize,
    weight: &mut [f32],
    bias: &mut [f32],
) {
    let (depth, len, plane) = (g.depth(), u.len(), g.out_plane());
    if let (Some(dy), true) = (slope.plain(), u.pitch == g.out_width()) {
        let rows = bias.len();
        let start = images.start * g.out_image() + first * plane;
        let y = (dy, start, plane, g.out_image());
        for i in 0..images.len() {
            let dy = &dy[start + i * g.out_image()..][..rows * plane];
            add_sums(dy, plane, bias);
        }
        return add_dots(u, y, rows, columns, images.len(), depth, weight);
    }
    // Rows of the gradient on the pitch of the prepared image; the last output row needs no filling up.
    let (tile_rows, _) = simd::dots_tile(u.offsets.starts().len());
    let step = (AT_ONCE / (len * images.len()) / tile_rows).max(1) * tile_rows;
    let (ow, most) = (g.out_width(), step.min(bias.len()));
    let parts = weight.chunks_mut(step * depth).zip(bias.chunks_mut(step));
    with_scratch(most * len * images.len(), |filled| {
        for (part, (weight, bias)) in parts.enumerate() {
            let (rows, image) = (bias.len(), bias.len() * len);
            for (image, filled) in images.clone().zip(filled.chunks_exact_mut(image)) {
                for (i, to) in filled.chunks_exact_mut(len).enumerate() {
                    let channel = first + part * step + i;
                    slope.write(g, image * g.outputs + channel, to, u.pitch);
                    to.chunks_mut(u.pitch).for_each(|row| row[ow..].fill(0.0));
                }
                add_sums(filled, len, bias);
            }
            let y = (&*filled, 0, len, image);
            add_dots(u, y, rows, columns, images.len(), depth, weight);
        }
    });
}

vectorised! {
    /// Adds the sum of each row to `sums`.
    fn add_sums(rows: &[f32], len: usize, sums: &mut [f32]) {
        for (sum, row) in sums.iter_mut().zip(rows.chunks_exact(len)) {
            *sum += row.chunks(512).map(|part| sum1(part, |v| v)).sum::<f32>();
        }
    }
}

fn add_dots(
    u: &Unrolled,
    (data, first, stride, image): (&[f32], usize, usize, usize),
    rows: usize,
    (columns, x_image): (&[f32], usize),
    images: usize,
    depth: usize,
    dw: &mut [f32],
) {
    let tile = simd::dots_tile(u.offsets.starts().len());
    for r in (0..rows).step_by(tile.0) {
        let y = Rows {
            data,
            first: first + r * stride,
            stride,
            count: tile.0.min(rows - r),
            image,
        };
        for (s, offsets) in u.offsets.starts().chunks(tile.1).enumerate() {
            let out = &mut dw[r * depth + s * tile.1..];
            simd::dots(
                tile,
                y,
                columns,
                offsets,
                x_image,
                (u.len(), images),
                out,
                depth,
            );
        }
    }
}
