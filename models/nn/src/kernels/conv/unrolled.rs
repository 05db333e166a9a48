//! Sizes of a convolution, and the rows of its unrolled image.

use std::ops::Range;

use crate::kernels::simd::Offsets;

/// Sizes of one convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Geometry {
    pub(super) batch: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
}

impl Geometry {
    pub(super) fn out_height(&self) -> usize {
        (self.height + 2 * self.padding - self.kernel) / self.stride + 1
    }
    pub(super) fn out_width(&self) -> usize {
        (self.width + 2 * self.padding - self.kernel) / self.stride + 1
    }
    pub(super) fn out_plane(&self) -> usize {
        self.out_height() * self.out_width()
    }
    /// Products that one output sums.
    pub(super) fn depth(&self) -> usize {
        self.inputs * self.kernel * self.kernel
    }
    pub(super) fn image(&self) -> usize {
        self.inputs * self.height * self.width
    }
    pub(super) fn out_image(&self) -> usize {
        self.outputs * self.out_plane()
    }
}

/// How the rows of the unrolled image are found.
pub(super) struct Unrolled {
    /// Start of each row.
    pub(super) offsets: Offsets,
    /// Positions from one output row to the next.
    pub(super) pitch: usize,
    /// Positions of a row that are computed.
    pub(super) len: usize,
    /// Floats of one prepared image.
    pub(super) size: usize,
    pub(super) how: Prepare,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Prepare {
    /// The image as it is: a 1×1 kernel.
    AsIs,
    /// Zeros around it.
    Pad,
    /// One row for each product.
    Unroll,
}

impl Unrolled {
    pub(super) fn new(g: &Geometry) -> Self {
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
        Self {
            offsets: Offsets::new(offsets),
            pitch,
            len,
            size,
            how,
        }
    }

    /// Writes a prepared image into `out`, which has `size` floats.
    pub(super) fn prepare(&self, g: &Geometry, image: &[f32], out: &mut [f32]) {
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
pub(super) fn roll(g: &Geometry, rows: &[f32], image: &mut [f32]) {
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
