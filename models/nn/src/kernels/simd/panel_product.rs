//! Products with a matrix in panels.
//!
//! Rows of `x` are interleaved a tile at a time, `[inputs, tile rows]`, so that a tile of the product reads both from
//! front to back: a vector of the panel, a broadcast number of `x`. Sums stay in registers over [`DEPTH`] inputs; what a
//! tile reads next of the weight is asked for while it is still busy with what it has.

use std::ops::Range;

use rayon::prelude::*;

use super::panels::{Panels, tile};
use super::vector::Vector;
use super::{Isa, isa};

/// Inputs over which sums stay in registers.
const DEPTH: usize = 1024;
/// Floats of `x` that a task goes through again and again; they stay in the second-level cache beside a panel.
const BLOCK: usize = 128 * 1024;
/// Multiplications below which one thread is quicker than two.
const SMALL: usize = 128 * 1024;

/// Inputs that are taken at once when `rows` rows are multiplied.
fn depth(rows: usize, inputs: usize) -> usize {
    match rows * inputs <= BLOCK {
        true => inputs.max(1),
        false => inputs.div_ceil(inputs.div_ceil(DEPTH).max(1)).max(1),
    }
}

impl Panels {
    /// `finish(x Wᵀ)`.
    ///
    /// - `x`: `[rows, inputs]`; returns `[rows, outputs]`
    pub(crate) fn product(&self, x: &[f32], rows: usize, finish: &Finish<'_>) -> Vec<f32> {
        assert_eq!(x.len(), rows * self.inputs, "x has other rows than it says");
        finish.check(rows, self.outputs);
        let mut out: Vec<f32> = Vec::with_capacity(rows * self.outputs);
        if rows * self.outputs > 0 {
            let x = interleave(x, self.inputs);
            let job = Job {
                panels: self,
                x: &x,
                data: self.floats().as_ptr(),
                out: out.as_mut_ptr(),
            };
            let tasks = self.tasks(rows);
            match rows * self.outputs * self.inputs < SMALL {
                true => tasks.iter().for_each(|task| job.run(task, finish)),
                false => tasks.par_iter().for_each(|task| job.run(task, finish)),
            }
        }
        // SAFETY: the tasks cover every row and every panel, and each writes all of its part.
        unsafe { out.set_len(rows * self.outputs) };
        out
    }

    /// Divides a product: rows so that they stay in a cache, panels so that every thread has several tasks.
    fn tasks(&self, rows: usize) -> Vec<Task> {
        let (_, tile) = tile();
        let panels = self.outputs.div_ceil(self.width);
        let most = BLOCK / depth(rows, self.inputs) / tile * tile;
        let most = most.max(tile);
        let blocks = rows.div_ceil(most);
        let block = rows.div_ceil(blocks).next_multiple_of(tile);
        let wanted = (4 * rayon::current_num_threads()).div_ceil(blocks);
        let group = panels.div_ceil(wanted.min(panels));
        let mut tasks = Vec::new();
        for first in (0..rows).step_by(block) {
            for panel in (0..panels).step_by(group) {
                tasks.push(Task {
                    rows: first..(first + block).min(rows),
                    panels: panel..(panel + group).min(panels),
                });
            }
        }
        tasks
    }
}

/// Rows of `x` `[rows, inputs]`, the rows of each tile side by side: `[inputs, tile rows]` one tile after the other.
fn interleave(x: &[f32], inputs: usize) -> Vec<f32> {
    let (_, most) = tile();
    let mut block = vec![0.0; x.len()];
    let size = most * inputs.max(1);
    let copy = |(block, rows): (&mut [f32], &[f32])| interleave_tile(rows, inputs, block);
    match x.len() < SMALL {
        true => block.chunks_mut(size).zip(x.chunks(size)).for_each(copy),
        false => block
            .par_chunks_mut(size)
            .zip(x.par_chunks(size))
            .for_each(copy),
    }
    block
}

/// The transpose of a tile's rows `[rows, inputs]`.
fn interleave_tile(rows: &[f32], inputs: usize, block: &mut [f32]) {
    match rows.len() / inputs.max(1) {
        8 => {
            fours::<8>(&rows[..4 * inputs], inputs, block);
            fours::<8>(&rows[4 * inputs..], inputs, &mut block[4..]);
        }
        4 => fours::<4>(rows, inputs, block),
        count => {
            for (i, row) in rows.chunks_exact(inputs.max(1)).enumerate() {
                for (value, &x) in block.iter_mut().skip(i).step_by(count).zip(row) {
                    *value = x;
                }
            }
        }
    }
}

