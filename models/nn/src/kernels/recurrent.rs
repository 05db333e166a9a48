//! Recurrent layers over whole sequences, with their own backward through time.
//!
//! The projections of all steps arrive as one tensor; what remains a step is one product with the recurrent weight and
//! one pass over the gates. The forward keeps the gates for the backward, which sums the weight's gradient over all
//! steps in one product.

use std::sync::{Arc, OnceLock};

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use super::fused::{Fused3, Gradients3, with_floats};
use super::math::{sigmoid, tanh};
use super::simd::{Into, Matrix, Threads, product, vectorised};
use crate::Result;

/// Which recurrence. Gates stand in PyTorch's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    /// Input, forget, cell, output. Source: Hochreiter and Schmidhuber 1997, with Gers et al. 2000's forget gate.
    Lstm,
    /// Reset, update, new. Source: Cho et al. 2014, with the reset gate behind the recurrent product.
    Gru,
}

impl Cell {
    pub(crate) fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru => 3,
        }
    }
}

#[derive(Clone, Copy)]
struct Sizes {
    cell: Cell,
    batch: usize,
    steps: usize,
    hidden: usize,
}

/// What the backward needs of the forward: `[steps, batch, 4 · hidden]` gates, and for an LSTM `[steps, batch, hidden]` cells.
///
/// An LSTM keeps its four gates; a GRU its three and the recurrent part of the new one.
struct Kept {
    gates: Vec<f32>,
    cells: Vec<f32>,
}

vectorised! {
    /// One row of LSTM gates: activates `a` `[4 h]` in place, moves the cell on, writes the state.
    fn lstm_step<A>(a: &mut [f32], bias: &[f32], before: &[f32], cell: &mut [f32], state: &mut [f32]) {
        let h = state.len();
        let (i, rest) = a.split_at_mut(h);
        let (f, rest) = rest.split_at_mut(h);
        let (g, o) = rest.split_at_mut(h);
        for k in 0..h {
            i[k] = sigmoid::<A>(i[k] + bias[k]);
            f[k] = sigmoid::<A>(f[k] + bias[h + k]);
            g[k] = tanh::<A>(g[k] + bias[2 * h + k]);
            o[k] = sigmoid::<A>(o[k] + bias[3 * h + k]);
            cell[k] = f[k] * before[k] + i[k] * g[k];
            state[k] = o[k] * tanh::<A>(cell[k]);
        }
    }
}

vectorised! {
    /// The gradient of [`lstm_step`]: turns the state's gradient and the cell's into the gates' before activation, and the
    /// cell's of the step before.
    fn lstm_slope<A>(
        gates: &[f32],
        cells: (&[f32], &[f32]),
        d_state: &[f32],
        d_cell: &mut [f32],
        d_gates: &mut [f32],
    ) {
        let h = d_state.len();
        let (i, f, g, o) = (&gates[..h], &gates[h..2 * h], &gates[2 * h..3 * h], &gates[3 * h..4 * h]);
        let (before, cell) = (&cells.0[..h], &cells.1[..h]);
        let (di, rest) = d_gates.split_at_mut(h);
        let (df, rest) = rest.split_at_mut(h);
        let (dg, d_o) = rest.split_at_mut(h);
        let (d_o, d_cell) = (&mut d_o[..h], &mut d_cell[..h]);
        for k in 0..h {
            let t = tanh::<A>(cell[k]);
            let dc = d_cell[k] + d_state[k] * o[k] * (1.0 - t * t);
            d_o[k] = d_state[k] * t * o[k] * (1.0 - o[k]);
            di[k] = dc * g[k] * i[k] * (1.0 - i[k]);
            df[k] = dc * before[k] * f[k] * (1.0 - f[k]);
            dg[k] = dc * i[k] * (1.0 - g[k] * g[k]);
            d_cell[k] = dc * f[k];
        }
    }
}

vectorised! {
    /// One row of GRU gates: `x` `[3 h]` from the input, `a` `[3 h]` from the state; keeps reset, update, new and the new
    /// gate's recurrent part in `kept` `[4 h]`.
    fn gru_step<A>(x: &[f32], a: &[f32], bias: &[f32], before: &[f32], kept: &mut [f32], state: &mut [f32]) {
        let h = state.len();
        let (r, rest) = kept.split_at_mut(h);
        let (z, rest) = rest.split_at_mut(h);
        let (n, m) = rest.split_at_mut(h);
        let m = &mut m[..h];
        for k in 0..h {
            r[k] = sigmoid::<A>(x[k] + a[k] + bias[k]);
            z[k] = sigmoid::<A>(x[h + k] + a[h + k] + bias[h + k]);
            m[k] = a[2 * h + k] + bias[2 * h + k];
            n[k] = tanh::<A>(x[2 * h + k] + r[k] * m[k]);
            state[k] = n[k] + z[k] * (before[k] - n[k]);
        }
    }
}

