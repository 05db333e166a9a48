//! Panels whose numbers are kept in 8 or 4 bits, and made floats again a strip at a time, when a product comes to them.
//!
//! [`GROUP`] consecutive inputs of an output share a scale, a bfloat16: a number is its code times the scale. 8-bit codes
//! are -127..=127 and one byte each, 4-bit codes -8..=7 and two inputs a byte, the first in the low half.

use std::ops::Range;

use rayon::prelude::*;

use super::vectorised;
use crate::Quantisation;

/// Inputs that share a scale.
pub(super) const GROUP: usize = 32;

/// The codes and scales of all panels.
#[derive(Clone)]
pub(super) struct Codes {
    kind: Quantisation,
    /// Panel by panel `[inputs, width]`, or `[inputs / 2, width]` for halves of bytes.
    codes: Vec<u8>,
    /// Panel by panel `[groups, width]`, bfloat16.
    scales: Vec<u16>,
    width: usize,
    /// Inputs in whole groups.
    padded: usize,
}

impl Codes {
    /// Quantises a matrix `[outputs, inputs]` for panels of `width` outputs.
    pub(super) fn new(
        weight: &[f32],
        (outputs, inputs): (usize, usize),
        width: usize,
        kind: Quantisation,
    ) -> Self {
        let padded = inputs.next_multiple_of(GROUP);
        let panels = outputs.div_ceil(width);
        let mut made = Self {
            kind,
            codes: vec![0; panels * Self::bytes(kind, padded) * width],
            scales: vec![0; panels * padded / GROUP * width],
            width,
            padded,
        };
        if made.codes.is_empty() {
            return made;
        }
        let codes = made.codes.par_chunks_mut(Self::bytes(kind, padded) * width);
        let scales = made.scales.par_chunks_mut(padded / GROUP * width);
        let rows = weight.par_chunks(width * inputs);
        codes
            .zip(scales)
            .zip(rows)
            .for_each(|((codes, scales), rows)| {
                for (j, row) in rows.chunks_exact(inputs).enumerate() {
                    for (g, some) in row.chunks(GROUP).enumerate() {
                        let mut group = [0.0; GROUP];
                        group[..some.len()].copy_from_slice(some);
                        let mut coded = [0; GROUP];
                        scales[g * width + j] = encode(kind, &group, &mut coded);
                        let bytes = &mut codes[Self::bytes(kind, g * GROUP) * width..];
                        place(kind, &coded, &mut bytes[j..], width);
                    }
                }
            });
        made
    }

    /// Bytes that some inputs of one output take.
    fn bytes(kind: Quantisation, inputs: usize) -> usize {
        match kind {
            Quantisation::Q8 => inputs,
            Quantisation::Q4 => inputs / 2,
        }
    }

    /// Bytes in memory.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.codes.len() + 2 * self.scales.len()
    }

    /// Some inputs of panel `p` as floats `[inputs, width]`.
    ///
    /// - `inputs`: from a whole group on
    /// - `into`: room for at least as many inputs in whole groups
    pub(super) fn expand(&self, p: usize, inputs: Range<usize>, into: &mut [f32]) {
        let (width, groups) = (self.width, self.padded / GROUP);
        assert!(inputs.start.is_multiple_of(GROUP) && inputs.end <= self.padded);
        let of = inputs.start / GROUP..inputs.end.div_ceil(GROUP);
        let group = Self::bytes(self.kind, GROUP) * width;
        let codes = &self.codes[(p * groups + of.start) * group..][..of.len() * group];
        let scales = &self.scales[(p * groups + of.start) * width..][..of.len() * width];
        let into = &mut into[..of.len() * GROUP * width];
        match width {
            48 => expand_48(self.kind, codes, scales, into),
            16 => expand_16(self.kind, codes, scales, into),
            8 => expand_8(self.kind, codes, scales, into),
            _ => unreachable!("panels are as wide as `tile` says"),
        }
    }
}

/// Codes of a group, and the scale that goes with them. Numbers that are not finite give a scale that is not a number.
fn encode(kind: Quantisation, group: &[f32; GROUP], codes: &mut [i8; GROUP]) -> u16 {
    let extreme = group.iter().fold(0.0f32, |m, v| match v.abs() > m.abs() {
        true => *v,
        false => m,
    });
    if group.iter().any(|v| !v.is_finite()) {
        return bfloat(f32::NAN);
    }
    let scale = match kind {
        Quantisation::Q8 => above(extreme.abs() / 127.0),
        // The largest number decides, or one a little smaller that fits all of them better.
        Quantisation::Q4 => (0..8)
            .map(|i| bfloat(extreme / (0.25 * i as f32 - 8.0)))
            .min_by(|a, b| misfit(group, *a).total_cmp(&misfit(group, *b)))
            .unwrap_or_default(),
    };
    if wide(scale).abs() < f32::MIN_POSITIVE {
        return 0;
    }
    let (low, high) = match kind {
        Quantisation::Q8 => (-127.0, 127.0),
        Quantisation::Q4 => (-8.0, 7.0),
    };
    for (code, value) in codes.iter_mut().zip(group) {
        *code = (value / wide(scale)).round_ties_even().clamp(low, high) as i8;
    }
    scale
}

