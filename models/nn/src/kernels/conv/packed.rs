//! Packed weights and the loop over tiles of the output.

use std::cell::RefCell;
use std::ops::Range;

use super::unrolled::{Strip, Unrolled};
use crate::kernels::simd;

/// Weights in the order in which tiles read them: `[rows / tile, depth, tile]`, missing rows zero.
pub(super) struct Packed {
    values: Vec<f32>,
    depth: usize,
    tile: (usize, usize),
}

impl Packed {
    pub(super) fn new(rows: usize, depth: usize, at: impl Fn(usize, usize) -> f32) -> Self {
        let tile = simd::tile(rows);
        let mut values = vec![0.0; rows.div_ceil(tile.0) * depth * tile.0];
        for (block, panel) in values.chunks_exact_mut(depth * tile.0).enumerate() {
            for (k, column) in panel.chunks_exact_mut(tile.0).enumerate() {
                for (i, value) in column.iter_mut().enumerate() {
                    let row = block * tile.0 + i;
                    if row < rows {
                        *value = at(row, k);
                    }
                }
            }
        }
        Self {
            values,
            depth,
            tile,
        }
    }

    /// Rows of a part when all are divided into about `parts`, in whole tiles.
    pub(super) fn group(&self, parts: usize) -> usize {
        let tiles = self.values.len() / (self.depth * self.tile.0);
        tiles.div_ceil(parts).max(1) * self.tile.0
    }

    fn panel(&self, row: usize) -> &[f32] {
        let size = self.depth * self.tile.0;
        &self.values[row / self.tile.0 * size..][..size]
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends a buffer of `len` floats with arbitrary content. Buffers are kept by thread; a thread may hold several, since
/// waiting for other threads can start another task on it.
pub(super) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    let result = f(&mut buffer[..len]);
    SCRATCH.with_borrow_mut(|kept| kept.push(buffer));
    result
}

/// Output channels from packed weights over a prepared image, a strip of rows at a time.
///
/// - `channels`: starts at a whole tile
/// - `store`: `(channel, strip, sums)`, the sums on the pitch of `u`
pub(super) fn correlate(
    u: &Unrolled,
    packed: &Packed,
    channels: Range<usize>,
    image: &[f32],
    mut store: impl FnMut(usize, &Strip, &[f32]),
) {
    let (tile_rows, tile_columns) = packed.tile;
    let longest = u.strips().map(|strip| strip.len).max().unwrap_or(0);
    with_scratch(tile_rows * longest, |sums| {
        for strip in u.strips() {
            // Tiles of nearly equal width waste less than full ones and a remainder.
            let tiles = strip.len.div_ceil(tile_columns);
            let width = strip
                .len
                .div_ceil(tiles)
                .next_multiple_of(16)
                .min(tile_columns);
            for first in channels.clone().step_by(tile_rows) {
                let count = tile_rows.min(channels.end - first);
                for at in (0..strip.len).step_by(width) {
                    simd::correlate_tile(
                        packed.tile,
                        packed.panel(first),
                        image,
                        &u.offsets,
                        strip.start + at,
                        (count, width.min(strip.len - at)),
                        &mut sums[at..],
                        strip.len,
                    );
                }
                for (i, sums) in sums.chunks_exact(strip.len).take(count).enumerate() {
                    store(first + i, &strip, sums);
                }
            }
        }
    });
}
