//! Averages over non-overlapping squares, and maxima over squares that may overlap.

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use super::fused::{Fused1, with_floats};
use crate::Result;

#[derive(Clone, Copy)]
struct Grid {
    height: usize,
    width: usize,
    size: usize,
}

impl Grid {
    fn out_plane(self) -> (usize, usize) {
        (self.height / self.size, self.width / self.size)
    }

    fn mean(self, x: &[f32], y: &mut [f32]) {
        let (_, ow) = self.out_plane();
        let share = 1.0 / (self.size * self.size) as f32;
        for (oy, y) in y.chunks_exact_mut(ow).enumerate() {
            let rows = &x[oy * self.size * self.width..][..self.size * self.width];
            if self.size == 2 {
                let (top, bottom) = rows.split_at(self.width);
                let pairs = top.as_chunks::<2>().0.iter().zip(bottom.as_chunks::<2>().0);
                for (y, ([a, b], [c, d])) in y.iter_mut().zip(pairs) {
                    *y = ((a + b) + (c + d)) * share;
                }
                continue;
            }
            y.fill(0.0);
            for row in rows.chunks_exact(self.width) {
                for (y, cells) in y.iter_mut().zip(row.chunks_exact(self.size)) {
                    *y += cells.iter().sum::<f32>();
                }
            }
            y.iter_mut().for_each(|y| *y *= share);
        }
    }

    fn spread(self, dy: &[f32], dx: &mut [f32]) {
        let (_, ow) = self.out_plane();
        let share = 1.0 / (self.size * self.size) as f32;
        for (dy, dx) in dy
            .chunks_exact(ow)
            .zip(dx.chunks_exact_mut(self.size * self.width))
        {
            for dx in dx.chunks_exact_mut(self.width) {
                for (dy, dx) in dy.iter().zip(dx.chunks_exact_mut(self.size)) {
                    dx.fill(dy * share);
                }
            }
        }
    }
}

pub(crate) fn avg_pool2d(x: &Tensor, size: usize) -> Result<Tensor> {
    let (b, c, height, width) = x.dims4()?;
    let grid = Grid {
        height,
        width,
        size,
    };
    let (oh, ow) = grid.out_plane();
    let op = Fused1 {
        name: "avg_pool2d",
        forward: move |x: &[f32], _: &Shape| {
            let mut y = vec![0.0; b * c * oh * ow];
            y.par_chunks_exact_mut(oh * ow)
                .zip(x.par_chunks_exact(height * width))
                .with_min_len(8)
                .for_each(|(y, x)| grid.mean(x, y));
            (y, Shape::from((b, c, oh, ow)))
        },
        backward: move |x: &Tensor, _: &Tensor, dy: &Tensor| {
            let mut dx = vec![0.0; b * c * height * width];
            with_floats(dy, |dy| {
                dx.par_chunks_exact_mut(height * width)
                    .zip(dy.par_chunks_exact(oh * ow))
                    .with_min_len(8)
                    .for_each(|(dx, dy)| grid.spread(dy, dx));
            })?;
            Tensor::from_vec(dx, x.shape(), x.device())
        },
    };
    Ok(x.contiguous()?.apply_op1(op)?)
}

impl Grid {
    /// One row of averages from `size` rows of an image with channels innermost.
    fn mean_last(self, channels: usize, x: &[f32], y: &mut [f32]) {
        let share = 1.0 / (self.size * self.size) as f32;
        y.fill(0.0);
        for row in x.chunks_exact(self.width * channels) {
            let cells = row.chunks_exact(self.size * channels);
            for (y, cells) in y.chunks_exact_mut(channels).zip(cells) {
                for x in cells.chunks_exact(channels) {
                    y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
                }
            }
        }
        y.iter_mut().for_each(|y| *y *= share);
    }

    /// The transpose of [`Grid::mean_last`]; `dx` is zero before.
    fn spread_last(self, channels: usize, dy: &[f32], dx: &mut [f32]) {
        let share = 1.0 / (self.size * self.size) as f32;
        for row in dx.chunks_exact_mut(self.width * channels) {
            let cells = row.chunks_exact_mut(self.size * channels);
            for (cells, dy) in cells.zip(dy.chunks_exact(channels)) {
                for dx in cells.chunks_exact_mut(channels) {
                    dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = dy * share);
                }
            }
        }
    }
}

