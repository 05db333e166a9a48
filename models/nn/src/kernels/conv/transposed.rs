//! The transpose of a convolution: its input's gradient, and the layer that computes the same.
//!
//! Pixels whose padded coordinates leave one remainder by the stride see the same taps. Each such phase of the image is a
//! convolution with stride 1 of the small image, with the taps in reverse, and phases are woven together at the end.
//! Source: Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?".

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use super::packed::{Packed, correlate, with_scratch};
use super::run;
use super::slope::Slope;
use super::unrolled::{Geometry, Unrolled};
use super::weight::weight_gradient;
use crate::batch_norm::Follow;
use crate::kernels::elementwise::activation;
use crate::kernels::fused::{Fused3, with_floats};
use crate::kernels::simd::vectorised;
use crate::{Activation, Result};

/// One axis of a phase.
#[derive(Clone, Copy)]
struct Axis {
    phase: usize,
    /// Taps that fall on the phase.
    taps: usize,
    /// The first step of the small image's grid, and how many steps there are.
    first: usize,
    count: usize,
}

impl Axis {
    fn new(g: &Geometry, phase: usize, size: usize) -> Self {
        let first = g.padding.saturating_sub(phase).div_ceil(g.stride);
        let end = (size + g.padding).saturating_sub(phase).div_ceil(g.stride);
        Self {
            phase,
            taps: g.kernel.saturating_sub(phase).div_ceil(g.stride),
            first,
            count: end.saturating_sub(first),
        }
    }

    /// The first pixel of the phase.
    fn pixel(&self, g: &Geometry) -> usize {
        self.first * g.stride + self.phase - g.padding
    }
}

struct Phase {
    rows: Axis,
    columns: Axis,
    plan: Option<(Unrolled, Packed)>,
}

/// How to run a convolution backwards over one image.
pub(super) struct Transposed {
    phases: Vec<Phase>,
    /// Zeros above and to the left of the small image.
    margin: usize,
    /// Rows and columns of the small image with its margins.
    rows: usize,
    pub(super) pitch: usize,
}

impl Transposed {
    /// - `weight`: `[outputs, inputs, k, k]` of the convolution
    pub(super) fn new(g: &Geometry, weight: &[f32]) -> Self {
        let (s, k) = (g.stride, g.kernel);
        let margin = k.div_ceil(s) - 1;
        let steps = |size: usize| (size - 1 + g.padding) / s + 1 + margin;
        let (rows, pitch) = (steps(g.height), steps(g.width));
        let mut phases = Vec::with_capacity(s * s);
        for (a, b) in (0..s).flat_map(|a| (0..s).map(move |b| (a, b))) {
            let (ya, xa) = (Axis::new(g, a, g.height), Axis::new(g, b, g.width));
            if ya.count == 0 || xa.count == 0 {
                continue;
            }
            let taps = ya.taps * xa.taps;
            let plan = (taps > 0).then(|| {
                let mut offsets = Vec::with_capacity(g.outputs * taps);
                for o in 0..g.outputs {
                    for m in 0..ya.taps {
                        let row = o * rows + ya.first + margin - m;
                        offsets.extend((0..xa.taps).map(|n| row * pitch + xa.first + margin - n));
                    }
                }
                let packed = Packed::new(g.inputs, g.outputs * taps, |c, i| {
                    let (o, m, n) = (i / taps, i % taps / xa.taps, i % xa.taps);
                    weight[((o * g.inputs + c) * k + a + s * m) * k + b + s * n]
                });
                (Unrolled::at(offsets, pitch, (ya.count, xa.count)), packed)
            });
            phases.push(Phase {
                rows: ya,
                columns: xa,
                plan,
            });
        }
        Self {
            phases,
            margin,
            rows,
            pitch,
        }
    }

    /// Floats of a small image with its margins.
    pub(super) fn size(&self, g: &Geometry) -> usize {
        g.outputs * self.rows * self.pitch
    }

