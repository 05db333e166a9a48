//! A matrix that was laid out once for the registers that will read it.
//!
//! The rows of a weight matrix `[outputs, inputs]` stand side by side in panels as wide as a tile: `[inputs, width]`
//! each, the last one filled up with zeros.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use super::quantised::{Codes, GROUP};
use super::{Isa, isa, memory};
use crate::Quantisation;

/// A cache line; read and written as its sixteen floats.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code)] [f32; 16]);

/// Floats that begin at a cache line.
#[derive(Clone)]
pub(super) struct Lines(Vec<Line>);

impl Lines {
    /// At least so many zeros.
    pub(super) fn zeros(floats: usize) -> Self {
        Self(vec![Line([0.0; 16]); floats.div_ceil(16)])
    }

    pub(super) fn floats(&self) -> &[f32] {
        // SAFETY: a `Line` is sixteen floats and nothing else.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * 16) }
    }

    pub(super) fn floats_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * 16) }
    }
}

/// A weight matrix in panels.
#[derive(Clone)]
pub(crate) struct Panels {
    pub outputs: usize,
    pub inputs: usize,
    /// Outputs of a panel.
    pub(super) width: usize,
    data: Data,
}

/// What the panels hold.
#[derive(Clone)]
enum Data {
    Floats(Lines),
    Codes(Codes),
}

/// Outputs that a panel has, and rows of `x` that a tile takes.
pub(super) fn tile() -> (usize, usize) {
    match isa() {
        Isa::V4 => (48, 8),
        Isa::V3 => (16, 6),
        Isa::Portable => (8, 4),
    }
}

impl Panels {
    /// Packs a matrix `[outputs, inputs]`, row by row.
    pub(crate) fn pack(weight: &[f32], outputs: usize, inputs: usize) -> Self {
        assert_eq!(weight.len(), outputs * inputs);
        Self::filled(outputs, inputs, |p, panel, width| {
            let rows = weight.chunks(width * inputs.max(1)).nth(p);
            let rows = rows.unwrap_or_default().chunks_exact(inputs.max(1));
            for (j, row) in rows.enumerate() {
                for (panel, &value) in panel.chunks_exact_mut(width).zip(row) {
                    panel[j] = value;
                }
            }
        })
    }

    /// Packs a matrix `[outputs, inputs]`, row by row, in 8 or 4 bits a number.
    pub(crate) fn quantise(
        weight: &[f32],
        outputs: usize,
        inputs: usize,
        kind: Quantisation,
    ) -> Self {
        assert_eq!(weight.len(), outputs * inputs);
        let (width, _) = tile();
        Self {
            outputs,
            inputs,
            width,
            data: Data::Codes(Codes::new(weight, (outputs, inputs), width, kind)),
        }
    }

    /// Bytes that the matrix takes in memory.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        match &self.data {
            Data::Floats(lines) => size_of_val(lines.floats()),
            Data::Codes(codes) => codes.size(),
        }
    }

    /// Panels that a function of their number, their floats and their width writes.
    fn filled(
        outputs: usize,
        inputs: usize,
        fill: impl Fn(usize, &mut [f32], usize) + Sync,
    ) -> Self {
        let (width, _) = tile();
        let floats = outputs.div_ceil(width) * width * inputs;
        let mut lines = Lines::zeros(floats);
        memory::advise_large_pages(lines.floats_mut());
        lines.floats_mut()[..floats]
            .par_chunks_mut((width * inputs).max(1))
            .enumerate()
            .for_each(|(p, panel)| fill(p, panel, width));
        Self {
            outputs,
            inputs,
            width,
            data: Data::Floats(lines),
        }
    }

    /// The matrix in floats: itself, or a copy for the moment.
    fn wide(&self) -> Cow<'_, Self> {
        match &self.data {
            Data::Floats(_) => Cow::Borrowed(self),
            Data::Codes(codes) => {
                let fill = |p: usize, panel: &mut [f32], width: usize| {
                    let mut strip = Lines::zeros(self.inputs.next_multiple_of(GROUP) * width);
                    codes.expand(p, 0..self.inputs, strip.floats_mut());
                    panel.copy_from_slice(&strip.floats()[..panel.len()]);
                };
                Cow::Owned(Self::filled(self.outputs, self.inputs, fill))
            }
        }
    }

    pub(super) fn is_quantised(&self) -> bool {
        matches!(self.data, Data::Codes(_))
    }

    /// Room for [`Panels::strip`], for so many inputs at most.
    pub(super) fn scratch(&self, inputs: usize) -> Lines {
        match &self.data {
            Data::Floats(_) => Lines::zeros(0),
            Data::Codes(_) => Lines::zeros(inputs.next_multiple_of(GROUP) * self.width),
        }
    }

    /// Some inputs of a panel, `[inputs, width]`, and whether what follows them in memory are the next inputs and panels.
    ///
    /// - `inputs`: where the panel is quantised, from a whole group on
    pub(super) fn strip<'a>(
        &'a self,
        p: usize,
        inputs: Range<usize>,
        scratch: &'a mut Lines,
    ) -> (&'a [f32], bool) {
        match &self.data {
            Data::Floats(lines) => {
                let from = (p * self.inputs + inputs.start) * self.width;
                (&lines.floats()[from..][..inputs.len() * self.width], true)
            }
            Data::Codes(codes) => {
                codes.expand(p, inputs.clone(), scratch.floats_mut());
                (&scratch.floats()[..inputs.len() * self.width], false)
            }
        }
    }

    /// The matrix as it was, or as its codes tell, `[outputs, inputs]`.
    pub(crate) fn unpack(&self) -> Vec<f32> {
        let this = self.wide();
        let mut weight = vec![0.0; self.outputs * self.inputs];
        for (p, rows) in weight
            .chunks_mut(self.width * self.inputs.max(1))
            .enumerate()
        {
            let panel = &this.floats()[p * self.width * self.inputs..];
            for (j, row) in rows.chunks_exact_mut(self.inputs).enumerate() {
                for (value, panel) in row.iter_mut().zip(panel.chunks_exact(self.width)) {
                    *value = panel[j];
                }
            }
        }
        weight
    }

    /// The transpose in panels, for products with `W` in place of `Wᵀ`; in floats.
    pub(crate) fn transposed(&self) -> Self {
        let this = self.wide();
        let (outputs, inputs) = (self.outputs, self.inputs);
        let from = this.floats();
        Self::filled(inputs, outputs, |block, panel, width| {
            let rows = block * width..((block + 1) * width).min(inputs);
            for (p, into) in panel.chunks_mut(width * width).enumerate() {
                let from = &from[(p * inputs + rows.start) * width..][..rows.len() * width];
                flip(from, into, width);
            }
        })
    }

    /// All panels; none where they are quantised.
    fn floats(&self) -> &[f32] {
        match &self.data {
            Data::Floats(lines) => lines.floats(),
            Data::Codes(_) => &[],
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