/// [`avg_pool2d`] of `[b, h, w, c]`.
pub(crate) fn avg_pool2d_last(x: &Tensor, size: usize) -> Result<Tensor> {
    let (b, height, width, c) = x.dims4()?;
    let grid = Grid {
        height,
        width,
        size,
    };
    let (oh, ow) = grid.out_plane();
    // Rows that are left over at an image's bottom belong to no square.
    let (image, used, row) = (height * width * c, oh * size * width * c, size * width * c);
    let op = Fused1 {
        name: "avg_pool2d_last",
        forward: move |x: &[f32], _: &Shape| {
            let mut y = vec![0.0; b * oh * ow * c];
            y.par_chunks_exact_mut(oh * ow * c)
                .zip(x.par_chunks_exact(image))
                .for_each(|(y, x)| {
                    y.par_chunks_exact_mut(ow * c)
                        .zip(x[..used].par_chunks_exact(row))
                        .with_min_len(4)
                        .for_each(|(y, x)| grid.mean_last(c, x, y));
                });
            (y, Shape::from((b, oh, ow, c)))
        },
        backward: move |x: &Tensor, _: &Tensor, dy: &Tensor| {
            let mut dx = vec![0.0; b * image];
            with_floats(dy, |dy| {
                dx.par_chunks_exact_mut(image)
                    .zip(dy.par_chunks_exact(oh * ow * c))
                    .for_each(|(dx, dy)| {
                        dx[..used]
                            .par_chunks_exact_mut(row)
                            .zip(dy.par_chunks_exact(ow * c))
                            .with_min_len(4)
                            .for_each(|(dx, dy)| grid.spread_last(c, dy, dx));
                    });
            })?;
            Tensor::from_vec(dx, x.shape(), x.device())
        },
    };
    Ok(x.contiguous()?.apply_op1(op)?)
}

/// Squares that slide over a plane.
#[derive(Clone, Copy)]
struct Slide {
    width: usize,
    kernel: usize,
    stride: usize,
    out: (usize, usize),
}

impl Slide {
    /// The largest value of the square at `(oy, ox)` and where in the plane it lies, the first of equals.
    fn largest(self, x: &[f32], oy: usize, ox: usize) -> (f32, usize) {
        let corner = oy * self.stride * self.width + ox * self.stride;
        let mut most = (x[corner], corner);
        for ky in 0..self.kernel {
            let row = corner + ky * self.width;
            for (at, &v) in (row..).zip(&x[row..row + self.kernel]) {
                if v > most.0 || v.is_nan() {
                    most = (v, at);
                }
            }
        }
        most
    }

    fn cells(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.out.0).flat_map(move |oy| (0..self.out.1).map(move |ox| (oy, ox)))
    }
}

/// Largest value of each `kernel`×`kernel` square, `stride` apart.
pub(crate) fn max_pool2d(x: &Tensor, kernel: usize, stride: usize) -> Result<Tensor> {
    let (b, c, height, width) = x.dims4()?;
    let out = (
        (height - kernel) / stride + 1,
        (width - kernel) / stride + 1,
    );
    let slide = Slide {
        width,
        kernel,
        stride,
        out,
    };
    let (plane, out_plane) = (height * width, out.0 * out.1);
    let op = Fused1 {
        name: "max_pool2d",
        forward: move |x: &[f32], _: &Shape| {
            let mut y = vec![0.0; b * c * out_plane];
            y.par_chunks_exact_mut(out_plane)
                .zip(x.par_chunks_exact(plane))
                .with_min_len(8)
                .for_each(|(y, x)| {
                    for (y, (oy, ox)) in y.iter_mut().zip(slide.cells()) {
                        *y = slide.largest(x, oy, ox).0;
                    }
                });
            (y, Shape::from((b, c, out.0, out.1)))
        },
        backward: move |x: &Tensor, _: &Tensor, dy: &Tensor| {
            let mut dx = vec![0.0; b * c * plane];
            with_floats(x, |x| {
                with_floats(dy, |dy| {
                    dx.par_chunks_exact_mut(plane)
                        .zip(
                            x.par_chunks_exact(plane)
                                .zip(dy.par_chunks_exact(out_plane)),
                        )
                        .with_min_len(8)
                        .for_each(|(dx, (x, dy))| {
                            for (dy, (oy, ox)) in dy.iter().zip(slide.cells()) {
                                dx[slide.largest(x, oy, ox).1] += dy;
                            }
                        });
                })
            })??;
            Tensor::from_vec(dx, x.shape(), x.device())
        },
    };
    Ok(x.contiguous()?.apply_op1(op)?)
}
