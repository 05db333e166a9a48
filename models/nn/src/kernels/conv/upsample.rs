//! A transposed convolution, a ReLU and a convolution in one operation, image by image: the wide image between them never
//! leaves the cache, and the backward computes it again.

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use super::packed::{Packed, correlate, with_scratch};
use super::slope::{Slope, masked};
use super::transposed::{Transposed, transposed_geometry, weave};
use super::unrolled::{Geometry, Unrolled};
use super::weight::add_products;
use crate::Result;
use crate::kernels::fused::{Fused2, with_floats};
use crate::kernels::math::sum1;
use crate::kernels::simd::vectorised;

/// The parameters of both layers, one after the other: weight and bias of the first, then of the second.
#[derive(Clone, Copy)]
struct Split([usize; 4]);

impl Split {
    fn of(self, flat: &[f32]) -> [&[f32]; 4] {
        let mut rest = flat;
        self.0.map(|len| {
            let (part, after) = rest.split_at(len);
            rest = after;
            part
        })
    }

    fn of_mut(self, flat: &mut [f32]) -> [&mut [f32]; 4] {
        let mut rest = flat;
        self.0.map(|len| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(len);
            rest = after;
            part
        })
    }
}

/// Both layers over one image.
struct Pair<'a> {
    grow: Geometry,
    project: Geometry,
    grown: Transposed,
    wide: Unrolled,
    parts: [&'a [f32]; 4],
}