/// Puts four rows side by side into columns that are `WIDTH` apart.
fn fours<const WIDTH: usize>(rows: &[f32], inputs: usize, block: &mut [f32]) {
    let (first, rest) = rows.split_at(inputs);
    let (second, rest) = rest.split_at(inputs);
    let (third, fourth) = rest.split_at(inputs);
    let squares = first
        .as_chunks::<4>()
        .0
        .iter()
        .zip(second.as_chunks::<4>().0);
    let squares = squares.zip(
        third
            .as_chunks::<4>()
            .0
            .iter()
            .zip(fourth.as_chunks::<4>().0),
    );
    let done = inputs / 4 * 4;
    for (((a, b), (c, d)), block) in squares.zip(block.chunks_mut(4 * WIDTH)) {
        for k in 0..4 {
            block[k * WIDTH..][..4].copy_from_slice(&[a[k], b[k], c[k], d[k]]);
        }
    }
    for k in done..inputs {
        block[k * WIDTH..][..4].copy_from_slice(&[first[k], second[k], third[k], fourth[k]]);
    }
}

/// Writes a function of the first slice into the second.
pub(crate) type Value = fn(&[f32], &mut [f32]);

/// What is done to a product before it is written: bias, then the activation, then another tensor added.
#[derive(Clone, Copy, Default)]
pub(crate) struct Finish<'a> {
    /// `[outputs]`
    pub bias: Option<&'a [f32]>,
    pub activation: Option<Value>,
    /// `[rows, outputs]`
    pub add: Option<&'a [f32]>,
}

impl Finish<'_> {
    fn check(&self, rows: usize, outputs: usize) {
        assert!(self.bias.is_none_or(|bias| bias.len() == outputs));
        assert!(self.add.is_none_or(|add| add.len() == rows * outputs));
    }

    /// Finishes part of a row that begins at `row` and `column`.
    #[inline(always)]
    fn apply(&self, y: &mut [f32], start: usize, column: usize) {
        if let Some(bias) = self.bias {
            for (y, bias) in y.iter_mut().zip(&bias[column..]) {
                *y += bias;
            }
        }
        if let Some(activation) = self.activation {
            let mut before = [0.0; 48];
            let before = &mut before[..y.len()];
            before.copy_from_slice(y);
            activation(before, y);
        }
        if let Some(add) = self.add {
            for (y, add) in y.iter_mut().zip(&add[start..]) {
                *y += add;
            }
        }
    }
}

/// Rows of `x` and panels of the weight.
struct Task {
    rows: Range<usize>,
    panels: Range<usize>,
}

/// A product with its pointers.
struct Job<'a> {
    panels: &'a Panels,
    /// As [`interleave`] makes it.
    x: &'a [f32],
    data: *const f32,
    out: *mut f32,
}

// SAFETY: `data` is only read, and tasks write disjoint parts of `out`.
unsafe impl Sync for Job<'_> {}

