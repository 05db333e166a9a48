//! Scaled dot-product attention, head by head, without splitting heads in memory first.

mod streamed;

use std::sync::{Arc, OnceLock};

use candle_core::{Shape, Tensor};
use rayon::prelude::*;

use super::fused::{Fused1, Fused3, with_floats};
use super::rows::{softmax_rows, softmax_slope};
use super::simd::{Into, Matrix, Threads, product};
use crate::{Mask, NnError, Result};

/// Sizes of one attention: `n` queries look at `m` positions, `d` channels a head.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    heads: usize,
    n: usize,
    m: usize,
    d: usize,
    scale: f32,
}

/// What is added to the scores.
#[derive(Clone)]
enum Bias {
    None,
    Causal,
    /// `[batch, heads, n, m]`
    Added(Arc<Vec<f32>>),
}

/// A `[batch, rows, heads·d]` operand inside a slice: rows lie `row` floats apart.
#[derive(Clone, Copy)]
struct Operand<'a> {
    data: &'a [f32],
    first: usize,
    row: usize,
    rows: usize,
}

impl<'a> Operand<'a> {
    /// The `[rows, d]` matrix of one head of one batch element, from row `from` on.
    fn head(self, s: Sizes, i: usize, from: usize) -> Matrix<'a> {
        let (b, h) = (i / s.heads, i % s.heads);
        let row = b * self.rows + from;
        Matrix::rows(
            &self.data[self.first + row * self.row + h * s.d..],
            self.row,
        )
    }
}

