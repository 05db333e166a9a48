//! Attention whose weights nobody asks for again: a panel of queries at a time, whose scores stay in a cache.
//!
//! A panel holds its queries side by side, `[d, panel width]`. Its scores are `[m, panel width]`, a row a position, so that the
//! softmax runs down the columns and the scores are in turn a panel, by which the columns of the values are multiplied.

use std::ops::Range;

use rayon::prelude::*;

use super::{Bias, Operand, Sizes};
use crate::kernels::math::exp;
use crate::kernels::simd::{Matrix, panel_rows, panel_width, vectorised};

vectorised! {
    /// Exponentials of each column's scores above its largest, and one over their sums.
    fn exponentials<A>(scores: &mut [f32], tops: &mut [f32], shares: &mut [f32]) {
        let width = tops.len();
        tops.fill(f32::NEG_INFINITY);
        shares.fill(0.0);
        for row in scores.chunks_exact(width) {
            for (top, &score) in tops.iter_mut().zip(row) {
                *top = if score > *top { score } else { *top };
            }
        }
        for row in scores.chunks_exact_mut(width) {
            for ((score, &top), sum) in row.iter_mut().zip(tops.iter()).zip(shares.iter_mut()) {
                *score = exp::<A>(*score - top);
                *sum += *score;
            }
        }
        for share in shares {
            *share = 1.0 / *share;
        }
    }
}

/// What a task needs besides its result.
struct Room {
    width: usize,
    /// `[d, width]`
    queries: Vec<f32>,
    /// `[m, width]`
    scores: Vec<f32>,
    tops: Vec<f32>,
    shares: Vec<f32>,
}

impl Sizes {
    /// `[batch, n, heads·d]` from queries, keys and values.
    pub(super) fn attend(
        self,
        (q, k, v): (Operand<'_>, Operand<'_>, Operand<'_>),
        bias: &Bias,
    ) -> Vec<f32> {
        let (width, dim) = (panel_width(), self.heads * self.d);
        let mut y = vec![0.0; self.batch * self.n * dim];
        if y.is_empty() || self.m == 0 {
            return y;
        }
        y.par_chunks_exact_mut(self.n * dim)
            .enumerate()
            .flat_map(|(b, y)| {
                let panels = y.par_chunks_mut(width * dim).enumerate();
                panels.map(move |(p, y)| (b, p, y))
            })
            .for_each(|(b, p, y)| {
                let queries = p * width..p * width + y.len() / dim;
                let mut mixed = vec![0.0; self.heads * self.d * width];
                mixed
                    .par_chunks_exact_mut(self.d * width)
                    .enumerate()
                    .for_each_init(
                        || self.room(width),
                        |room, (h, mixed)| {
                            let i = b * self.heads + h;
                            self.mix_panel(i, queries.clone(), (q, k, v), bias, room, mixed);
                        },
                    );
                stand(&mixed, width, y, dim);
            });
        y
    }

    fn room(self, width: usize) -> Room {
        Room {
            width,
            queries: vec![0.0; self.d * width],
            scores: vec![0.0; self.m * width],
            tops: vec![0.0; width],
            shares: vec![0.0; width],
        }
    }

    /// Values as one head of some queries mixes them, `[d, width]`.
    fn mix_panel(
        self,
        i: usize,
        queries: Range<usize>,
        (q, k, v): (Operand<'_>, Operand<'_>, Operand<'_>),
        bias: &Bias,
        room: &mut Room,
        mixed: &mut [f32],
    ) {
        let (columns, d, width) = (queries.len(), self.d, room.width);
        // Nobody here sees what only later queries see.
        let m = match bias {
            Bias::Causal if self.m >= self.n => queries.end + self.m - self.n,
            _ => self.m,
        };
        let asked = q.head(self, i, queries.start);
        lay(asked, columns, self.scale, width, &mut room.queries);
        let scores = &mut room.scores[..m * width];
        panel_rows(k.head(self, i, 0), (m, d), &room.queries, columns, scores);
        self.bias_columns(bias, i, queries, width, scores);
        exponentials(scores, &mut room.tops, &mut room.shares);
        let values = v.head(self, i, 0).transposed();
        panel_rows(values, (d, m), scores, columns, mixed);
        for row in mixed.chunks_exact_mut(width) {
            row.iter_mut()
                .zip(&room.shares)
                .for_each(|(y, share)| *y *= share);
        }
    }

    /// Adds to scores `[positions, width]`, a column a query.
    fn bias_columns(
        self,
        bias: &Bias,
        i: usize,
        queries: Range<usize>,
        width: usize,
        scores: &mut [f32],
    ) {
        let rows = scores.chunks_exact_mut(width).enumerate();
        match bias {
            Bias::None => {}
            Bias::Causal => {
                for (position, scores) in rows {
                    // Queries before the first that sees this position.
                    let blind = (position + self.n).saturating_sub(self.m + queries.start);
                    scores[..blind.min(queries.len())].fill(f32::NEG_INFINITY);
                }
            }
            Bias::Added(bias) => {
                let bias = &bias[i * self.scores() + queries.start * self.m..];
                for (position, scores) in rows {
                    let column = bias[position..].iter().step_by(self.m);
                    let scores = scores[..queries.len()].iter_mut();
                    scores.zip(column).for_each(|(score, bias)| *score += bias);
                }
            }
        }
    }
}

/// Rows of queries side by side, `[d, width]`, times `scale`.
fn lay(rows: Matrix<'_>, count: usize, scale: f32, width: usize, panel: &mut [f32]) {
    let d = panel.len() / width;
    let row = |r: usize| &rows.data[r * rows.row..][..d];
    let mut r = 0;
    while r + 4 <= count {
        let columns = row(r)
            .iter()
            .zip(row(r + 1))
            .zip(row(r + 2))
            .zip(row(r + 3));
        for (panel, (((a, b), c), d)) in panel.chunks_exact_mut(width).zip(columns) {
            panel[r..r + 4].copy_from_slice(&[a * scale, b * scale, c * scale, d * scale]);
        }
        r += 4;
    }
    for r in r..count {
        for (panel, value) in panel.chunks_exact_mut(width).zip(row(r)) {
            panel[r] = value * scale;
        }
    }
}

/// The transpose of `mixed` `[dim, width]`: a row for each query, `[queries, dim]`.
fn stand(mixed: &[f32], width: usize, y: &mut [f32], dim: usize) {
    for (r, rows) in y.chunks_mut(4 * dim).enumerate() {
        let mut rows: Vec<&mut [f32]> = rows.chunks_exact_mut(dim).collect();
        match rows.as_mut_slice() {
            [a, b, c, d] => {
                let rows = a
                    .iter_mut()
                    .zip(b.iter_mut())
                    .zip(c.iter_mut())
                    .zip(d.iter_mut());
                for (mixed, (((a, b), c), d)) in mixed.chunks_exact(width).zip(rows) {
                    let part = &mixed[4 * r..][..4];
                    (*a, *b, *c, *d) = (part[0], part[1], part[2], part[3]);
                }
            }
            rows => {
                for (i, row) in rows.iter_mut().enumerate() {
                    for (y, mixed) in row.iter_mut().zip(mixed.chunks_exact(width)) {
                        *y = mixed[4 * r + i];
                    }
                }
            }
        }
    }
}