    /// Puts a small image between its margins; what the transpose does not read is left out.
    pub(super) fn prepare(&self, g: &Geometry, slope: Slope<'_>, image: usize, out: &mut [f32]) {
        let (oh, ow) = (g.out_height(), g.out_width());
        let (m, pitch) = (self.margin, self.pitch);
        let fits = oh + m <= self.rows && ow + m <= pitch;
        for (o, out) in out.chunks_exact_mut(self.rows * pitch).enumerate() {
            let plane = image * g.outputs + o;
            if !fits {
                with_scratch(oh * ow, |whole| {
                    slope.write(g, plane, whole, ow);
                    out.fill(0.0);
                    let columns = ow.min(pitch - m);
                    let rows = whole
                        .chunks_exact(ow)
                        .zip(out.chunks_exact_mut(pitch).skip(m));
                    for (from, to) in rows {
                        to[m..m + columns].copy_from_slice(&from[..columns]);
                    }
                });
                continue;
            }
            out[..m * pitch].fill(0.0);
            out[(m + oh) * pitch..].fill(0.0);
            for row in out[m * pitch..(m + oh) * pitch].chunks_exact_mut(pitch) {
                row[..m].fill(0.0);
                row[m + ow..].fill(0.0);
            }
            slope.write(g, plane, &mut out[m * pitch + m..], pitch);
        }
    }

    /// Computes the image `[inputs, height, width]` from a prepared small one.
    ///
    /// - `finish`: `(channel, row, first column, sums)`: takes the sums of one phase's row, whose columns are `stride` apart
    pub(super) fn run(
        &self,
        g: &Geometry,
        prepared: &[f32],
        mut store: impl FnMut(usize, usize, usize, &[f32]),
    ) {
        let s = g.stride;
        for Phase {
            rows,
            columns,
            plan,
        } in &self.phases
        {
            let (y0, x0) = (rows.pixel(g), columns.pixel(g));
            let Some((u, packed)) = plan else {
                let zeros = vec![0.0; columns.count];
                for c in 0..g.inputs {
                    (0..rows.count).for_each(|i| store(c, y0 + i * s, x0, &zeros));
                }
                continue;
            };
            correlate(u, packed, 0..g.inputs, prepared, |c, strip, sums| {
                for (i, sums) in sums.chunks(u.pitch).enumerate() {
                    store(c, y0 + (strip.row + i) * s, x0, &sums[..columns.count]);
                }
            });
        }
    }
}

vectorised! {
    /// Writes `from + bias`, at least `floor`, to every `stride`-th place.
    pub(super) fn weave(from: &[f32], bias: f32, floor: f32, stride: usize, to: &mut [f32]) {
        let value = |v: f32| {
            let v = v + bias;
            if v < floor { floor } else { v }
        };
        match stride {
            1 => to.iter_mut().zip(from).for_each(|(to, v)| *to = value(*v)),
            2 => {
                let (last, most) = from.split_last().expect("a phase has columns");
                let pairs = to.as_chunks_mut::<2>().0;
                for (to, v) in pairs.iter_mut().zip(most) {
                    to[0] = value(*v);
                }
                to[2 * most.len()] = value(*last);
            }
            _ => to.iter_mut().step_by(stride).zip(from).for_each(|(to, v)| *to = value(*v)),
        }
    }
}

/// Gradient of the input: `[batch, inputs, height, width]`.
pub(super) fn input_gradient(g: &Geometry, weight: &[f32], slope: Slope<'_>) -> Vec<f32> {
    transpose(g, weight, slope, |_| 0.0, f32::NEG_INFINITY)
}

fn transpose(
    g: &Geometry,
    weight: &[f32],
    slope: Slope<'_>,
    bias: impl Fn(usize) -> f32 + Sync,
    floor: f32,
) -> Vec<f32> {
    let plan = Transposed::new(g, weight);
    let mut dx = vec![0.0; g.batch * g.image()];
    dx.par_chunks_exact_mut(g.image())
        .enumerate()
        .for_each(|(image, dx)| {
            with_scratch(plan.size(g), |prepared| {
                plan.prepare(g, slope, image, prepared);
                plan.run(g, prepared, |c, y, x, sums| {
                    let to = &mut dx[c * g.plane() + y * g.width..][x..g.width];
                    weave(sums, bias(c), floor, g.stride, to);
                });
            });
        });
    dx
}

