//! Inverse wavelet transforms: 5/3 of integers, 9/7 of floats. Source: ITU-T T.800 annex F.

use rayon::prelude::*;

/// Columns that are transformed down together.
const COLUMNS: usize = 32;
/// Samples of a level below which one thread does all.
const SMALL: usize = 1 << 14;

/// What the coefficients of a transform are.
pub(super) trait Coefficient: Copy + Default + Send + Sync {
    /// From twice a coefficient of a subband with a quantisation step.
    fn dequantised(doubled: i32, step: f32) -> Self;
    /// Steps of the transform, from the last that a coder took.
    const LIFTS: &'static [Lift];
    /// Low-pass and high-pass coefficients are multiplied by these first.
    const SCALES: Option<[f32; 2]>;
    /// `self` and two neighbours of the other half.
    fn lifted(self, lift: &Lift, before: Self, after: Self) -> Self;
    fn scaled(self, by: f32) -> Self;
    /// A lone high-pass coefficient. Source: F.3.6.
    fn lone(self) -> Self;
}

/// A lifting step.
pub(super) struct Lift {
    /// Whether it changes the high-pass half.
    high: bool,
    factor: f32,
}

impl Coefficient for i32 {
    const LIFTS: &'static [Lift] = &[
        Lift {
            high: false,
            factor: 0.0,
        },
        Lift {
            high: true,
            factor: 0.0,
        },
    ];
    const SCALES: Option<[f32; 2]> = None;

    fn dequantised(doubled: i32, _: f32) -> Self {
        doubled / 2
    }

    #[inline(always)]
    fn lifted(self, lift: &Lift, before: Self, after: Self) -> Self {
        // A damaged stream may hold any number: sums wrap.
        let sum = before.wrapping_add(after);
        match lift.high {
            true => self.wrapping_add(sum >> 1),
            false => self.wrapping_sub(sum.wrapping_add(2) >> 2),
        }
    }

    fn scaled(self, _: f32) -> Self {
        self
    }

    fn lone(self) -> Self {
        self / 2
    }
}

impl Coefficient for f32 {
    /// Source: table F.4.
    const LIFTS: &'static [Lift] = &[
        Lift {
            high: false,
            factor: -0.443_506_85,
        },
        Lift {
            high: true,
            factor: -0.882_911_1,
        },
        Lift {
            high: false,
            factor: 0.052_980_12,
        },
        Lift {
            high: true,
            factor: 1.586_134_3,
        },
    ];
    /// K, and twice its inverse: steps leave out the high-pass filter's gain.
    const SCALES: Option<[f32; 2]> = Some([1.230_174_1, 1.625_732_4]);

    fn dequantised(doubled: i32, step: f32) -> Self {
        doubled as f32 * (0.5 * step)
    }

    #[inline(always)]
    fn lifted(self, lift: &Lift, before: Self, after: Self) -> Self {
        self + (before + after) * lift.factor
    }

    #[inline(always)]
    fn scaled(self, by: f32) -> Self {
        self * by
    }

    fn lone(self) -> Self {
        self
    }
}

/// A range of samples along an axis: how long, and whether the first is high-pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub length: usize,
    pub starts_high: bool,
}

impl Axis {
    fn low(self) -> usize {
        match self.starts_high {
            true => self.length / 2,
            false => self.length.div_ceil(2),
        }
    }
}