impl<'a> Pair<'a> {
    fn new(grow: Geometry, project: Geometry, parts: [&'a [f32]; 4]) -> Self {
        Self {
            grown: Transposed::new(&grow, parts[0]),
            wide: Unrolled::new(&project),
            grow,
            project,
            parts,
        }
    }

    /// Runs `f` on the wide image with its margins, as the second layer wants it.
    fn with_wide<R>(&self, x: &[f32], image: usize, f: impl FnOnce(&[f32]) -> R) -> R {
        let (g, pitch) = (&self.grow, self.wide.pitch);
        let (p, rows) = (self.project.padding, self.wide.rows);
        with_scratch(self.wide.size, |wide| {
            wide.chunks_exact_mut(rows * pitch).for_each(|plane| {
                plane[..p * pitch].fill(0.0);
                plane[(p + g.height) * pitch..].fill(0.0);
                for row in plane[p * pitch..(p + g.height) * pitch].chunks_exact_mut(pitch) {
                    row[..p].fill(0.0);
                    row[p + g.width..].fill(0.0);
                }
            });
            with_scratch(self.grown.size(g), |small| {
                self.grown.prepare(g, Slope::Plain(x), image, small);
                self.grown.run(g, small, |c, y, x, sums| {
                    let row = &mut wide[(c * rows + p + y) * pitch + p..][x..g.width];
                    weave(sums, self.parts[1][c], 0.0, g.stride, row);
                });
            });
            f(wide)
        })
    }

    /// The row of a channel in the wide image with margins.
    fn row(&self, channel: usize, y: usize) -> usize {
        let p = self.project.padding;
        (channel * self.wide.rows + p + y) * self.wide.pitch + p
    }

    /// Adds the gradients of the parameters to `sums` and, if `dx` is given, writes the input's.
    fn gradients(
        &self,
        back: &Back,
        (x, dy): (&[f32], &[f32]),
        image: usize,
        sums: [&mut [f32]; 4],
        dx: Option<&mut [f32]>,
    ) {
        let (g, project) = (&self.grow, &self.project);
        let [dw, db, dw_project, db_project] = sums;
        with_scratch(back.unrolled.size, |prepared| {
            with_scratch(g.image(), |slope| {
                self.with_wide(x, image, |wide| {
                    let (columns, one) = ((wide, self.wide.size), image..image + 1);
                    let dy = Slope::Plain(dy);
                    add_products(
                        project, &self.wide, columns, dy, one, 0, dw_project, db_project,
                    );
                    with_scratch(back.narrowed.size(project), |margined| {
                        back.narrowed.prepare(project, dy, image, margined);
                        back.narrowed.run(project, margined, |c, y, x, sums| {
                            let to = &mut slope[c * g.plane() + y * g.width + x..][..sums.len()];
                            let kept = &wide[self.row(c, y) + x..][..sums.len()];
                            masked(kept, sums, to);
                            db[c] += total(to);
                        });
                    });
                });
                back.unrolled.prepare(g, slope, None, prepared);
            });
            let columns = (&*prepared, back.unrolled.size);
            let mut unused = vec![0.0; g.outputs];
            let (x, one) = (Slope::Plain(x), image..image + 1);
            add_products(g, &back.unrolled, columns, x, one, 0, dw, &mut unused);
            if let Some(dx) = dx {
                let (plane, ow) = (g.out_plane(), g.out_width());
                correlate(
                    &back.unrolled,
                    &back.packed,
                    0..g.outputs,
                    prepared,
                    |c, strip, sums| {
                        let to = &mut dx[c * plane + strip.row * ow..][..strip.rows * ow];
                        for (to, from) in to
                            .chunks_exact_mut(ow)
                            .zip(sums.chunks(back.unrolled.pitch))
                        {
                            to.copy_from_slice(&from[..ow]);
                        }
                    },
                );
            }
        });
    }
}

/// What only the backward needs.
struct Back {
    /// The second layer backwards.
    narrowed: Transposed,
    /// The first layer backwards: a plain convolution.
    unrolled: Unrolled,
    packed: Packed,
}

impl Back {
    fn new(pair: &Pair<'_>) -> Self {
        let (g, weight) = (&pair.grow, pair.parts[0]);
        Self {
            narrowed: Transposed::new(&pair.project, pair.parts[2]),
            unrolled: Unrolled::new(g),
            packed: Packed::new(g.outputs, g.depth(), |o, i| weight[o * g.depth() + i]),
        }
    }
}

vectorised! {
    fn total(row: &[f32]) -> f32 {
        sum1(row, |v| v)
    }
}

/// A layer's weight and bias.
type Layer<'a> = (&'a Tensor, &'a Tensor);

/// A transposed convolution, a ReLU, and a convolution with stride 1 and a kernel of more than one pixel.
///
/// - `grow`: `[in, wide, k, k]`, `[wide]`, with `(stride, padding, output padding)`
/// - `project`: `[out, wide, k, k]`, `[out]`, with its padding
pub(crate) fn upsample_project(
    x: &Tensor,
    grow: Layer<'_>,
    (stride, padding, output_padding): (usize, usize, usize),
    project: Layer<'_>,
    project_padding: usize,
) -> Result<Tensor> {
    let g = transposed_geometry(x, grow.0, stride, padding, output_padding)?;
    let (outputs, _, kernel, _) = project.0.dims4()?;
    let p = Geometry {
        outputs,
        kernel,
        stride: 1,
        padding: project_padding,
        ..g
    };
    let layers = [grow.0, grow.1, project.0, project.1];
    let split = Split(layers.map(Tensor::elem_count));
    let flat = layers
        .iter()
        .map(|t| t.flatten_all())
        .collect::<candle_core::Result<Vec<_>>>()?;
    let flat = Tensor::cat(&flat, 0)?;
    let op = Fused2 {
        name: "upsample_project",
        forward: move |x: &[f32], flat: &[f32]| {
            let pair = Pair::new(g, p, split.of(flat));
            let (w, b) = (pair.parts[2], pair.parts[3]);
            let packed = Packed::new(p.outputs, p.depth(), |o, i| w[o * p.depth() + i]);
            let (plane, ow) = (p.out_plane(), p.out_width());
            let mut y = vec![0.0; p.batch * p.out_image()];
            y.par_chunks_exact_mut(p.out_image())
                .enumerate()
                .for_each(|(i, y)| {
                    pair.with_wide(x, i, |wide| {
                        correlate(&pair.wide, &packed, 0..p.outputs, wide, |c, strip, sums| {
                            let to = &mut y[c * plane + strip.row * ow..][..strip.rows * ow];
                            for (to, from) in
                                to.chunks_exact_mut(ow).zip(sums.chunks(pair.wide.pitch))
                            {
                                weave(&from[..ow], b[c], f32::NEG_INFINITY, 1, to);
                            }
                        });
                    });
                });
            (y, Shape::from((p.batch, p.outputs, p.out_height(), ow)))
        },
        backward: move |x: &Tensor, flat: &Tensor, _: &Tensor, dy: &Tensor| {
            let wants_dx = x.track_op();
            let (dx, sums) = with_floats(flat, |flat| {
                with_floats(x, |x| {
                    with_floats(dy, |dy| backward(&g, &p, split, flat, (x, dy), wants_dx))
                })
            })???;
            let dx = match wants_dx {
                true => Some(Tensor::from_vec(dx, x.shape(), x.device())?),
                false => None,
            };
            let sums = match flat.track_op() {
                true => Some(Tensor::from_vec(sums, flat.shape(), flat.device())?),
                false => None,
            };
            Ok((dx, sums))
        },
    };
    Ok(x.contiguous()?.apply_op2(&flat, op)?)
}

/// Gradients of the input (empty if not wanted) and of the flat parameters; each thread takes a share of the batch.
fn backward(
    g: &Geometry,
    project: &Geometry,
    split: Split,
    flat: &[f32],
    (x, dy): (&[f32], &[f32]),
    wants_dx: bool,
) -> (Vec<f32>, Vec<f32>) {
    let pair = Pair::new(*g, *project, split.of(flat));
    let back = Back::new(&pair);
    let share = g.batch.div_ceil(rayon::current_num_threads());
    let mut dx = vec![0.0; if wants_dx { x.len() } else { 0 }];
    let run = |part: usize, mut dx: Option<&mut [f32]>| {
        let mut sums = vec![0.0; flat.len()];
        for (i, image) in (part * share..((part + 1) * share).min(g.batch)).enumerate() {
            let span = i * g.out_image()..(i + 1) * g.out_image();
            let dx = dx.as_deref_mut().map(|dx| &mut dx[span]);
            pair.gradients(&back, (x, dy), image, split.of_mut(&mut sums), dx);
        }
        sums
    };
    let shares: Vec<Vec<f32>> = match wants_dx {
        true => dx
            .par_chunks_mut(share * g.out_image())
            .enumerate()
            .map(|(part, dx)| run(part, Some(dx)))
            .collect(),
        false => (0..g.batch.div_ceil(share))
            .into_par_iter()
            .map(|part| run(part, None))
            .collect(),
    };
    let mut sums = vec![0.0; flat.len()];
    for share in &shares {
        sums.iter_mut().zip(share).for_each(|(sum, v)| *sum += v);
    }
    (dx, sums)
}
