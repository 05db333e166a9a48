//! The gradient of a convolution's sums, seen through what follows them.

use super::unrolled::Geometry;
use crate::kernels::simd::vectorised;

/// Where the gradient of the sums `[batch, outputs, out_height, out_width]` comes from.
#[derive(Clone, Copy)]
pub(super) enum Slope<'a> {
    /// It is given.
    Plain(&'a [f32]),
    /// A ReLU follows: `y` is its result, `dy` its gradient.
    Relu { y: &'a [f32], dy: &'a [f32] },
    /// A ReLU and a 2×2 maximum follow: `at` says which of the four was taken.
    ReluPool {
        y: &'a [f32],
        dy: &'a [f32],
        at: &'a [u8],
    },
}

impl<'a> Slope<'a> {
    /// The gradient itself, if nothing needs to be computed.
    pub(super) fn plain(self) -> Option<&'a [f32]> {
        match self {
            Slope::Plain(dy) => Some(dy),
            _ => None,
        }
    }

    /// Writes one plane, counted over images and channels, in rows `pitch` apart; what lies between rows is left alone.
    pub(super) fn write(self, g: &Geometry, plane: usize, to: &mut [f32], pitch: usize) {
        let (oh, ow) = (g.out_height(), g.out_width());
        match self {
            Slope::Plain(dy) => {
                let dy = &dy[plane * oh * ow..][..oh * ow];
                for (dy, to) in dy.chunks_exact(ow).zip(to.chunks_mut(pitch)) {
                    to[..ow].copy_from_slice(dy);
                }
            }
            Slope::Relu { y, dy } => {
                let (y, dy) = (
                    &y[plane * oh * ow..][..oh * ow],
                    &dy[plane * oh * ow..][..oh * ow],
                );
                let rows = y.chunks_exact(ow).zip(dy.chunks_exact(ow));
                for ((y, dy), to) in rows.zip(to.chunks_mut(pitch)) {
                    masked(y, dy, &mut to[..ow]);
                }
            }
            Slope::ReluPool { y, dy, at } => {
                let (ph, pw) = (oh / 2, ow / 2);
                let span = plane * ph * pw..(plane + 1) * ph * pw;
                let cells = y[span.clone()]
                    .chunks_exact(pw)
                    .zip(dy[span.clone()].chunks_exact(pw))
                    .zip(at[span].chunks_exact(pw));
                let mut rows = to.chunks_mut(pitch);
                for ((y, dy), at) in cells {
                    for first in [0, 2] {
                        let to = rows.next().expect("two rows for each row of maxima");
                        unpool(y, dy, at, first, &mut to[..2 * pw]);
                        to[2 * pw..ow].fill(0.0);
                    }
                }
                if oh > 2 * ph {
                    let to = rows.next().expect("a row that no maximum covers");
                    to[..ow].fill(0.0);
                }
            }
        }
    }
}

vectorised! {
    pub(super) fn masked(y: &[f32], dy: &[f32], to: &mut [f32]) {
        for (to, (&y, &dy)) in to.iter_mut().zip(y.iter().zip(dy)) {
            *to = if y > 0.0 { dy } else { 0.0 };
        }
    }
}

vectorised! {
    /// One of the two rows that a row of maxima was taken from; `first` is the number of its left corner.
    fn unpool(y: &[f32], dy: &[f32], at: &[u8], first: u8, to: &mut [f32]) {
        for (to, ((&y, &dy), &at)) in to.as_chunks_mut::<2>().0.iter_mut().zip(y.iter().zip(dy).zip(at)) {
            let dy = if y > 0.0 { dy } else { 0.0 };
            to[0] = if at == first { dy } else { 0.0 };
            to[1] = if at == first + 1 { dy } else { 0.0 };
        }
    }
}
