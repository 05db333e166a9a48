//! Products with a matrix in panels, tile by tile, for rows that a [`Source`] finds.
//!
//! Sums stay in registers over [`DEPTH`] inputs; what a tile reads next of the weight is asked for while it is still busy
//! with what it has: from the second-level cache a few inputs ahead, from memory a panel ahead.

use std::ops::Range;

use rayon::prelude::*;

use super::finish::Finish;
use super::panels::{Lines, Panels, tile};
use super::quantised::GROUP;
use super::vector::Vector;
use super::{Isa, isa};

/// Inputs over which sums stay in registers.
const DEPTH: usize = 1024;
/// Inputs from which on rows of several runs are taken in strips.
const LONG: usize = 3072;
/// Floats of `x` that a task goes through again and again; they stay in the second-level cache beside a panel.
const BLOCK: usize = 128 * 1024;
/// Inputs ahead of the sums whose weights are asked for from the second-level cache.
const NEAR: usize = 16;
/// Floats of a cache line.
const LINE: usize = 16;
/// Multiplications below which one thread is quicker than two.
pub(super) const SMALL: usize = 128 * 1024;

/// Where the tiles of a product find the rows of `x`.
pub(super) trait Source: Sync {
    /// Floats that a row adds to what a task goes through.
    fn floats(&self) -> usize;
    /// Inputs that stand together in `x`, where they do not all: strips are made of such runs.
    fn run(&self) -> Option<usize>;
    /// The sums of `M` rows, from `row` on, with the columns of a panel.
    unsafe fn sums<V: Vector, const M: usize, const N: usize>(
        &self,
        row: usize,
        strip: &Strip,
    ) -> [[V; N]; M];
}

/// Some of a panel's inputs.
pub(super) struct Strip {
    /// Which inputs.
    pub inputs: Range<usize>,
    /// The panel at the first of them.
    pub panel: *const f32,
    /// Floats from one input to the next.
    pub step: usize,
    /// Where a tile begins to ask for what will be read next; may be no place of the panel.
    pub ahead: *const f32,
    /// Floats that it goes on with every input.
    pub pace: usize,
}

impl Strip {
    /// Adds one input of `M` rows times a panel's columns, and asks for what comes soon: some inputs later of this panel, and a piece of
    /// the next one from memory.
    ///
    /// - `panel`: at that input
    /// - `ahead`: the piece that this input asks for
    /// - `x`: the input of each row
    #[inline(always)]
    pub(super) unsafe fn add<V: Vector, const M: usize, const N: usize>(
        &self,
        sums: &mut [[V; N]; M],
        panel: *const f32,
        ahead: *const f32,
        x: impl Fn(usize) -> f32,
    ) {
        unsafe {
            let mut w = [V::zero(); N];
            for j in 0..N {
                w[j] = V::load(panel.wrapping_add(j * V::LANES));
            }
            V::prefetch(ahead);
            for line in (0..N * V::LANES).step_by(LINE) {
                V::fetch(panel.wrapping_add(NEAR * self.step + line));
            }
            for i in 0..M {
                let x = V::splat(x(i));
                for j in 0..N {
                    sums[i][j] = sums[i][j].add_product(x, w[j]);
                }
            }
        }
    }
}

impl Panels {
    /// `finish(x Wᵀ)` for rows that are found in some way.
    pub(super) fn product_of<S: Source>(
        &self,
        source: &S,
        rows: usize,
        finish: &Finish<'_>,
    ) -> Vec<f32> {
        finish.check(rows, self.outputs);
        let mut out: Vec<f32> = Vec::with_capacity(rows * self.outputs);
        if rows * self.outputs > 0 {
            let (depth, tasks) = self.divide(source, rows);
            let job = Job {
                panels: self,
                source,
                depth,
                out: out.as_mut_ptr(),
            };
            match rows * self.outputs * self.inputs < SMALL {
                true => tasks.iter().for_each(|task| job.run(task, finish)),
                false => tasks.par_iter().for_each(|task| job.run(task, finish)),
            }
        }
        // SAFETY: the tasks cover every row and every panel, and each writes all of its part.
        unsafe { out.set_len(rows * self.outputs) };
        out
    }

    /// Divides a product: inputs that are taken at once, and tasks; rows so that they stay in a cache, panels so that every
    /// thread has several tasks.
    fn divide<S: Source>(&self, source: &S, rows: usize) -> (usize, Vec<Task>) {
        let (_, tile) = tile();
        let (inputs, floats) = (self.inputs.max(1), source.floats().max(1));
        // What a quantised strip is expanded into stays in a cache too.
        let whole = rows * floats <= BLOCK && !self.is_quantised();
        let (depth, most) = match (source.run(), whole) {
            // A long panel would leave no room for anything else in the cache.
            (Some(run), _) if inputs > LONG && run < inputs => {
                ((DEPTH / run).max(1) * run, BLOCK / floats)
            }
            (Some(_), _) | (None, true) => (inputs, BLOCK / floats),
            (None, false) => {
                // In whole groups, which quantised panels are expanded by.
                let depth = inputs
                    .div_ceil(inputs.div_ceil(DEPTH))
                    .next_multiple_of(GROUP);
                (depth, BLOCK / depth)
            }
        };
        let most = (most / tile * tile).max(tile);
        let panels = self.outputs.div_ceil(self.width);
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
        (depth, tasks)
    }
}

/// Rows of `x` and panels of the weight.
struct Task {
    rows: Range<usize>,
    panels: Range<usize>,
}

/// A product with its pointers.
struct Job<'a, S> {
    panels: &'a Panels,
    source: &'a S,
    /// Inputs that are taken at once.
    depth: usize,
    out: *mut f32,
}

