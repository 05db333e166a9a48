//! Tiles of a product of packed weights with rows that start anywhere.

use super::vector::Vector;
use super::{Isa, isa};

/// Where the rows of a right-hand factor start.
pub(crate) struct Offsets {
    starts: Vec<usize>,
    /// The largest start, so that a bound is checked once for all rows.
    reach: usize,
}

impl Offsets {
    pub(crate) fn new(starts: Vec<usize>) -> Self {
        let reach = starts.iter().copied().max().unwrap_or(0);
        Self { starts, reach }
    }

    pub(crate) fn starts(&self) -> &[usize] {
        &self.starts
    }
}

/// Rows and columns of the tile that [`correlate_tile`] computes at once, for packed weights of `rows` rows.
pub(crate) fn tile(rows: usize) -> (usize, usize) {
    match (isa(), rows) {
        (Isa::V4, 1) => (1, 128),
        (Isa::V4, _) => (8, 48),
        (Isa::V3, 1) => (1, 64),
        (Isa::V3, _) => (6, 16),
        (Isa::Portable, _) => (4, 8),
    }
}

/// One tile of `packed · x`, where row `k` of `x` starts at `offsets[k]` and is read from `start`.
///
/// - `tile`: what [`tile`] said
/// - `packed`: `[rows of x, tile rows]`
/// - `out`: `rows` rows of `width` floats, `out_row` apart; `rows` and `width` at most the tile's
#[allow(clippy::too_many_arguments)]
pub(crate) fn correlate_tile(
    (tile_rows, tile_columns): (usize, usize),
    packed: &[f32],
    x: &[f32],
    offsets: &Offsets,
    start: usize,
    (rows, width): (usize, usize),
    out: &mut [f32],
    out_row: usize,
) {
    let (offsets, reach) = (offsets.starts.as_slice(), offsets.reach);
    assert!(rows <= tile_rows && width <= tile_columns && rows > 0);
    debug_assert!((tile_rows, tile_columns) == tile(tile_rows));
    assert!(packed.len() >= offsets.len() * tile_rows && reach + start + width <= x.len());
    assert!((rows - 1) * out_row + width <= out.len());
    let (a, x, c) = (packed.as_ptr(), x[start..].as_ptr(), out.as_mut_ptr());
    // SAFETY: `isa` found the features; the asserts keep what is read and written inside the slices, and lanes beyond
    // `width` are masked.
    unsafe {
        match isa() {
            #[cfg(target_arch = "x86_64")]
            Isa::V4 if tile_rows == 1 => row_v4(a, x, offsets, width, c),
            #[cfg(target_arch = "x86_64")]
            Isa::V3 if tile_rows == 1 => row_v3(a, x, offsets, width, c),
            #[cfg(target_arch = "x86_64")]
            Isa::V4 if width > 32 => correlate_v4::<3>(a, x, offsets, rows, width, c, out_row),
            #[cfg(target_arch = "x86_64")]
            Isa::V4 if width > 16 => correlate_v4::<2>(a, x, offsets, rows, width, c, out_row),
            #[cfg(target_arch = "x86_64")]
            Isa::V4 => correlate_v4::<1>(a, x, offsets, rows, width, c, out_row),
            #[cfg(target_arch = "x86_64")]
            Isa::V3 if width > 8 => correlate_v3::<2>(a, x, offsets, rows, width, c, out_row),
            #[cfg(target_arch = "x86_64")]
            Isa::V3 => correlate_v3::<1>(a, x, offsets, rows, width, c, out_row),
            _ => correlate::<[f32; 4], 4, 2>(a, x, offsets, rows, width, c, out_row),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn correlate_v4<const N: usize>(
    a: *const f32,
    x: *const f32,
    offsets: &[usize],
    rows: usize,
    width: usize,
    c: *mut f32,
    out_row: usize,
) {
    unsafe { correlate::<std::arch::x86_64::__m512, 8, N>(a, x, offsets, rows, width, c, out_row) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn correlate_v3<const N: usize>(
    a: *const f32,
    x: *const f32,
    offsets: &[usize],
    rows: usize,
    width: usize,
    c: *mut f32,
    out_row: usize,
) {
    unsafe { correlate::<std::arch::x86_64::__m256, 6, N>(a, x, offsets, rows, width, c, out_row) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn row_v4(a: *const f32, x: *const f32, offsets: &[usize], width: usize, c: *mut f32) {
    unsafe { correlate::<std::arch::x86_64::__m512, 1, 8>(a, x, offsets, 1, width, c, 0) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn row_v3(a: *const f32, x: *const f32, offsets: &[usize], width: usize, c: *mut f32) {
    unsafe { correlate::<std::arch::x86_64::__m256, 1, 8>(a, x, offsets, 1, width, c, 0) }
}

/// Most tiles are as wide as their vectors: without masks all sums of AVX2's sixteen registers stay in them.
#[inline(always)]
unsafe fn correlate<V: Vector, const M: usize, const N: usize>(
    a: *const f32,
    x: *const f32,
    offsets: &[usize],
    rows: usize,
    width: usize,
    c: *mut f32,
    out_row: usize,
) {
    unsafe {
        match width == N * V::LANES {
            true => sums::<V, M, N, true>(a, x, offsets, rows, width, c, out_row),
            false => sums::<V, M, N, false>(a, x, offsets, rows, width, c, out_row),
        }
    }
}

#[inline(always)]
unsafe fn sums<V: Vector, const M: usize, const N: usize, const FULL: bool>(
    a: *const f32,
    x: *const f32,
    offsets: &[usize],
    rows: usize,
    width: usize,
    c: *mut f32,
    out_row: usize,
) {
    unsafe {
        let mut masks = [V::mask(0); N];
        for (j, mask) in masks.iter_mut().enumerate() {
            *mask = V::mask(width.saturating_sub(j * V::LANES));
        }
        let mut acc = [[V::zero(); N]; M];
        let mut a = a;
        for &offset in offsets {
            let row = x.wrapping_add(offset);
            let mut b = [V::zero(); N];
            for j in 0..N {
                let part = row.wrapping_add(j * V::LANES);
                b[j] = match FULL {
                    true => V::load(part),
                    false => V::load_masked(part, masks[j]),
                };
            }
            for i in 0..M {
                let w = V::splat(*a.add(i));
                for j in 0..N {
                    acc[i][j] = acc[i][j].add_product(w, b[j]);
                }
            }
            a = a.add(M);
        }
        for i in 0..M {
            if i < rows {
                for j in 0..N {
                    acc[i][j].store_masked(c.wrapping_add(i * out_row + j * V::LANES), masks[j]);
                }
            }
        }
    }
}
