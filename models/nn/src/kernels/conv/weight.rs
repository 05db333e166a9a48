//! The gradient of a convolution's weight: dot products of output gradients with shifted rows of the image.

use std::ops::Range;

use rayon::prelude::*;

use super::unrolled::{Geometry, Prepare, Unrolled};
use super::with_scratch;
use crate::kernels::simd::{self, Rows};

/// Gradient of the weight: `[outputs, depth]`.
pub(super) fn weight_gradient(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let u = Unrolled::new(g);
    let threads = rayon::current_num_threads();
    let size = g.outputs * g.depth();
    if g.batch < threads {
        let (tile_rows, _) = simd::dots_tile(u.offsets.starts().len());
        let rows = g.outputs.div_ceil(threads).next_multiple_of(tile_rows);
        let mut dw = vec![0.0; size];
        dw.par_chunks_mut(rows * g.depth())
            .enumerate()
            .for_each(|(i, dw)| {
                add_weight_gradient(g, &u, x, dy, 0..g.batch, i * rows, dw);
            });
        return dw;
    }
    // Each thread sums its share of the batch.
    let share = g.batch.div_ceil(threads);
    let shares: Vec<Vec<f32>> = (0..g.batch.div_ceil(share))
        .into_par_iter()
        .map(|i| {
            let mut dw = vec![0.0; size];
            add_weight_gradient(
                g,
                &u,
                x,
                dy,
                i * share..((i + 1) * share).min(g.batch),
                0,
                &mut dw,
            );
            dw
        })
        .collect();
    let mut shares = shares.into_iter();
    let mut total = shares.next().unwrap_or_default();
    for share in shares {
        for (sum, value) in total.iter_mut().zip(&share) {
            *sum += value;
        }
    }
    total
}

/// Adds the weight gradient of some images and of the output channels from `first` on, as many as `dw` holds.
fn add_weight_gradient(
    g: &Geometry,
    u: &Unrolled,
    x: &[f32],
    dy: &[f32],
    images: Range<usize>,
    first: usize,
    dw: &mut [f32],
) {
    let depth = g.depth();
    let rows = dw.len() / depth;
    // One row of dy on the pitch of the prepared image; the last output row needs no filling up.
    let (plane, ow, row) = (g.out_plane(), g.out_width(), u.len);
    let pitched = u.pitch != ow;
    // Enough images at once that the sums at the end of `dots` cost little, few enough to stay in cache.
    let floats = u.size + rows * row;
    let group = (1024usize.div_ceil(u.len))
        .min((256 * 1024 / floats).max(1))
        .min(images.len().max(1));
    let x_size = if u.how == Prepare::AsIs { 0 } else { u.size };
    let y_size = if pitched { rows * row } else { 0 };
    with_scratch(group * (x_size + y_size), |scratch| {
        let (prepared, filled) = scratch.split_at_mut(group * x_size);
        let mut next = images.start;
        while next < images.end {
            let count = group.min(images.end - next);
            for i in 0..count {
                if u.how != Prepare::AsIs {
                    let image = &x[(next + i) * g.image()..][..g.image()];
                    u.prepare(g, image, &mut prepared[i * u.size..][..u.size]);
                }
                if pitched {
                    let from = &dy[(next + i) * g.out_image() + first * plane..][..rows * plane];
                    let to = &mut filled[i * y_size..][..y_size];
                    for (from, to) in from.chunks_exact(plane).zip(to.chunks_exact_mut(row)) {
                        for (from, to) in from.chunks_exact(ow).zip(to.chunks_mut(u.pitch)) {
                            to[..ow].copy_from_slice(from);
                            to[ow..].fill(0.0);
                        }
                    }
                }
            }
            let (columns, x_image) = match u.how {
                Prepare::AsIs => (&x[next * g.image()..], g.image()),
                _ => (&*prepared, u.size),
            };
            let y = if pitched {
                (&*filled, 0, row, y_size)
            } else {
                (
                    dy,
                    next * g.out_image() + first * plane,
                    plane,
                    g.out_image(),
                )
            };
            add_dots(u, y, rows, columns, x_image, count, depth, dw);
            next += count;
        }
    });
}

#[allow(clippy::too_many_arguments)]
fn add_dots(
    u: &Unrolled,
    (data, first, stride, image): (&[f32], usize, usize, usize),
    rows: usize,
    columns: &[f32],
    x_image: usize,
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
                (u.len, images),
                out,
                depth,
            );
        }
    }
}