// SAFETY: tasks write disjoint parts of `out`.
unsafe impl<S: Sync> Sync for Job<'_, S> {}

impl<S: Source> Job<'_, S> {
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
        unsafe { self.run_with::<std::arch::x86_64::__m256, 2>(task, finish) }
    }

    /// Some of the inputs after the other, so that the rows' share of them stays in a cache for every panel.
    #[inline(always)]
    unsafe fn run_with<V: Vector, const N: usize>(&self, task: &Task, finish: &Finish<'_>) {
        let inputs = self.panels.inputs;
        let mut scratch = self.panels.scratch(self.depth);
        let mut begin = 0;
        loop {
            let end = (begin + self.depth).min(inputs);
            for p in task.panels.clone() {
                // What follows the last panel is the next task's, which the same thread mostly takes.
                let next = match p + 1 < task.panels.end || end == inputs {
                    true => (p + 1, begin),
                    false => (task.panels.start, end),
                };
                let strip = (p, begin..end, next);
                unsafe { self.column::<V, N>(strip, &mut scratch, &task.rows, finish) };
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
        (p, inputs, next): (usize, Range<usize>, (usize, usize)),
        scratch: &mut Lines,
        rows: &Range<usize>,
        finish: &Finish<'_>,
    ) {
        let (_, most) = tile();
        let &Panels { width, outputs, .. } = self.panels;
        let at = |(p, input): (usize, usize)| (p * self.panels.inputs + input) * width;
        // Floats from this strip to the next one that is read.
        let onward = at(next).wrapping_sub(at((p, inputs.start)));
        let (panel, continuous) = self.panels.strip(p, inputs.clone(), scratch);
        let last = inputs.end == self.panels.inputs;
        let (column, depth) = (p * width, inputs.len());
        let shares = shares(rows.len().div_ceil(most));
        let mut tile = Tile {
            strip: Strip {
                panel: panel.as_ptr(),
                step: width,
                ahead: panel.as_ptr(),
                pace: 0,
                inputs,
            },
            out: self.out,
            out_row: outputs,
            columns: width.min(outputs - column),
        };
        for (before, rows) in tiles(rows, most) {
            if continuous {
                let (share, pace) = (before / most % shares, width / shares);
                let first = onward.wrapping_add(share * depth * pace);
                (tile.strip.ahead, tile.strip.pace) = (panel.as_ptr().wrapping_add(first), pace);
            }
            tile.out = self.out.wrapping_add(rows.start * outputs + column);
            unsafe { tile.of_columns::<V, N, S>(self.source, &rows) };
            if last {
                for row in rows {
                    let start = row * outputs + column;
                    let y = unsafe {
                        std::slice::from_raw_parts_mut(self.out.add(start), tile.columns)
                    };
                    finish.apply(y, start, column);
                }
            }
        }
    }
}

/// Among how many tiles of a column the asking for the next panel is shared out: memory is slower than arithmetic on few rows,
/// so that nearly all of them have to ask all the time.
#[inline(always)]
fn shares(tiles: usize) -> usize {
    match tiles {
        0..7 => 3,
        7..13 => 6,
        _ => 12,
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

/// A tile of the result.
struct Tile {
    strip: Strip,
    out: *mut f32,
    out_row: usize,
    columns: usize,
}

impl Tile {
    /// With as many registers as the columns need.
    #[inline(always)]
    unsafe fn of_columns<V: Vector, const N: usize, S: Source>(
        &self,
        source: &S,
        rows: &Range<usize>,
    ) {
        unsafe {
            match self.columns.div_ceil(V::LANES) {
                1 => self.of_rows::<V, 1, S>(source, rows),
                2 => self.of_rows::<V, 2, S>(source, rows),
                _ => self.of_rows::<V, N, S>(source, rows),
            }
        }
    }

    #[inline(always)]
    unsafe fn of_rows<V: Vector, const N: usize, S: Source>(
        &self,
        source: &S,
        rows: &Range<usize>,
    ) {
        let row = rows.start;
        unsafe {
            match rows.len() {
                8 => self.write::<V, 8, N, S>(source, row),
                7 => self.write::<V, 7, N, S>(source, row),
                6 => self.write::<V, 6, N, S>(source, row),
                5 => self.write::<V, 5, N, S>(source, row),
                4 => self.write::<V, 4, N, S>(source, row),
                3 => self.write::<V, 3, N, S>(source, row),
                2 => self.write::<V, 2, N, S>(source, row),
                _ => self.write::<V, 1, N, S>(source, row),
            }
        }
    }

    #[inline(always)]
    fn place<V: Vector>(&self, i: usize, j: usize) -> *mut f32 {
        self.out.wrapping_add(i * self.out_row + j * V::LANES)
    }

    /// Writes the sums, or adds them to what inputs before gave.
    #[inline(always)]
    unsafe fn write<V: Vector, const M: usize, const N: usize, S: Source>(
        &self,
        source: &S,
        row: usize,
    ) {
        unsafe {
            // The result's place is on its way while the sums are made.
            for i in 0..M {
                for j in 0..N {
                    V::fetch(self.place::<V>(i, j));
                }
            }
            let sums = source.sums::<V, M, N>(row, &self.strip);
            for j in 0..N {
                let mask = V::mask(self.columns.saturating_sub(j * V::LANES));
                for i in 0..M {
                    let out = self.place::<V>(i, j);
                    let sum = match self.strip.inputs.start > 0 {
                        true => sums[i][j].add_product(V::splat(1.0), V::load_masked(out, mask)),
                        false => sums[i][j],
                    };
                    sum.store_masked(out, mask);
                }
            }
        }
    }
}
