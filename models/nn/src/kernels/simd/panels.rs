//! A matrix that was laid out once for the registers that will read it.
//!
//! The rows of a weight matrix `[outputs, inputs]` stand side by side in panels as wide as a tile: `[inputs, width]`
//! each, the last one filled up with zeros.

use rayon::prelude::*;

use super::{Isa, isa, memory};

/// A cache line; read and written as its sixteen floats.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code)] [f32; 16]);

/// A weight matrix in panels.
pub(crate) struct Panels {
    pub outputs: usize,
    pub inputs: usize,
    /// Outputs of a panel.
    pub(super) width: usize,
    data: Vec<Line>,
}

/// Outputs that a panel has, and rows of `x` that a tile takes.
pub(super) fn tile() -> (usize, usize) {
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
        let mut panels = Self::empty(outputs, inputs);
        let width = panels.width;
        let rows = weight.par_chunks(width * inputs.max(1));
        panels.panels_mut().zip(rows).for_each(|(panel, rows)| {
            for (j, row) in rows.chunks_exact(inputs).enumerate() {
                for (panel, &value) in panel.chunks_exact_mut(width).zip(row) {
                    panel[j] = value;
                }
            }
        });
        panels
    }

    /// Panels of zeros.
    fn empty(outputs: usize, inputs: usize) -> Self {
        let (width, _) = tile();
        let floats = outputs.div_ceil(width) * width * inputs;
        let mut panels = Self {
            outputs,
            inputs,
            width,
            data: vec![Line([0.0; 16]); floats.div_ceil(16)],
        };
        memory::advise_large_pages(panels.floats_mut());
        panels
    }

    fn panels_mut(&mut self) -> rayon::slice::ChunksMut<'_, f32> {
        let size = self.width * self.inputs;
        let floats = self.outputs.div_ceil(self.width) * size;
        self.floats_mut()[..floats].par_chunks_mut(size.max(1))
    }

    /// The matrix as it was, `[outputs, inputs]`.
    pub(crate) fn unpack(&self) -> Vec<f32> {
        let mut weight = vec![0.0; self.outputs * self.inputs];
        for (p, rows) in weight
            .chunks_mut(self.width * self.inputs.max(1))
            .enumerate()
        {
            let panel = &self.floats()[p * self.width * self.inputs..];
            for (j, row) in rows.chunks_exact_mut(self.inputs).enumerate() {
                for (value, panel) in row.iter_mut().zip(panel.chunks_exact(self.width)) {
                    *value = panel[j];
                }
            }
        }
        weight
    }

    /// The transpose in panels, for products with `W` in place of `Wᵀ`.
    pub(crate) fn transposed(&self) -> Self {
        let &Self {
            outputs,
            inputs,
            width,
            ..
        } = self;
        let mut flipped = Self::empty(inputs, outputs);
        let from = self.floats();
        flipped.panels_mut().enumerate().for_each(|(block, panel)| {
            let rows = block * width..((block + 1) * width).min(inputs);
            for (p, into) in panel.chunks_mut(width * width).enumerate() {
                let from = &from[(p * inputs + rows.start) * width..][..rows.len() * width];
                flip(from, into, width);
            }
        });
        flipped
    }

    pub(super) fn floats(&self) -> &[f32] {
        // SAFETY: a `Line` is sixteen floats and nothing else.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr().cast(), self.data.len() * 16) }
    }

    fn floats_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe {
            std::slice::from_raw_parts_mut(self.data.as_mut_ptr().cast(), self.data.len() * 16)
        }
    }
}

/// The transpose of `from`, rows of `width`, into rows of `width`; as many of them as `into` has.
fn flip(from: &[f32], into: &mut [f32], width: usize) {
    let (rows, columns) = (from.len() / width, into.len() / width);
    for i in (0..rows).step_by(4) {
        for j in (0..columns).step_by(4) {
            if i + 4 <= rows && j + 4 <= columns {
                let row = |k: usize| -> [f32; 4] {
                    let row = &from[(i + k) * width + j..][..4];
                    [row[0], row[1], row[2], row[3]]
                };
                let [a, b, c, d] = [row(0), row(1), row(2), row(3)];
                for k in 0..4 {
                    into[(j + k) * width + i..][..4].copy_from_slice(&[a[k], b[k], c[k], d[k]]);
                }
                continue;
            }
            for i in i..(i + 4).min(rows) {
                for j in j..(j + 4).min(columns) {
                    into[j * width + i] = from[i * width + j];
                }
            }
        }
    }
}