/// Transposed convolution of `x` `[b, in, h, w]` with `weight` `[in, out, k, k]` and `bias` `[out]`.
pub(crate) fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    stride: usize,
    padding: usize,
    output_padding: usize,
    follow: Follow,
) -> Result<Tensor> {
    let g = transposed_geometry(x, weight, stride, padding, output_padding)?;
    let relu = follow == Follow::Relu;
    if relu && g.kernel == 1 && stride == 1 && padding == 0 {
        // Such a kernel takes its image as it is, so nothing on the way could apply the mask.
        let sums = conv_transpose2d(x, weight, bias, 1, 0, output_padding, Follow::Nothing)?;
        return activation(&sums, Activation::Relu);
    }
    let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
    let op = Fused3 {
        name: "conv_transpose2d",
        forward: move |x: &[f32], w: &[f32], b: &[f32]| {
            let y = transpose(&g, w, Slope::Plain(x), |c| b[c], floor);
            (y, Shape::from((g.batch, g.inputs, g.height, g.width)))
        },
        backward: move |x: &Tensor, w: &Tensor, b: &Tensor, y: &Tensor, dy: &Tensor| {
            with_floats(y, |y| {
                with_floats(dy, |dy| {
                    let keep = relu.then_some(y);
                    let dx = match x.track_op() {
                        true => {
                            let dx = with_floats(w, |w| transpose_slope(&g, w, dy, keep))?;
                            Some(Tensor::from_vec(dx, x.shape(), x.device())?)
                        }
                        false => None,
                    };
                    let dw = match w.track_op() {
                        true => {
                            let (dw, _) =
                                with_floats(x, |x| weight_gradient(&g, dy, keep, Slope::Plain(x)))?;
                            Some(Tensor::from_vec(dw, w.shape(), w.device())?)
                        }
                        false => None,
                    };
                    let db = match b.track_op() {
                        true => {
                            let db = channel_sums(dy, keep, g.inputs, g.plane());
                            Some(Tensor::from_vec(db, b.shape(), b.device())?)
                        }
                        false => None,
                    };
                    Ok((dx, dw, db))
                })
            })??
        },
    };
    Ok(x.contiguous()?
        .apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)?)
}

/// The convolution whose transpose is asked for.
pub(super) fn transposed_geometry(
    x: &Tensor,
    weight: &Tensor,
    stride: usize,
    padding: usize,
    output_padding: usize,
) -> Result<Geometry> {
    let (batch, outputs, h, w) = x.dims4()?;
    let (_, inputs, kernel, _) = weight.dims4()?;
    let size = |n: usize| (n - 1) * stride + kernel + output_padding - 2 * padding;
    Ok(Geometry {
        batch,
        inputs,
        outputs,
        height: size(h),
        width: size(w),
        kernel,
        stride,
        padding,
    })
}

/// Gradient of a transposed convolution's input: the convolution itself.
fn transpose_slope(g: &Geometry, weight: &[f32], dy: &[f32], keep: Option<&[f32]>) -> Vec<f32> {
    let depth = g.depth();
    let packed = Packed::new(g.outputs, depth, |o, i| weight[o * depth + i]);
    let mut dx = vec![0.0; g.batch * g.out_image()];
    run(g, &packed, dy, keep, &mut dx, |_, from, to| {
        to.copy_from_slice(from)
    });
    dx
}

vectorised! {
    fn sum_where(dy: &[f32], keep: Option<&[f32]>) -> f32 {
        use crate::kernels::math::{sum1, sum2};
        match keep {
            None => sum1(dy, |dy| dy),
            Some(keep) => sum2(dy, keep, |dy, y| if y > 0.0 { dy } else { 0.0 }),
        }
    }
}

/// Sums of `dy` `[b, channels, plane]` over all but the channels, where `keep` is positive.
fn channel_sums(dy: &[f32], keep: Option<&[f32]>, channels: usize, plane: usize) -> Vec<f32> {
    (0..channels)
        .into_par_iter()
        .map(|c| {
            let spans = (c * plane..dy.len()).step_by(channels * plane);
            let total: f64 = spans
                .map(|at| {
                    let span = at..at + plane;
                    f64::from(sum_where(&dy[span.clone()], keep.map(|keep| &keep[span])))
                })
                .sum();
            total as f32
        })
        .collect()
}
