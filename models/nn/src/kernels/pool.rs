//! Average pooling over non-overlapping squares.

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
