//! Convolution without an unrolled image: with stride 1, row `(channel, ky, kx)` of the unrolled image is the padded
//! image itself, shifted, so a tile of the output is a product of packed weights with shifted rows that stay in cache.
//!
//! Positions are counted on the padded width ("pitch"); the few columns that this computes too many are not stored.
//! Larger strides unroll the image first and then use the same loops.

mod unrolled;
mod weight;

use std::cell::RefCell;

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use super::fused::{Fused2, with_floats};
use super::simd;
use crate::Result;
use unrolled::{Geometry, Prepare, Unrolled, roll};
use weight::weight_gradient;

/// Convolves `x` `[b, in, h, w]` with `weight` `[out, in, k, k]`; gradients for whichever of them is tracked.
pub(crate) fn conv2d(x: &Tensor, weight: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    let (batch, inputs, height, width) = x.dims4()?;
    let (outputs, _, kernel, _) = weight.dims4()?;
    let g = Geometry {
        batch,
        inputs,
        outputs,
        height,
        width,
        kernel,
        stride,
        padding,
    };
    let op = Fused2 {
        name: "conv2d",
        forward: move |x: &[f32], w: &[f32]| {
            let packed = pack(g.outputs, g.depth(), |o, i| w[o * g.depth() + i]);
            let shape = Shape::from((g.batch, g.outputs, g.out_height(), g.out_width()));
            (run(&g, &packed, x), shape)
        },
        backward: move |x: &Tensor, w: &Tensor, _: &Tensor, dy: &Tensor| {
            let dx = match x.track_op() {
                true => {
                    let dx = with_floats(w, |w| with_floats(dy, |dy| input_gradient(&g, w, dy)))??;
                    Some(Tensor::from_vec(dx, x.shape(), x.device())?)
                }
                false => None,
            };
            let dw = match w.track_op() {
                true => {
                    let dw = with_floats(x, |x| with_floats(dy, |dy| weight_gradient(&g, x, dy)))??;
                    Some(Tensor::from_vec(dw, w.shape(), w.device())?)
                }
                false => None,
            };
            Ok((dx, dw))
        },
    };
    Ok(x.contiguous()?.apply_op2(&weight.contiguous()?, op)?)
}

/// Weights in the order in which tiles read them: `[rows / tile, depth, tile]`, missing rows zero.
fn pack(rows: usize, depth: usize, at: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let (tile, _) = simd::tile();
    let mut packed = vec![0.0; rows.div_ceil(tile) * depth * tile];
    for (block, panel) in packed.chunks_exact_mut(depth * tile).enumerate() {
        for (k, column) in panel.chunks_exact_mut(tile).enumerate() {
            for (i, value) in column.iter_mut().enumerate() {
                let row = block * tile + i;
                if row < rows {
                    *value = at(row, k);
                }
            }
        }
    }
    packed
}

thread_local! {
    static SCRATCH: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends a buffer of `len` floats with arbitrary content. Buffers are kept by thread; a thread may hold several, since
/// waiting for other threads can start another task on it.
fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    let result = f(&mut buffer[..len]);
    SCRATCH.with_borrow_mut(|kept| kept.push(buffer));
    result
}

/// `rows` output channels from packed weights over a prepared image; `out` is `[rows, out_plane]`.
fn correlate(g: &Geometry, u: &Unrolled, packed: &[f32], image: &[f32], out: &mut [f32]) {
    let (tile_rows, tile_columns) = simd::tile();
    let (plane, ow) = (g.out_plane(), g.out_width());
    let rows = out.len() / plane;
    // Tiles of nearly equal width waste less than full ones and a remainder.
    let tiles = u.len.div_ceil(tile_columns);
    let width = u.len.div_ceil(tiles).next_multiple_of(16).min(tile_columns);
    let mut tile = [0.0f32; 8 * 48];
    for start in (0..u.len).step_by(width) {
        let width = width.min(u.len - start);
        let panels = packed.chunks_exact(u.offsets.starts().len() * tile_rows);
        for (panel, out) in panels.zip(out.chunks_mut(tile_rows * plane)) {
            let count = out.len() / plane;
            if u.pitch == ow {
                let out = &mut out[start..];
                simd::correlate_tile(panel, image, &u.offsets, start, (count, width), out, plane);
                continue;
            }
            simd::correlate_tile(
                panel,
                image,
                &u.offsets,
                start,
                (count, width),
                &mut tile,
                tile_columns,
            );
            for (from, to) in tile
                .chunks_exact(tile_columns)
                .zip(out.chunks_exact_mut(plane))
            {
                unpitch(&from[..width], start, u.pitch, ow, to);
            }
        }
    }
    debug_assert_eq!(rows, out.len() / plane);
}