/// Sum of squared errors of 4-bit codes with a scale.
fn misfit(group: &[f32; GROUP], scale: u16) -> f32 {
    let scale = wide(scale);
    let error = |v: &f32| {
        let code = (v / scale).round_ties_even().clamp(-8.0, 7.0);
        (code * scale - v) * (code * scale - v)
    };
    group.iter().map(error).sum()
}

/// Writes one output's codes of a group, `width` bytes apart.
fn place(kind: Quantisation, codes: &[i8; GROUP], into: &mut [u8], width: usize) {
    match kind {
        Quantisation::Q8 => {
            for (byte, code) in into.iter_mut().step_by(width).zip(codes) {
                *byte = *code as u8;
            }
        }
        Quantisation::Q4 => {
            let pairs = codes.as_chunks::<2>().0;
            for (byte, [low, high]) in into.iter_mut().step_by(width).zip(pairs) {
                *byte = (low + 8) as u8 | ((high + 8) as u8) << 4;
            }
        }
    }
}

/// The nearest bfloat16.
fn bfloat(v: f32) -> u16 {
    half::bf16::from_f32(v).to_bits()
}

/// The next bfloat16 that is not below a finite number which is not negative.
fn above(v: f32) -> u16 {
    (v.to_bits().saturating_add(0xFFFF) >> 16) as u16
}

fn wide(scale: u16) -> f32 {
    f32::from_bits(u32::from(scale) << 16)
}

vectorised! {
    fn expand_48(kind: Quantisation, codes: &[u8], scales: &[u16], into: &mut [f32]) {
        expand::<48>(kind, codes, scales, into)
    }
}
vectorised! {
    fn expand_16(kind: Quantisation, codes: &[u8], scales: &[u16], into: &mut [f32]) {
        expand::<16>(kind, codes, scales, into)
    }
}
vectorised! {
    fn expand_8(kind: Quantisation, codes: &[u8], scales: &[u16], into: &mut [f32]) {
        expand::<8>(kind, codes, scales, into)
    }
}

/// Whole groups of a panel of `W` outputs.
#[inline(always)]
fn expand<const W: usize>(kind: Quantisation, codes: &[u8], scales: &[u16], into: &mut [f32]) {
    let (scales, into) = (scales.as_chunks::<W>().0, into.as_chunks_mut::<W>().0);
    let codes = codes.as_chunks::<W>().0;
    let groups = scales.iter().zip(into.chunks_exact_mut(GROUP));
    match kind {
        Quantisation::Q8 => {
            for ((scales, into), codes) in groups.zip(codes.chunks_exact(GROUP)) {
                let scales = scales.map(wide);
                for (into, codes) in into.iter_mut().zip(codes) {
                    for j in 0..W {
                        into[j] = f32::from(codes[j] as i8) * scales[j];
                    }
                }
            }
        }
        Quantisation::Q4 => {
            for ((scales, into), codes) in groups.zip(codes.chunks_exact(GROUP / 2)) {
                let scales = scales.map(wide);
                for (into, codes) in into.as_chunks_mut::<2>().0.iter_mut().zip(codes) {
                    for j in 0..W {
                        into[0][j] = (f32::from(codes[j] & 15) - 8.0) * scales[j];
                    }
                    for j in 0..W {
                        into[1][j] = (f32::from(codes[j] >> 4) - 8.0) * scales[j];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(seed: u32) -> [f32; GROUP] {
        std::array::from_fn(|i| ((i as u32 * 7919 + seed * 104_729) % 2003) as f32 / 1000.0 - 1.0)
    }

    #[test]
    fn a_number_is_off_by_half_a_step_at_most() {
        for seed in 0..50 {
            let group = group(seed);
            let largest = group.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            let mut codes = [0; GROUP];
            let scale = wide(encode(Quantisation::Q8, &group, &mut codes));
            assert!(scale >= largest / 127.0 && scale <= largest / 127.0 * 1.01);
            for (code, value) in codes.iter().zip(&group) {
                assert!((f32::from(*code) * scale - value).abs() <= 0.5001 * scale);
            }
            let scale = wide(encode(Quantisation::Q4, &group, &mut codes));
            for (code, value) in codes.iter().zip(&group) {
                // A step at most: at the end of the range opposite to the largest number a code is missing.
                assert!((f32::from(*code) * scale - value).abs() <= 1.01 * scale.abs());
            }
        }
    }

    #[test]
    fn zeros_tiny_numbers_and_numbers_that_are_none_survive() {
        let mut codes = [0; GROUP];
        for kind in [Quantisation::Q8, Quantisation::Q4] {
            assert_eq!(encode(kind, &[0.0; GROUP], &mut codes), 0);
            assert_eq!(encode(kind, &[1e-44; GROUP], &mut codes), 0);
            let mut broken = group(1);
            broken[5] = f32::INFINITY;
            assert!(wide(encode(kind, &broken, &mut codes)).is_nan());
            let large = wide(encode(kind, &[3e38; GROUP], &mut codes)) * f32::from(codes[0]);
            assert!((large / 3e38 - 1.0).abs() < 0.01, "{large}");
        }
    }
}
