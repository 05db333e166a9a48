//! Images as rows of patches, so that a convolution whose squares do not overlap is a matrix product.

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use super::fused::{Fused1, with_floats};
use crate::Result;

/// Sizes of a batch of images and its patches.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    channels: usize,
    height: usize,
    width: usize,
    side: usize,
}

impl Sizes {
    fn grid(self) -> (usize, usize) {
        (self.height / self.side, self.width / self.side)
    }

    /// Floats of one patch.
    fn patch(self) -> usize {
        self.channels * self.side * self.side
    }

    /// Calls `f` with where each line of a band of patches lies: in the image, and in the band's rows.
    fn lines(self, band: usize, mut f: impl FnMut(usize, usize)) {
        let (_, columns) = self.grid();
        for c in 0..self.channels {
            for y in 0..self.side {
                let line = (c * self.height + band * self.side + y) * self.width;
                for p in 0..columns {
                    let place = p * self.patch() + (c * self.side + y) * self.side;
                    f(line + p * self.side, place);
                }
            }
        }
    }

    fn image(self) -> usize {
        self.channels * self.height * self.width
    }

    fn forward(self, x: &[f32]) -> Vec<f32> {
        let (rows, columns) = self.grid();
        let band = columns * self.patch();
        let mut patches = vec![0.0; self.batch * rows * band];
        if band == 0 {
            return patches;
        }
        patches
            .par_chunks_exact_mut(band)
            .enumerate()
            .for_each(|(i, patches)| {
                let image = &x[i / rows * self.image()..][..self.image()];
                self.lines(i % rows, |from, to| {
                    patches[to..][..self.side].copy_from_slice(&image[from..][..self.side]);
                });
            });
        patches
    }

    fn backward(self, dy: &[f32]) -> Vec<f32> {
        let (rows, columns) = self.grid();
        let band = columns * self.patch();
        let mut dx = vec![0.0; self.batch * self.image()];
        dx.par_chunks_exact_mut(self.image().max(1))
            .enumerate()
            .for_each(|(b, image)| {
                for row in 0..rows {
                    let patches = &dy[(b * rows + row) * band..][..band];
                    self.lines(row, |to, from| {
                        image[to..][..self.side].copy_from_slice(&patches[from..][..self.side]);
                    });
                }
            });
        dx
    }
}

/// `[b, c, h, w]` to `[b, rows · columns, c · side · side]`, row by row; what is left over at the right and bottom is dropped.
pub(crate) fn patches(x: &Tensor, side: usize) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let sizes = Sizes {
        batch,
        channels,
        height,
        width,
        side,
    };
    let (rows, columns) = sizes.grid();
    let shape = Shape::from((batch, rows * columns, sizes.patch()));
    let op = Fused1 {
        name: "patches",
        forward: move |x: &[f32], _: &Shape| (sizes.forward(x), shape.clone()),
        backward: move |x: &Tensor, _: &Tensor, dy: &Tensor| {
            let dx = with_floats(dy, |dy| sizes.backward(dy))?;
            Tensor::from_vec(dx, x.shape(), x.device())
        },
    };
    Ok(x.contiguous()?.apply_op1(op)?)
}
