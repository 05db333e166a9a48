//! Products with a matrix that was laid out once for the registers that will read it.
//!
//! The rows of a weight matrix `[outputs, inputs]` stand side by side in panels as wide as a tile: `[inputs, width]`
//! each, the last one filled up with zeros. Rows of `x` are interleaved a tile at a time, `[inputs, tile rows]`, so that
//! a tile of the product reads both from front to back: a vector of the panel, a broadcast number of `x`.

use std::ops::Range;

use rayon::prelude::*;

use super::vector::Vector;
use super::{Isa, Matrix, isa};

/// Inputs that all panels are taken through before the next ones.
const DEPTH: usize = 1024;
/// Inputs that are multiplied before the next tile is taken: so many of a panel's rows stay in the first-level cache.
const STEP: usize = 192;
/// Floats of `x` that a task goes through again and again.
const BLOCK: usize = 128 * 1024;
/// Multiplications below which one thread is quicker than two.
const SMALL: usize = 128 * 1024;

/// A cache line; read and written as its sixteen floats.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code)] [f32; 16]);

/// A weight matrix in panels.
pub(crate) struct Panels {
    pub outputs: usize,
    pub inputs: usize,
    width: usize,
    data: Vec<Line>,
}

/// Outputs that a panel has, and rows of `x` that a tile takes.
fn tile() -> (usize, usize) {
    match isa() {
        Isa::V4 => (48, 8),
        Isa::V3 => (24, 4),
        Isa::Portable => (8, 4),
    }
}

impl Panels {
    /// Packs a matrix `[outputs, inputs]`, row by row.
    pub(crate) fn pack(weight: &[f32], outputs: usize, inputs: usize) -> Self {
        assert_eq!(weight.len(), outputs * inputs);
        let (width, _) = tile();
        let floats = outputs.div_ceil(width) * width * inputs;
        let mut panels = Self {
            outputs,
            inputs,
            width,
            data: vec![Line([0.0; 16]); floats.div_ceil(16)],
        };
        let rows = weight.par_chunks(width * inputs.max(1));
        let data = &mut panels.floats_mut()[..floats];
        data.par_chunks_mut(width * inputs.max(1))
            .zip(rows)
            .for_each(|(panel, rows)| {
                for (j, row) in rows.chunks_exact(inputs).enumerate() {
                    for (panel, &value) in panel.chunks_exact_mut(width).zip(row) {
                        panel[j] = value;
                    }
                }
            });
        panels
    }

    /// The matrix as it was, `[outputs, inputs]`.
    pub(crate) fn unpack(&self) -> Vec<f32> {
        let mut weight = vec![0.0; self.outputs * self.inputs];
        for (p, rows) in weight
            .chunks_mut(self.width * self.inputs.max(1))
            .enumerate()
        {
            let panel = &self.panel(p).data;
            for (j, row) in rows.chunks_exact_mut(self.inputs).enumerate() {
                for (value, panel) in row.iter_mut().zip(panel.chunks_exact(self.width)) {
                    *value = panel[j];
                }
            }
        }
        weight
    }

    /// The outputs of each panel.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Range<usize>> {
        let (width, outputs) = (self.width, self.outputs);
        (0..outputs.div_ceil(width)).map(move |p| p * width..((p + 1) * width).min(outputs))
    }

    /// The rows of the weight matrix in panel `p`, `[parts()[p].len(), inputs]`.
    pub(crate) fn panel(&self, p: usize) -> Matrix<'_> {
        let size = self.width * self.inputs;
        let data = &self.floats()[p * size..][..size];
        Matrix::columns(data, self.width)
    }

    fn floats(&self) -> &[f32] {
        // SAFETY: a `Line` is sixteen floats and nothing else.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr().cast(), self.data.len() * 16) }
    }

    fn floats_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe {
            std::slice::from_raw_parts_mut(self.data.as_mut_ptr().cast(), self.data.len() * 16)
        }
    }

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
        let depth = self.inputs.clamp(1, DEPTH);
        let most = (BLOCK / depth).next_multiple_of(tile).max(tile);
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
    let copy = |(block, rows): (&mut [f32], &[f32])| {
        let count = rows.len() / inputs.max(1);
        let mut rows: Vec<_> = rows
            .chunks_exact(inputs.max(1))
            .map(<[f32]>::iter)
            .collect();
        for column in block.chunks_exact_mut(count.max(1)) {
            for (value, row) in column.iter_mut().zip(&mut rows) {
                *value = row.next().copied().unwrap_or_default();
            }
        }
    };
    match x.len() < SMALL {
        true => block.chunks_mut(size).zip(x.chunks(size)).for_each(copy),
        false => block
            .par_chunks_mut(size)
            .zip(x.par_chunks(size))
            .for_each(copy),
    }
    block
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
        let chunks = inputs.div_ceil(DEPTH).max(1);
        let depth = inputs.div_ceil(chunks).max(1);
        let mut begin = 0;
        loop {
            let end = (begin + depth).min(inputs);
            for p in task.panels.clone() {
                let mut first = begin;
                loop {
                    let range = first..(first + STEP).min(end);
                    first = range.end;
                    unsafe { self.column::<V, N>(p, range, &task.rows, finish) };
                    if first == end {
                        break;
                    }
                }
            }
            if end == inputs {
                return;
            }
            begin = end;
        }
    }

    /// All rows of a block with one panel, over some of the inputs.
    #[inline(always)]
    unsafe fn column<V: Vector, const N: usize>(
        &self,
        p: usize,
        range: Range<usize>,
        rows: &Range<usize>,
        finish: &Finish<'_>,
    ) {
        let (_, most) = tile();
        let width = self.panels.width;
        let panel = (p * self.panels.inputs + range.start) * width;
        for (before, rows) in tiles(rows, most) {
            let x = rows.start * self.panels.inputs + range.start * rows.len();
            // Each tile asks for a third of what comes next.
            let ahead = range.len() * width + before / most % N * 16;
            let part = Part {
                x: self.x[x..].as_ptr(),
                panel: self.data.wrapping_add(panel),
                ahead,
                depth: range.len(),
                add: range.start > 0,
                ..self.part(p, &rows)
            };
            unsafe { self.tile::<V, N>(p, rows, range.end == self.panels.inputs, &part, finish) };
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
    /// Floats from a row of the panel to what will be read next.
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
            if self.add {
                for i in 0..M {
                    for j in 0..N {
                        let out = self.out.wrapping_add(i * self.out_row + j * V::LANES);
                        acc[i][j] = V::load_masked(out, masks[j]);
                    }
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
                    acc[i][j].store_masked(out, masks[j]);
                }
            }
        }
    }
}