impl Sizes {
    /// An operand of its own.
    fn whole(self, data: &[f32], rows: usize) -> Operand<'_> {
        Operand {
            data,
            first: 0,
            row: self.heads * self.d,
            rows,
        }
    }

    /// Queries (0), keys (1) or values (2) of a packed operand.
    fn part(self, data: &[f32], i: usize) -> Operand<'_> {
        let dim = self.heads * self.d;
        Operand {
            data,
            first: i * dim,
            row: 3 * dim,
            rows: self.n,
        }
    }

    fn scores(self) -> usize {
        self.n * self.m
    }

    /// `[batch, n, heads·d]`; keeps the weights where the backward will want them.
    fn forward(
        self,
        (q, k, v): (Operand<'_>, Operand<'_>, Operand<'_>),
        bias: &Bias,
        keep: &Option<Arc<OnceLock<Vec<f32>>>>,
    ) -> Vec<f32> {
        let Some(kept) = keep else {
            return self.attend((q, k, v), bias);
        };
        let weights = self.weights(q, k, bias);
        let y = self.mix(&weights, v);
        // A second forward of the same operation would compute the same weights.
        let _ = kept.set(weights);
        y
    }

    /// The weights of all heads, `[batch, heads, n, m]`.
    fn weights(self, q: Operand<'_>, k: Operand<'_>, bias: &Bias) -> Vec<f32> {
        let mut weights = vec![0.0; self.batch * self.heads * self.scores()];
        weights
            .par_chunks_exact_mut(self.scores())
            .enumerate()
            .for_each(|(i, weights)| {
                let sizes = (self.n, self.d, self.m);
                let (a, b) = (q.head(self, i, 0), k.head(self, i, 0).transposed());
                product(
                    sizes,
                    a,
                    b,
                    weights,
                    self.m,
                    self.scale,
                    Into::Replace,
                    Threads::One,
                );
                self.add_bias(bias, i, weights);
                softmax_in_place(weights, self.m);
            });
        weights
    }

    fn add_bias(self, bias: &Bias, i: usize, scores: &mut [f32]) {
        match bias {
            Bias::None => {}
            Bias::Causal => {
                for (row, scores) in scores.chunks_exact_mut(self.m).enumerate() {
                    let seen = (row + 1 + self.m).saturating_sub(self.n).min(self.m);
                    scores[seen..].fill(f32::NEG_INFINITY);
                }
            }
            Bias::Added(bias) => {
                let bias = &bias[i * self.scores()..][..self.scores()];
                for (score, bias) in scores.iter_mut().zip(bias) {
                    *score += bias;
                }
            }
        }
    }

    /// `[batch, n, heads·d]` from weights and values.
    fn mix(self, weights: &[f32], v: Operand<'_>) -> Vec<f32> {
        let mut heads = vec![0.0; self.batch * self.heads * self.n * self.d];
        heads
            .par_chunks_exact_mut(self.n * self.d)
            .zip(weights.par_chunks_exact(self.scores()))
            .enumerate()
            .for_each(|(i, (out, weights))| {
                let sizes = (self.n, self.m, self.d);
                let a = Matrix::rows(weights, self.m);
                product(
                    sizes,
                    a,
                    v.head(self, i, 0),
                    out,
                    self.d,
                    1.0,
                    Into::Replace,
                    Threads::One,
                );
            });
        let mut y = vec![0.0; heads.len()];
        self.interleave(&heads, self.n, &mut y, 0, self.heads * self.d);
        y
    }

    /// Writes `[batch, heads, rows, d]` as `[batch, rows, row]` from column `first` on.
    fn interleave(self, heads: &[f32], rows: usize, out: &mut [f32], first: usize, row: usize) {
        out.par_chunks_exact_mut(rows * row)
            .zip(heads.par_chunks_exact(self.heads * rows * self.d))
            .for_each(|(out, heads)| {
                for (h, head) in heads.chunks_exact(rows * self.d).enumerate() {
                    for (out, from) in out.chunks_exact_mut(row).zip(head.chunks_exact(self.d)) {
                        out[first + h * self.d..][..self.d].copy_from_slice(from);
                    }
                }
            });
    }

    /// Gradients of queries, keys and values, each `[batch, heads, rows, d]`.
    fn gradients(
        self,
        (q, k, v): (Operand<'_>, Operand<'_>, Operand<'_>),
        weights: &[f32],
        dy: Operand<'_>,
    ) -> [Vec<f32>; 3] {
        let tasks = self.batch * self.heads;
        let mut dq = vec![0.0; tasks * self.n * self.d];
        let mut dk = vec![0.0; tasks * self.m * self.d];
        let mut dv = vec![0.0; tasks * self.m * self.d];
        dq.par_chunks_exact_mut(self.n * self.d)
            .zip(dk.par_chunks_exact_mut(self.m * self.d))
            .zip(dv.par_chunks_exact_mut(self.m * self.d))
            .zip(weights.par_chunks_exact(self.scores()))
            .enumerate()
            .for_each(|(i, (((dq, dk), dv), weights))| {
                let (n, m, d) = (self.n, self.m, self.d);
                let p = Matrix::rows(weights, m);
                let dy = dy.head(self, i, 0);
                let one = Threads::One;
                product(
                    (m, n, d),
                    p.transposed(),
                    dy,
                    dv,
                    d,
                    1.0,
                    Into::Replace,
                    one,
                );
                let mut dp = vec![0.0; n * m];
                let v = v.head(self, i, 0).transposed();
                product((n, d, m), dy, v, &mut dp, m, 1.0, Into::Replace, one);
                let mut ds = vec![0.0; n * m];
                softmax_slope(weights, &dp, &mut ds, m);
                let ds = Matrix::rows(&ds, m);
                product(
                    (n, m, d),
                    ds,
                    k.head(self, i, 0),
                    dq,
                    d,
                    self.scale,
                    Into::Replace,
                    one,
                );
                let q = q.head(self, i, 0);
                product(
                    (m, n, d),
                    ds.transposed(),
                    q,
                    dk,
                    d,
                    self.scale,
                    Into::Replace,
                    one,
                );
            });
        [dq, dk, dv]
    }

    fn bias(self, mask: &Mask) -> Result<Bias> {
        Ok(match mask {
            Mask::None => Bias::None,
            Mask::Causal => Bias::Causal,
            Mask::Additive(mask) => {
                let shape = (self.batch, self.heads, self.n, self.m);
                let mask = mask
                    .detach()
                    .broadcast_as(shape)?
                    .to_dtype(candle_core::DType::F32)?;
                Bias::Added(Arc::new(mask.flatten_all()?.to_vec1()?))
            }
        })
    }
}

fn softmax_in_place(scores: &mut [f32], m: usize) {
    let mut row = vec![0.0; m];
    for scores in scores.chunks_exact_mut(m) {
        softmax_rows(scores, &mut row, m);
        scores.copy_from_slice(&row);
    }
}

/// Attention of `[b, n, heads·d]` queries over `[b, m, heads·d]` keys and values.
pub(crate) fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    mask: &Mask,
    scale: f64,
) -> Result<Tensor> {
    let ((batch, n, dim), (_, m, _)) = (q.dims3()?, k.dims3()?);
    if k.dims() != v.dims() || k.dims() != [batch, m, dim] || !dim.is_multiple_of(heads) {
        let reason = format!(
            "{:?}, {:?} and {:?} in {heads} heads",
            q.shape(),
            k.shape(),
            v.shape()
        );
        return Err(NnError::argument("attention", reason));
    }
    let s = Sizes {
        batch,
        heads,
        n,
        m,
        d: dim / heads,
        scale: scale as f32,
    };
    let bias = s.bias(mask)?;
    let kept: Arc<OnceLock<Vec<f32>>> = Arc::new(OnceLock::new());
    let keep = (q.track_op() || k.track_op() || v.track_op()).then(|| kept.clone());
    let op = Fused3 {
        name: "attention",
        forward: move |q: &[f32], k: &[f32], v: &[f32]| {
            let operands = (s.whole(q, n), s.whole(k, m), s.whole(v, m));
            (
                s.forward(operands, &bias, &keep),
                Shape::from((batch, n, dim)),
            )
        },
        backward: move |q: &Tensor, k: &Tensor, v: &Tensor, _: &Tensor, dy: &Tensor| {
            let weights = kept
                .get()
                .expect("the forward of a tracked attention keeps its weights");
            let heads = with_floats(q, |q| {
                with_floats(k, |k| {
                    with_floats(v, |v| {
                        with_floats(dy, |dy| {
                            let operands = (s.whole(q, n), s.whole(k, m), s.whole(v, m));
                            s.gradients(operands, weights, s.whole(dy, n))
                        })
                    })
                })
            })????;
            let gradient =
                |of: &Tensor, heads: &[f32], rows: usize| -> candle_core::Result<Option<Tensor>> {
                    if !of.track_op() {
                        return Ok(None);
                    }
                    let mut gradient = vec![0.0; heads.len()];
                    s.interleave(heads, rows, &mut gradient, 0, dim);
                    Ok(Some(Tensor::from_vec(gradient, of.shape(), of.device())?))
                };
            let [dq, dk, dv] = heads;
            Ok((
                gradient(q, &dq, n)?,
                gradient(k, &dk, m)?,
                gradient(v, &dv, m)?,
            ))
        },
    };
    Ok(q.contiguous()?
        .apply_op3(&k.contiguous()?, &v.contiguous()?, op)?)
}

