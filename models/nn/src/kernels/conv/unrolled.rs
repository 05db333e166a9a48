//! Sizes of a convolution, and where the rows of its unrolled image lie in a padded one.

use std::ops::Range;

use crate::kernels::simd::{Offsets, vectorised};

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
    pub(super) fn plane(&self) -> usize {
        self.height * self.width
    }
    /// Products that one output sums.
    pub(super) fn depth(&self) -> usize {
        self.inputs * self.kernel * self.kernel
    }
    pub(super) fn image(&self) -> usize {
        self.inputs * self.plane()
    }
    pub(super) fn out_image(&self) -> usize {
        self.outputs * self.out_plane()
    }
}

/// How the rows of the unrolled image are found: with stride 1 each is the padded image, shifted; with a larger stride
/// the padded image is first dealt out to `stride²` phases, and each row is one phase, shifted.
pub(super) struct Unrolled {
    /// Start of each row.
    pub(super) offsets: Offsets,
    /// Positions from one output row to the next.
    pub(super) pitch: usize,
    /// Output rows and columns.
    pub(super) grid: (usize, usize),
    /// Floats of one prepared image; 0 if the image serves as it is.
    pub(super) size: usize,
    /// Rows of a phase.
    pub(super) rows: usize,
    /// Phases of an axis that a kernel touches.
    phases: usize,
}

/// Some whole output rows.
pub(super) struct Strip {
    /// The first of the rows.
    pub(super) row: usize,
    pub(super) rows: usize,
    /// Its first position.
    pub(super) start: usize,
    /// Positions up to the end of the last row's last column.
    pub(super) len: usize,
}

impl Unrolled {
    pub(super) fn new(g: &Geometry) -> Self {
        let grid = (g.out_height(), g.out_width());
        if g.kernel == 1 && g.padding == 0 && g.stride == 1 {
            let plane = g.plane();
            return Self {
                offsets: Offsets::new((0..g.inputs).map(|i| i * plane).collect()),
                pitch: g.width,
                grid,
                size: 0,
                rows: g.height,
                phases: 1,
            };
        }
        let (s, phases) = (g.stride, g.stride.min(g.kernel));
        let reach = (g.kernel - 1) / s;
        let (rows, pitch) = (grid.0 + reach, grid.1 + reach);
        let mut offsets = Vec::with_capacity(g.depth());
        for c in 0..g.inputs {
            for ky in 0..g.kernel {
                for kx in 0..g.kernel {
                    let phase = (c * phases + ky % s) * phases + kx % s;
                    offsets.push((phase * rows + ky / s) * pitch + kx / s);
                }
            }
        }
        Self {
            offsets: Offsets::new(offsets),
            pitch,
            grid,
            size: g.inputs * phases * phases * rows * pitch,
            rows,
            phases,
        }
    }

    /// An arrangement whose rows start at `offsets` in an image that somebody else prepares.
    pub(super) fn at(offsets: Vec<usize>, pitch: usize, grid: (usize, usize)) -> Self {
        Self {
            offsets: Offsets::new(offsets),
            pitch,
            grid,
            size: 0,
            rows: 0,
            phases: 1,
        }
    }

    /// Positions up to the end of the last output row.
    pub(super) fn len(&self) -> usize {
        (self.grid.0 - 1) * self.pitch + self.grid.1
    }

    /// Output rows in pairs or more, so that a strip of a few channels stays in the nearest cache.
    pub(super) fn strips(&self) -> impl Iterator<Item = Strip> + '_ {
        let rows = (512 / self.pitch).max(2) & !1;
        (0..self.grid.0).step_by(rows).map(move |row| {
            let rows = rows.min(self.grid.0 - row);
            Strip {
                row,
                rows,
                start: row * self.pitch,
                len: (rows - 1) * self.pitch + self.grid.1,
            }
        })
    }

    /// Writes a prepared image into `out`, which has `size` floats.
    ///
    /// - `keep`: if given, a pixel counts only where this is positive
    pub(super) fn prepare(
        &self,
        g: &Geometry,
        image: &[f32],
        keep: Option<&[f32]>,
        out: &mut [f32],
    ) {
        let (s, p) = (g.stride, g.padding);
        let mut planes = out.chunks_exact_mut(self.rows * self.pitch);
        for c in 0..g.inputs {
            let plane = &image[c * g.plane()..][..g.plane()];
            let keep = keep.map(|keep| &keep[c * g.plane()..][..g.plane()]);
            for (a, b) in (0..self.phases).flat_map(|a| (0..self.phases).map(move |b| (a, b))) {
                let out = planes.next().expect("there is a plane for each phase");
                let xs = inside(p, b, s, g.width, self.pitch);
                for (i, out) in out.chunks_exact_mut(self.pitch).enumerate() {
                    let Some(y) = (s * i + a).checked_sub(p).filter(|y| *y < g.height) else {
                        out.fill(0.0);
                        continue;
                    };
                    out[..xs.start].fill(0.0);
                    out[xs.end..].fill(0.0);
                    if xs.is_empty() {
                        continue;
                    }
                    let first = y * g.width + s * xs.start + b - p;
                    let span = first..y * g.width + (s * (xs.end - 1) + b - p) + 1;
                    let keep = keep.map(|keep| &keep[span.clone()]);
                    take(&plane[span], keep, s, &mut out[xs.clone()]);
                }
            }
        }
    }
}

/// The columns of a phase that lie inside the image.
fn inside(
    padding: usize,
    phase: usize,
    stride: usize,
    width: usize,
    columns: usize,
) -> Range<usize> {
    let first = padding.saturating_sub(phase).div_ceil(stride).min(columns);
    let last = (width + padding).saturating_sub(phase).div_ceil(stride);
    first..last.clamp(first, columns)
}

vectorised! {
    /// Every `stride`-th value, or zero where `keep` is not positive.
    fn take(from: &[f32], keep: Option<&[f32]>, stride: usize, to: &mut [f32]) {
        let Some(keep) = keep else {
            match stride {
                1 => to.copy_from_slice(from),
                2 => {
                    let (last, most) = to.split_last_mut().expect("a run is not empty");
                    let pairs = from.as_chunks::<2>().0;
                    for (to, pair) in most.iter_mut().zip(pairs) {
                        *to = pair[0];
                    }
                    *last = from[from.len() - 1];
                }
                _ => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, v)| *to = *v),
            }
            return;
        };
        for (to, (v, keep)) in to
            .iter_mut()
            .zip(from.iter().step_by(stride).zip(keep.iter().step_by(stride)))
        {
            *to = if *keep > 0.0 { *v } else { 0.0 };
        }
    }
}