vectorised! {
    /// The gradient of [`gru_step`]: of the input's part and of the recurrent part; `d_state` becomes what reaches the
    /// state before without passing the recurrent weight.
    fn gru_slope(kept: &[f32], before: &[f32], d_state: &mut [f32], dx: &mut [f32], da: &mut [f32]) {
        let h = d_state.len();
        let (r, z, n, m) = (&kept[..h], &kept[h..2 * h], &kept[2 * h..3 * h], &kept[3 * h..4 * h]);
        for k in 0..h {
            let d = d_state[k];
            let dn = d * (1.0 - z[k]) * (1.0 - n[k] * n[k]);
            let dz = d * (before[k] - n[k]) * z[k] * (1.0 - z[k]);
            let dr = dn * m[k] * r[k] * (1.0 - r[k]);
            dx[k] = dr;
            dx[h + k] = dz;
            dx[2 * h + k] = dn;
            da[k] = dr;
            da[h + k] = dz;
            da[2 * h + k] = dn * r[k];
            d_state[k] = d * z[k];
        }
    }
}

impl Sizes {
    fn width(self) -> usize {
        self.cell.gates() * self.hidden
    }

    /// `[batch, hidden]` states of a step, out of `[batch, steps, hidden]`; zero before the first.
    fn states(self, all: &[f32], step: Option<usize>) -> Vec<f32> {
        let (h, row) = (self.hidden, self.steps * self.hidden);
        match step {
            None => vec![0.0; self.batch * h],
            Some(t) => all
                .chunks_exact(row)
                .flat_map(|row| &row[t * h..(t + 1) * h])
                .copied()
                .collect(),
        }
    }

    /// `[batch, width] += [batch, hidden] · weightᵀ`.
    fn recur(self, state: &[f32], weight: &[f32], out: &mut [f32]) {
        let (h, w) = (self.hidden, self.width());
        let (a, b) = (Matrix::rows(state, h), Matrix::columns(weight, h));
        product(
            (self.batch, h, w),
            a,
            b,
            out,
            w,
            1.0,
            Into::Add,
            Threads::All,
        );
    }

    /// States of all steps `[batch, steps, hidden]`, and what the backward needs.
    fn forward(self, x: &[f32], weight: &[f32], bias: &[f32]) -> (Vec<f32>, Kept) {
        let Sizes {
            cell,
            batch,
            steps,
            hidden: h,
        } = self;
        let w = self.width();
        let lstm = cell == Cell::Lstm;
        let mut kept = Kept {
            gates: vec![0.0; steps * batch * 4 * h],
            cells: vec![0.0; if lstm { steps * batch * h } else { 0 }],
        };
        let mut y = vec![0.0; batch * steps * h];
        let mut sums = vec![0.0; batch * w];
        let nothing = vec![0.0; h];
        for t in 0..steps {
            let before = self.states(&y, t.checked_sub(1));
            let gates = &mut kept.gates[t * batch * 4 * h..][..batch * 4 * h];
            let into: &mut [f32] = if lstm { gates } else { &mut sums };
            match cell {
                Cell::Lstm => into
                    .chunks_exact_mut(w)
                    .zip(x.chunks_exact(steps * w))
                    .for_each(|(to, x)| to.copy_from_slice(&x[t * w..(t + 1) * w])),
                Cell::Gru => into.fill(0.0),
            }
            if t > 0 {
                self.recur(&before, weight, into);
            }
            let states = y.par_chunks_exact_mut(steps * h);
            let gates = kept.gates[t * batch * 4 * h..].par_chunks_exact_mut(4 * h);
            if lstm {
                let (past, now) = kept.cells.split_at_mut(t * batch * h);
                let past = &past[t.saturating_sub(1) * batch * h..];
                let rows = states.zip(gates).zip(now.par_chunks_exact_mut(h));
                rows.enumerate().for_each(|(b, ((y, gates), now))| {
                    let past = if t > 0 {
                        &past[b * h..(b + 1) * h]
                    } else {
                        &nothing
                    };
                    lstm_step(gates, bias, past, now, &mut y[t * h..(t + 1) * h]);
                });
            } else {
                let rows = states.zip(gates).zip(sums.par_chunks_exact(w));
                rows.enumerate().for_each(|(b, ((y, kept), a))| {
                    let x = &x[(b * steps + t) * w..][..w];
                    let before = &before[b * h..(b + 1) * h];
                    gru_step(x, a, bias, before, kept, &mut y[t * h..(t + 1) * h]);
                });
            }
        }
        (y, kept)
    }

