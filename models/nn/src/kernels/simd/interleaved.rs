//! Products whose rows stand one after the other.
//!
//! They are interleaved a tile at a time, `[inputs, tile rows]`, so that a tile of the product reads both from front to
//! back: a vector of the panel, a broadcast number of `x`.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::finish::Finish;
use super::panel_product::{SMALL, Source, Strip};
use super::panels::{Panels, tile};
use super::vector::Vector;

impl Panels {
    /// `finish(x Wᵀ)`.
    ///
    /// - `x`: `[rows, inputs]`; returns `[rows, outputs]`
    pub(crate) fn product(&self, x: &[f32], rows: usize, finish: &Finish<'_>) -> Vec<f32> {
        assert_eq!(x.len(), rows * self.inputs, "x has other rows than it says");
        finish.check(rows, self.outputs);
        let block = interleave(x, self.inputs);
        let source = Interleaved {
            block: &block,
            inputs: self.inputs,
            rows,
        };
        self.product_of(&source, rows, finish)
    }
}

/// Rows as [`interleave`] puts them.
struct Interleaved<'a> {
    block: &'a [f32],
    inputs: usize,
    rows: usize,
}

impl Source for Interleaved<'_> {
    fn floats(&self) -> usize {
        self.inputs
    }

    fn run(&self) -> Option<usize> {
        None
    }

    #[inline(always)]
    unsafe fn sums<V: Vector, const M: usize, const N: usize>(
        &self,
        row: usize,
        strip: &Strip,
    ) -> [[V; N]; M] {
        debug_assert!(row + M <= self.rows);
        let mut sums = [[unsafe { V::zero() }; N]; M];
        let x = &self.block[row * self.inputs + strip.inputs.start * M..];
        let x = &x[..strip.inputs.len() * M];
        let (mut panel, mut ahead) = (strip.panel, strip.ahead);
        for x in x.as_chunks::<M>().0 {
            // SAFETY: the panel has a place for every input.
            unsafe { strip.add(&mut sums, panel, ahead, |i| x[i]) };
            panel = panel.wrapping_add(strip.step);
            ahead = ahead.wrapping_add(strip.pace);
        }
        sums
    }
}

/// Rows of `x` `[rows, inputs]`, the rows of each tile side by side: `[inputs, tile rows]` one tile after the other.
fn interleave(x: &[f32], inputs: usize) -> Vec<f32> {
    let (_, most) = tile();
    let mut block: Vec<f32> = Vec::with_capacity(x.len());
    let room = &mut block.spare_capacity_mut()[..x.len()];
    let size = most * inputs.max(1);
    let copy = |(block, rows): (&mut [Room], &[f32])| interleave_tile(rows, inputs, block);
    match x.len() < SMALL {
        true => room.chunks_mut(size).zip(x.chunks(size)).for_each(copy),
        false => room
            .par_chunks_mut(size)
            .zip(x.par_chunks(size))
            .for_each(copy),
    }
    // SAFETY: `x` is whole rows, each of whose floats was written to a place of its own.
    unsafe { block.set_len(x.len()) };
    block
}

/// The place of a float that was not written yet: clearing large blocks first costs one thread as long as the rest takes all.
type Room = MaybeUninit<f32>;

/// The transpose of a tile's rows `[rows, inputs]`; writes all of the block.
fn interleave_tile(rows: &[f32], inputs: usize, block: &mut [Room]) {
    match rows.len() / inputs.max(1) {
        8 => {
            fours::<8>(&rows[..4 * inputs], inputs, block);
            fours::<8>(&rows[4 * inputs..], inputs, &mut block[4..]);
        }
        4 => fours::<4>(rows, inputs, block),
        count => {
            for (i, row) in rows.chunks_exact(inputs.max(1)).enumerate() {
                for (value, &x) in block.iter_mut().skip(i).step_by(count).zip(row) {
                    value.write(x);
                }
            }
        }
    }
}

/// Puts four rows side by side into columns that are `WIDTH` apart.
fn fours<const WIDTH: usize>(rows: &[f32], inputs: usize, block: &mut [Room]) {
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
            block[k * WIDTH..][..4].write_copy_of_slice(&[a[k], b[k], c[k], d[k]]);
        }
    }
    for k in done..inputs {
        block[k * WIDTH..][..4].write_copy_of_slice(&[first[k], second[k], third[k], fourth[k]]);
    }
}
