//! Products with a matrix that was laid out once for the registers that will read it.
//!
//! The rows of a weight matrix `[outputs, inputs]` stand side by side in panels as wide as a tile: `[inputs, width]`
//! each, the last one filled up with zeros. Rows of `x` are interleaved a tile at a time, `[inputs, tile rows]`, so that
//! a tile of the product reads both from front to back: a vector of the panel, a broadcast number of `x`.

use std::ops::Range;

use rayon::prelude::*;

use super::vector::Vector;
use super::{Isa, Matrix, isa};

/// Inputs that are interleaved at once.
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
            let target = Target(out.as_mut_ptr());
            let tasks = self.tasks(rows);
            let run = |task: &Task| self.run(x, task, finish, &target);
            match rows * self.outputs * self.inputs < SMALL {
                true => tasks.iter().for_each(run),
                false => tasks.par_iter().for_each(run),
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

    /// Computes one task's part of the product.
    fn run(&self, x: &[f32], task: &Task, finish: &Finish<'_>, target: &Target) {
        let job = Job {
            panels: self,
            x: x.as_ptr(),
            data: self.floats().as_ptr(),
            out: target.0,
        };
        // SAFETY: `isa` found the features. The caller checked the length of `x` and gives each task rows and panels of its
        // own, so that no two write the same place; `out` has room for all of them.
        unsafe {
            match isa() {
                #[cfg(target_arch = "x86_64")]
                Isa::V4 => job.run_v4(task, finish),
                #[cfg(target_arch = "x86_64")]
                Isa::V3 => job.run_v3(task, finish),
                _ => job.run::<[f32; 4], 2>(task, finish),
            }
        }
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

/// Where a product is written; tasks write disjoint parts.
struct Target(*mut f32);

// SAFETY: the pointer is only used through tasks that write disjoint places.
unsafe impl Sync for Target {}

/// A product with its pointers.
struct Job<'a> {
    panels: &'a Panels,
    x: *const f32,
    data: *const f32,
    out: *mut f32,
}

impl Job<'_> {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    unsafe fn run_v4(&self, task: &Task, finish: &Finish<'_>) {
        unsafe { self.run::<std::arch::x86_64::__m512, 3>(task, finish) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn run_v3(&self, task: &Task, finish: &Finish<'_>) {
        unsafe { self.run::<std::arch::x86_64::__m256, 3>(task, finish) }
    }

    /// Some of the inputs after the other: interleaves the rows of `x`, and takes them through every panel.
    #[inline(always)]
    unsafe fn run<V: Vector, const N: usize>(&self, task: &Task, finish: &Finish<'_>) {
        let inputs = self.panels.inputs;
        let (_, most) = tile();
        let chunks = inputs.div_ceil(DEPTH).max(1);
        let depth = inputs.div_ceil(chunks).max(1);
        let mut block = vec![0.0; task.rows.len() * depth];
        let mut begin = 0;
        loop {
            let end = (begin + depth).min(inputs);
            for (tile, rows) in tiles(&task.rows, most) {
                let block = &mut block[tile * (end - begin)..];
                unsafe { self.interleave(rows, begin..end, block) };
            }
            let step = Step {
                inputs: begin..end,
                block: &block,
                rows: &task.rows,
            };
            for p in task.panels.clone() {
                for first in (begin..end).step_by(STEP) {
                    let range = first..(first + STEP).min(end);
                    unsafe { self.column::<V, N>(p, range, &step, finish) };
                }
            }
            if end == inputs {
                return;
            }
            begin = end;
        }
    }

    /// Writes rows of `x` as `[inputs, rows]`.
    #[inline(always)]
    unsafe fn interleave(&self, rows: Range<usize>, inputs: Range<usize>, block: &mut [f32]) {
        let count = rows.len();
        for (i, row) in rows.enumerate() {
            let start = row * self.panels.inputs + inputs.start;
            let x = unsafe { std::slice::from_raw_parts(self.x.add(start), inputs.len()) };
            for (block, &x) in block.chunks_exact_mut(count).zip(x) {
                block[i] = x;
            }
        }
    }

    /// All rows of a block with one panel, over some of the inputs.
    #[inline(always)]
    unsafe fn column<V: Vector, const N: usize>(
        &self,
        p: usize,
        range: Range<usize>,
        step: &Step<'_>,
        finish: &Finish<'_>,
    ) {
        let (_, most) = tile();
        let width = self.panels.width;
        let panel = (p * self.panels.inputs + range.start) * width;
        for (before, rows) in tiles(step.rows, most) {
            let x = before * step.inputs.len() + (range.start - step.inputs.start) * rows.len();
            // Each tile asks for a third of what comes next.
            let ahead = range.len() * width + before / most % N * 16;
            let part = Part {
                x: step.block[x..].as_ptr(),
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
            x: self.x,
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

/// Inputs that were interleaved, `[depth, rows]` a tile.
struct Step<'a> {
    inputs: Range<usize>,
    block: &'a [f32],
    rows: &'a Range<usize>,
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