    /// Gradients of the projections `[batch, steps, width]` and of the recurrent sums in the same shape (the projections'
    /// own for an LSTM).
    fn backward(
        self,
        kept: &Kept,
        y: &[f32],
        weight: &[f32],
        dy: &[f32],
    ) -> (Vec<f32>, Option<Vec<f32>>) {
        let Sizes {
            cell,
            batch,
            steps,
            hidden: h,
        } = self;
        let w = self.width();
        let lstm = cell == Cell::Lstm;
        let mut dx = vec![0.0; batch * steps * w];
        let mut da = vec![0.0; if lstm { 0 } else { batch * steps * w }];
        let mut d_state = vec![0.0; batch * h];
        let mut d_cell = vec![0.0; batch * h];
        let nothing = vec![0.0; h];
        for t in (0..steps).rev() {
            for (d, dy) in d_state.chunks_exact_mut(h).zip(dy.chunks_exact(steps * h)) {
                d.iter_mut()
                    .zip(&dy[t * h..(t + 1) * h])
                    .for_each(|(d, dy)| *d += dy);
            }
            let gates = |b: usize| &kept.gates[(t * batch + b) * 4 * h..][..4 * h];
            if lstm {
                dx.par_chunks_exact_mut(steps * w)
                    .zip(d_state.par_chunks_exact(h))
                    .zip(d_cell.par_chunks_exact_mut(h))
                    .enumerate()
                    .for_each(|(b, ((dx, d_state), d_cell))| {
                        let cell = |t: usize| &kept.cells[(t * batch + b) * h..][..h];
                        let before = if t > 0 { cell(t - 1) } else { &nothing };
                        let dx = &mut dx[t * w..(t + 1) * w];
                        lstm_slope(gates(b), (before, cell(t)), d_state, d_cell, dx);
                    });
                d_state.fill(0.0);
            } else {
                dx.par_chunks_exact_mut(steps * w)
                    .zip(da.par_chunks_exact_mut(steps * w))
                    .zip(d_state.par_chunks_exact_mut(h))
                    .enumerate()
                    .for_each(|(b, ((dx, da), d_state))| {
                        let y = &y[b * steps * h..][..steps * h];
                        let before = if t > 0 {
                            &y[(t - 1) * h..t * h]
                        } else {
                            &nothing
                        };
                        let span = t * w..(t + 1) * w;
                        gru_slope(
                            gates(b),
                            before,
                            d_state,
                            &mut dx[span.clone()],
                            &mut da[span],
                        );
                    });
            }
            if t > 0 {
                let sums = if lstm { &dx } else { &da };
                let a = Matrix::rows(&sums[t * w..], steps * w);
                let b = Matrix::rows(weight, h);
                let sizes = (batch, w, h);
                product(sizes, a, b, &mut d_state, h, 1.0, Into::Add, Threads::All);
            }
        }
        (dx, (!lstm).then_some(da))
    }

    /// Gradients of the recurrent weight and its bias from the gradient of the recurrent sums.
    fn weight_gradients(self, y: &[f32], sums: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (h, w, rows) = (self.hidden, self.width(), self.batch * self.steps);
        let mut before = vec![0.0; rows * h];
        let images = before.chunks_exact_mut(self.steps * h);
        for (before, y) in images.zip(y.chunks_exact(self.steps * h)) {
            before[h..].copy_from_slice(&y[..(self.steps - 1) * h]);
        }
        let mut dw = vec![0.0; w * h];
        let (a, b) = (Matrix::columns(sums, w), Matrix::rows(&before, h));
        product(
            (w, rows, h),
            a,
            b,
            &mut dw,
            h,
            1.0,
            Into::Replace,
            Threads::All,
        );
        let mut db = vec![0.0; w];
        for row in sums.chunks_exact(w) {
            db.iter_mut().zip(row).for_each(|(sum, v)| *sum += v);
        }
        (dw, db)
    }
}

/// Runs a recurrence from a zero state.
///
/// - `x`: projected inputs with their bias, `[b, t, gates · h]`; `weight`: `[gates · h, h]`; `bias`: `[gates · h]`
/// - returns all states, `[b, t, h]`
pub(crate) fn recurrent(x: &Tensor, weight: &Tensor, bias: &Tensor, cell: Cell) -> Result<Tensor> {
    let (batch, steps, _) = x.dims3()?;
    let sizes = Sizes {
        cell,
        batch,
        steps,
        hidden: weight.dim(1)?,
    };
    let tracked = x.track_op() || weight.track_op() || bias.track_op();
    let kept: Arc<OnceLock<Kept>> = Arc::default();
    let again = kept.clone();
    let op = Fused3 {
        name: "recurrent",
        forward: move |x: &[f32], weight: &[f32], bias: &[f32]| {
            let (y, states) = sizes.forward(x, weight, bias);
            if tracked {
                kept.get_or_init(|| states);
            }
            (y, Shape::from((batch, steps, sizes.hidden)))
        },
        backward: move |x: &Tensor, w: &Tensor, b: &Tensor, y: &Tensor, dy: &Tensor| {
            let Some(kept) = again.get() else {
                candle_core::bail!("a recurrence that was not tracked has no gradient");
            };
            let gradients = with_floats(w, |w| {
                with_floats(y, |y| {
                    with_floats(dy, |dy| {
                        let (dx, da) = sizes.backward(kept, y, w, dy);
                        let (dw, db) = sizes.weight_gradients(y, da.as_ref().unwrap_or(&dx));
                        (dx, dw, db)
                    })
                })
            })???;
            let (dx, dw, db) = gradients;
            let tensor = |values: Vec<f32>, like: &Tensor| match like.track_op() {
                true => Tensor::from_vec(values, like.shape(), like.device()).map(Some),
                false => Ok(None),
            };
            Ok::<Gradients3, candle_core::Error>((tensor(dx, x)?, tensor(dw, w)?, tensor(db, b)?))
        },
    };
    Ok(x.contiguous()?
        .apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)?)
}