/// Self-attention from packed `[b, n, 3·heads·d]` queries, keys and values.
pub(crate) fn packed_attention(
    qkv: &Tensor,
    heads: usize,
    mask: &Mask,
    scale: f64,
) -> Result<Tensor> {
    let (batch, n, packed) = qkv.dims3()?;
    let dim = packed / 3;
    let s = Sizes {
        batch,
        heads,
        n,
        m: n,
        d: dim / heads,
        scale: scale as f32,
    };
    let bias = s.bias(mask)?;
    let kept: Arc<OnceLock<Vec<f32>>> = Arc::new(OnceLock::new());
    let keep = qkv.track_op().then(|| kept.clone());
    let op = Fused1 {
        name: "packed_attention",
        forward: move |x: &[f32], _: &Shape| {
            let operands = (s.part(x, 0), s.part(x, 1), s.part(x, 2));
            (
                s.forward(operands, &bias, &keep),
                Shape::from((batch, n, dim)),
            )
        },
        backward: move |x: &Tensor, _: &Tensor, dy: &Tensor| {
            let weights = kept
                .get()
                .expect("the forward of a tracked attention keeps its weights");
            let heads = with_floats(x, |x| {
                with_floats(dy, |dy| {
                    s.gradients(
                        (s.part(x, 0), s.part(x, 1), s.part(x, 2)),
                        weights,
                        s.whole(dy, n),
                    )
                })
            })??;
            let mut dx = vec![0.0; x.elem_count()];
            for (i, heads) in heads.iter().enumerate() {
                s.interleave(heads, n, &mut dx, i * dim, packed);
            }
            Tensor::from_vec(dx, x.shape(), x.device())
        },
    };
    Ok(qkv.contiguous()?.apply_op1(op)?)
}