/// Copies what lies in output columns from a run of pitched positions.
fn unpitch(from: &[f32], start: usize, pitch: usize, ow: usize, to: &mut [f32]) {
    let (mut y, mut x) = (start / pitch, start % pitch);
    let mut at = 0;
    while at < from.len() {
        let run = (pitch - x).min(from.len() - at);
        let kept = run.min(ow.saturating_sub(x));
        to[y * ow + x.min(ow)..][..kept].copy_from_slice(&from[at..at + kept]);
        at += run;
        (y, x) = (y + 1, 0);
    }
}

/// Runs `packed` weights over every image: `[batch, outputs, out_plane]`.
fn run(g: &Geometry, packed: &[f32], x: &[f32]) -> Vec<f32> {
    let u = Unrolled::new(g);
    let (tile_rows, _) = simd::tile();
    let threads = rayon::current_num_threads();
    let blocks = g.outputs.div_ceil(tile_rows);
    // A batch keeps all threads busy with whole images; a single image is split by output channels.
    let group = if g.batch >= threads {
        blocks
    } else {
        blocks.div_ceil(threads * 2).max(1)
    };
    let mut out = vec![0.0; g.batch * g.out_image()];
    let panel = g.depth() * tile_rows;
    let images = x.par_chunks_exact(g.image());
    out.par_chunks_exact_mut(g.out_image())
        .zip(images)
        .for_each(|(out, image)| {
            let by_group = |image: &[f32], out: &mut [f32]| {
                if group == blocks {
                    return correlate(g, &u, packed, image, out);
                }
                out.par_chunks_mut(group * tile_rows * g.out_plane())
                    .zip(packed.par_chunks(group * panel))
                    .for_each(|(out, packed)| correlate(g, &u, packed, image, out));
            };
            if u.how == Prepare::AsIs {
                return by_group(image, out);
            }
            with_scratch(u.size, |prepared| {
                u.prepare(g, image, prepared);
                by_group(prepared, out);
            });
        });
    out
}

/// Gradient of the input: `[batch, inputs, height, width]`.
fn input_gradient(g: &Geometry, weight: &[f32], dy: &[f32]) -> Vec<f32> {
    let (k, taps) = (g.kernel, g.kernel * g.kernel);
    let depth = g.depth();
    if g.stride == 1 && g.padding < k {
        // The transpose of a convolution is a convolution with the kernel turned round.
        let turned = Geometry {
            inputs: g.outputs,
            outputs: g.inputs,
            height: g.out_height(),
            width: g.out_width(),
            padding: k - 1 - g.padding,
            ..*g
        };
        let packed = pack(g.inputs, g.outputs * taps, |c, i| {
            let (o, tap) = (i / taps, i % taps);
            weight[o * depth + c * taps + (taps - 1 - tap)]
        });
        return run(&turned, &packed, dy);
    }
    // Gradient of the unrolled image as a 1×1 convolution of `dy`, then back to pixels.
    let products = Geometry {
        inputs: g.outputs,
        outputs: depth,
        height: g.out_height(),
        width: g.out_width(),
        kernel: 1,
        stride: 1,
        padding: 0,
        ..*g
    };
    let packed = pack(depth, g.outputs, |row, o| weight[o * depth + row]);
    let u = Unrolled::new(&products);
    let mut dx = vec![0.0; g.batch * g.image()];
    dx.par_chunks_exact_mut(g.image())
        .zip(dy.par_chunks_exact(g.out_image()))
        .for_each(|(dx, dy)| {
            with_scratch(products.out_image(), |rows| {
                correlate(&products, &u, &packed, dy, rows);
                roll(g, rows, dx);
            });
        });
    dx
}