impl Job<'_> {
    /// Computes one task's part of the product.
    fn run(&self, task: &Task, finish: &Finish<'_>) {
        // SAFETY: `isa` found the features. Each task has rows and panels of its own, so that no two write the same place;
        // `out` has room for all of them.
        unsafe {
            match isa() {
                #[cfg(target_arch = "x86_64")]
                Isa::V4 => self.run_v4(task, finish),
                #[cfg(target_arch = "x86_64")]
                Isa::V3 => self.run_v3(task, finish),
                _ => self.run_with::<[f32; 4], 2>(task, finish),
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    unsafe fn run_v4(&self, task: &Task, finish: &Finish<'_>) {
        unsafe { self.run_with::<std::arch::x86_64::__m512, 3>(task, finish) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn run_v3(&self, task: &Task, finish: &Finish<'_>) {
        unsafe { self.run_with::<std::arch::x86_64::__m256, 3>(task, finish) }
    }

    /// Some of the inputs after the other, so that the rows' share of them stays in a cache for every panel.
    #[inline(always)]
    unsafe fn run_with<V: Vector, const N: usize>(&self, task: &Task, finish: &Finish<'_>) {
        let inputs = self.panels.inputs;
        let depth = depth(task.rows.len(), inputs);
        let mut begin = 0;
        loop {
            let end = (begin + depth).min(inputs);
            for p in task.panels.clone() {
                // What follows the last panel is the next task's, which the same thread mostly takes.
                let next = match p + 1 < task.panels.end || end == inputs {
                    true => (p + 1, begin),
                    false => (task.panels.start, end),
                };
                unsafe { self.column::<V, N>(p, begin..end, next, &task.rows, finish) };
            }
            if end == inputs {
                return;
            }
            begin = end;
        }
    }

    /// All rows of a block with one panel, over some of the inputs; `next` are the panel and the input that follow.
    #[inline(always)]
    unsafe fn column<V: Vector, const N: usize>(
        &self,
        p: usize,
        range: Range<usize>,
        next: (usize, usize),
        rows: &Range<usize>,
        finish: &Finish<'_>,
    ) {
        let (_, most) = tile();
        let Panels { inputs, width, .. } = *self.panels;
        let at = |(p, input): (usize, usize)| (p * inputs + input) * width;
        let panel = at((p, range.start));
        let next = at(next);
        for (before, rows) in tiles(rows, most) {
            let x = rows.start * inputs + range.start * rows.len();
            // Each tile asks for a third of what comes next.
            let third = before / most % N * 16;
            let part = Part {
                x: self.x[x..].as_ptr(),
                panel: self.data.wrapping_add(panel),
                ahead: next.wrapping_sub(panel).wrapping_add(third),
                depth: range.len(),
                add: range.start > 0,
                ..self.part(p, &rows)
            };
            unsafe { self.tile::<V, N>(p, rows, range.end == inputs, &part, finish) };
        }
    }

    /// Where a tile's result is.
    #[inline(always)]
    fn part(&self, p: usize, rows: &Range<usize>) -> Part {
        let &Panels { outputs, width, .. } = self.panels;
        let column = p * width;
        Part {
            x: self.x.as_ptr(),
            panel: self.data,
            ahead: 0,
            depth: 0,
            out: self.out.wrapping_add(rows.start * outputs + column),
            out_row: outputs,
            columns: width.min(outputs - column),
            add: false,
        }
    }

    /// Some rows with one panel, over some of the inputs; after the `last` of them the result is finished.
    #[inline(always)]
    unsafe fn tile<V: Vector, const N: usize>(
        &self,
        p: usize,
        rows: Range<usize>,
        last: bool,
        part: &Part,
        finish: &Finish<'_>,
    ) {
        let &Panels { outputs, width, .. } = self.panels;
        let column = p * width;
        unsafe {
            match rows.len() {
                8 => part.tile::<V, 8, N>(),
                7 => part.tile::<V, 7, N>(),
                6 => part.tile::<V, 6, N>(),
                5 => part.tile::<V, 5, N>(),
                4 => part.tile::<V, 4, N>(),
                3 => part.tile::<V, 3, N>(),
                2 => part.tile::<V, 2, N>(),
                _ => part.tile::<V, 1, N>(),
            }
            if last {
                for row in rows {
                    let start = row * outputs + column;
                    let y = std::slice::from_raw_parts_mut(self.out.add(start), part.columns);
                    finish.apply(y, start, column);
                }
            }
        }
    }
}

/// Rows in tiles of at most `most`, each with the number of rows before it.
#[inline(always)]
fn tiles(rows: &Range<usize>, most: usize) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
    let (start, end) = (rows.start, rows.end);
    (start..end)
        .step_by(most)
        .map(move |row| (row - start, row..(row + most).min(end)))
}

/// One tile.
struct Part {
    /// `[depth, rows]`
    x: *const f32,
    /// `[depth, width]`
    panel: *const f32,
    /// Floats from a row of the panel to what will be read next; may wrap around.
    ahead: usize,
    depth: usize,
    out: *mut f32,
    out_row: usize,
    columns: usize,
    /// Whether the tile adds to what inputs before gave.
    add: bool,
}

impl Part {
    #[inline(always)]
    unsafe fn tile<V: Vector, const M: usize, const N: usize>(&self) {
        unsafe {
            let mut masks = [V::mask(0); N];
            for j in 0..N {
                masks[j] = V::mask(self.columns.saturating_sub(j * V::LANES));
            }
            let mut acc = [[V::zero(); N]; M];
            // The result's place is on its way while the sums are made.
            for i in 0..M {
                for j in 0..N {
                    V::fetch(self.out.wrapping_add(i * self.out_row + j * V::LANES));
                }
            }
            let (mut panel, mut x) = (self.panel, self.x);
            let end = panel.wrapping_add(self.depth * N * V::LANES);
            let ahead = self.ahead;
            while panel != end {
                let mut w = [V::zero(); N];
                for j in 0..N {
                    w[j] = V::load(panel.wrapping_add(j * V::LANES));
                }
                V::prefetch(panel.wrapping_add(ahead));
                for i in 0..M {
                    let x = V::splat(*x.add(i));
                    for j in 0..N {
                        acc[i][j] = acc[i][j].add_product(x, w[j]);
                    }
                }
                panel = panel.wrapping_add(N * V::LANES);
                x = x.wrapping_add(M);
            }
            for i in 0..M {
                for j in 0..N {
                    let out = self.out.wrapping_add(i * self.out_row + j * V::LANES);
                    let sum = match self.add {
                        true => acc[i][j].add_product(V::splat(1.0), V::load_masked(out, masks[j])),
                        false => acc[i][j],
                    };
                    sum.store_masked(out, masks[j]);
                }
            }
        }
    }
}