/// Puts one level of subbands together, in place: `[low, high]` across and down become samples.
///
/// - `plane`: rows of `stride` samples, of which the first `across.length` of the first `down.length` take part
pub(super) fn join<T: Coefficient>(plane: &mut [T], stride: usize, across: Axis, down: Axis) {
    let (width, height) = (across.length, down.length);
    if width == 0 || height == 0 {
        return;
    }
    let row = |scratch: &mut Vec<T>, row: &mut [T]| {
        scratch.clear();
        scratch.extend_from_slice(&row[..width]);
        lift::<T, 1>(scratch, across);
        interleave::<T, 1>(scratch, across, &mut row[..width]);
    };
    let column = |first: usize, plane: &[T]| -> Vec<T> {
        let mut block = vec![T::default(); height * COLUMNS];
        let columns = COLUMNS.min(width - first);
        for (block, row) in block.chunks_exact_mut(COLUMNS).zip(plane.chunks(stride)) {
            block[..columns].copy_from_slice(&row[first..first + columns]);
        }
        lift::<T, COLUMNS>(&mut block, down);
        block
    };
    let order: Vec<usize> = (0..height).map(|y| source(y, down)).collect();
    let scatter = |(y, row): (usize, &mut [T]), blocks: &[Vec<T>]| {
        for (block, row) in blocks.iter().zip(row[..width].chunks_mut(COLUMNS)) {
            let from = order[y] * COLUMNS;
            row.copy_from_slice(&block[from..from + row.len()]);
        }
    };
    let firsts: Vec<usize> = (0..width).step_by(COLUMNS).collect();
    if width * height < SMALL {
        let mut scratch = Vec::with_capacity(width);
        let rows = plane.chunks_mut(stride).take(height);
        rows.for_each(|r| row(&mut scratch, r));
        let blocks: Vec<Vec<T>> = firsts.iter().map(|f| column(*f, plane)).collect();
        let rows = plane.chunks_mut(stride).take(height).enumerate();
        rows.for_each(|r| scatter(r, &blocks));
        return;
    }
    let rows = plane.par_chunks_mut(stride).take(height).with_min_len(16);
    rows.for_each_init(Vec::new, row);
    let blocks: Vec<Vec<T>> = firsts.par_iter().map(|f| column(*f, plane)).collect();
    let rows = plane.par_chunks_mut(stride).take(height).enumerate();
    rows.with_min_len(64).for_each(|r| scatter(r, &blocks));
}

/// Where the sample at `i` stands before the halves are interleaved.
fn source(i: usize, axis: Axis) -> usize {
    match (i % 2 == 1) == axis.starts_high {
        true => i / 2,
        false => axis.low() + i / 2,
    }
}

fn interleave<T: Coefficient, const W: usize>(from: &[T], axis: Axis, into: &mut [T]) {
    let (low, high) = from.split_at(axis.low() * W);
    let (first, second) = match axis.starts_high {
        true => (high, low),
        false => (low, high),
    };
    let (pairs, last) = into.as_chunks_mut::<2>();
    for ((pair, a), b) in pairs.iter_mut().zip(first).zip(second) {
        *pair = [*a, *b];
    }
    if let ([last], Some(value)) = (last, first.last()) {
        *last = *value;
    }
}

/// Lifts `W` columns at once; the low-pass half stands before the high-pass half.
fn lift<T: Coefficient, const W: usize>(samples: &mut [T], axis: Axis) {
    let (low, high) = samples.split_at_mut(axis.low() * W);
    let low = low.as_chunks_mut::<W>().0;
    let high = high.as_chunks_mut::<W>().0;
    if axis.length == 1 {
        high.iter_mut().flatten().for_each(|v| *v = v.lone());
        return;
    }
    if let Some([of_low, of_high]) = T::SCALES {
        low.iter_mut().flatten().for_each(|v| *v = v.scaled(of_low));
        high.iter_mut()
            .flatten()
            .for_each(|v| *v = v.scaled(of_high));
    }
    for step in T::LIFTS {
        match step.high {
            true => lift_half(step, high, low, axis.starts_high),
            false => lift_half(step, low, high, !axis.starts_high),
        }
    }
}

/// Changes one half by the other; `first` says that the half which is changed has the first sample.
#[inline(always)]
fn lift_half<T: Coefficient, const W: usize>(
    step: &Lift,
    changed: &mut [[T; W]],
    other: &[[T; W]],
    first: bool,
) {
    // Beyond either end the samples are mirrored.
    let last = other.len() - 1;
    let mut one = |k: usize, before: &[T; W], after: &[T; W]| {
        let changed = &mut changed[k];
        for j in 0..W {
            changed[j] = changed[j].lifted(step, before[j], after[j]);
        }
    };
    match first {
        true => {
            one(0, &other[0], &other[0]);
            for k in 1..=last {
                one(k, &other[k - 1], &other[k]);
            }
        }
        false => {
            for k in 0..last {
                one(k, &other[k], &other[k + 1]);
            }
        }
    }
    let (after, done) = match first {
        true => (last + 1, last + 1),
        false => (last, last),
    };
    if changed.len() > done {
        let changed = &mut changed[after];
        for j in 0..W {
            changed[j] = changed[j].lifted(step, other[last][j], other[last][j]);
        }
    }
}
