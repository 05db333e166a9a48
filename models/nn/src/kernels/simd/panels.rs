//! A matrix that was laid out once for the registers that will read it.
//!
//! The rows of a weight matrix `[outputs, inputs]` stand side by side in panels as wide as a tile: `[inputs, width]`
//! each, the last one filled up with zeros.

use std::ops::Range;

use rayon::prelude::*;

use super::{Isa, Matrix, isa, memory};

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
        let (width, _) = tile();
        let floats = outputs.div_ceil(width) * width * inputs;
        let mut panels = Self {
            outputs,
            inputs,
            width,
            data: vec![Line([0.0; 16]); floats.div_ceil(16)],
        };
        memory::advise_large_pages(panels.floats_mut());
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
