//! Convolution without an unrolled image: with stride 1, row `(channel, ky, kx)` of the unrolled image is the padded
//! image itself, shifted, so a tile of the output is a product of packed weights with shifted rows that stay in cache.
//!
//! Positions are counted on the padded width ("pitch"); the few columns that this computes too many are not stored.
//! Larger strides unroll the image first and then use the same loops.

use std::cell::RefCell;
use std::ops::Range;

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use super::fused::{Fused2, with_floats};
use super::simd::{self, Rows};
use crate::Result;

/// Sizes of one convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Geometry {
    batch: usize,
    inputs: usize,
    outputs: usize,
    height: usize,
    width: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
}

impl Geometry {
    fn out_height(&self) -> usize {
        (self.height + 2 * self.padding - self.kernel) / self.stride + 1
    }
    fn out_width(&self) -> usize {
        (self.width + 2 * self.padding - self.kernel) / self.stride + 1
    }
    fn out_plane(&self) -> usize {
        self.out_height() * self.out_width()
    }
    /// Products that one output sums.
    fn depth(&self) -> usize {
        self.inputs * self.kernel * self.kernel
    }
    fn image(&self) -> usize {
        self.inputs * self.height * self.width
    }
    fn out_image(&self) -> usize {
        self.outputs * self.out_plane()
    }
}

/// How the rows of the unrolled image are found.
struct Unrolled {
    /// Start of each row.
    offsets: Vec<usize>,
    /// The largest of them.
    reach: usize,
    /// Positions from one output row to the next.
    pitch: usize,
    /// Positions of a row that are computed.
    len: usize,
    /// Floats of one prepared image.
    size: usize,
    how: Prepare,
}

#[derive(Clone, Copy, PartialEq)]
enum Prepare {
    /// The image as it is: a 1×1 kernel.
    AsIs,
    /// Zeros around it.
    Pad,
    /// One row for each product.
    Unroll,
}

impl Unrolled {
    fn new(g: &Geometry) -> Self {
        let plain = |rows: usize, plane: usize| (0..rows).map(|i| i * plane).collect::<Vec<_>>();
        let (offsets, pitch, len, size, how) = if g.stride != 1 {
            let plane = g.out_plane();
            let offsets = plain(g.depth(), plane);
            (
                offsets,
                g.out_width(),
                plane,
                g.depth() * plane,
                Prepare::Unroll,
            )
        } else if g.kernel == 1 && g.padding == 0 {
            let plane = g.height * g.width;
            (
                plain(g.inputs, plane),
                g.width,
                plane,
                g.image(),
                Prepare::AsIs,
            )
        } else {
            let (rows, pitch) = (g.height + 2 * g.padding, g.width + 2 * g.padding);
            let mut offsets = Vec::with_capacity(g.depth());
            for c in 0..g.inputs {
                for ky in 0..g.kernel {
                    offsets.extend((0..g.kernel).map(|kx| (c * rows + ky) * pitch + kx));
                }
            }
            let len = (g.out_height() - 1) * pitch + g.out_width();
            (offsets, pitch, len, g.inputs * rows * pitch, Prepare::Pad)
        };
        let reach = offsets.iter().copied().max().unwrap_or(0);
        Self {
            offsets,
            reach,
            pitch,
            len,
            size,
            how,
        }
    }

    /// Writes a prepared image into `out`, which has `size` floats.
    fn prepare(&self, g: &Geometry, image: &[f32], out: &mut [f32]) {
        match self.how {
            Prepare::AsIs => out.copy_from_slice(image),
            Prepare::Pad => pad(g, image, out),
            Prepare::Unroll => unroll(g, image, out),
        }
    }
}

fn pad(g: &Geometry, image: &[f32], out: &mut [f32]) {
    let (p, w) = (g.padding, g.width);
    let pitch = w + 2 * p;
    let planes = image.chunks_exact(g.height * w);
    for (plane, out) in planes.zip(out.chunks_exact_mut((g.height + 2 * p) * pitch)) {
        out[..p * pitch].fill(0.0);
        out[(p + g.height) * pitch..].fill(0.0);
        let rows = out[p * pitch..].chunks_exact_mut(pitch);
        for (row, out) in plane.chunks_exact(w).zip(rows) {
            out[..p].fill(0.0);
            out[p..p + w].copy_from_slice(row);
            out[p + w..].fill(0.0);
        }
    }
}

/// The output positions whose tap `k` lies inside the image.
fn inside(g: &Geometry, k: usize, size: usize, out_size: usize) -> Range<usize> {
    let first = g.padding.saturating_sub(k).div_ceil(g.stride);
    let last = (size + g.padding).saturating_sub(k).div_ceil(g.stride);
    first.min(out_size)..last.clamp(first.min(out_size), out_size)
}

fn unroll(g: &Geometry, image: &[f32], out: &mut [f32]) {
    let (oh, ow) = (g.out_height(), g.out_width());
    let mut rows = out.chunks_exact_mut(oh * ow);
    for plane in image.chunks_exact(g.height * g.width) {
        for ky in 0..g.kernel {
            let ys = inside(g, ky, g.height, oh);
            for kx in 0..g.kernel {
                let xs = inside(g, kx, g.width, ow);
                let row = rows.next().expect("there is a row for each product");
                row.fill(0.0);
                for y in ys.clone() {
                    let from = (y * g.stride + ky - g.padding) * g.width;
                    for x in xs.clone() {
                        row[y * ow + x] = plane[from + x * g.stride + kx - g.padding];
                    }
                }
            }
        }
    }
}

/// The transpose of [`unroll`]: adds each product's gradient to the pixel that it came from.
fn roll(g: &Geometry, rows: &[f32], image: &mut [f32]) {
    let (oh, ow) = (g.out_height(), g.out_width());
    let mut rows = rows.chunks_exact(oh * ow);
    for plane in image.chunks_exact_mut(g.height * g.width) {
        for ky in 0..g.kernel {
            let ys = inside(g, ky, g.height, oh);
            for kx in 0..g.kernel {
                let xs = inside(g, kx, g.width, ow);
                let row = rows.next().expect("there is a row for each product");
                for y in ys.clone() {
                    let to = (y * g.stride + ky - g.padding) * g.width;
                    for x in xs.clone() {
                        plane[to + x * g.stride + kx - g.padding] += row[y * ow + x];
                    }
                }
            }
        }
    }
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
    let offsets = (u.offsets.as_slice(), u.reach);
    let mut tile = [0.0f32; 8 * 48];
    for start in (0..u.len).step_by(width) {
        let width = width.min(u.len - start);
        let panels = packed.chunks_exact(u.offsets.len() * tile_rows);
        for (panel, out) in panels.zip(out.chunks_mut(tile_rows * plane)) {
            let count = out.len() / plane;
            if u.pitch == ow {
                let out = &mut out[start..];
                simd::correlate_tile(panel, image, offsets, start, (count, width), out, plane);
                continue;
            }
            simd::correlate_tile(
                panel,
                image,
                offsets,
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

/// Gradient of the weight: `[outputs, depth]`.
fn weight_gradient(g: &Geometry, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let u = Unrolled::new(g);
    let threads = rayon::current_num_threads();
    let size = g.outputs * g.depth();
    if g.batch < threads {
        let (tile_rows, _) = simd::dots_tile(u.offsets.len());
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
    let tile = simd::dots_tile(u.offsets.len());
    for r in (0..rows).step_by(tile.0) {
        let y = Rows {
            data,
            first: first + r * stride,
            stride,
            count: tile.0.min(rows - r),
            image,
        };
        for (s, offsets) in u.offsets.chunks(tile.1).enumerate() {
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
