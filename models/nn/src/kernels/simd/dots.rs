//! Dot products of many rows at once.

use super::vector::Vector;
use super::{Isa, isa};

/// Rows and columns that [`dots`] takes at once: few columns for plain products, nine for 3×3 kernels.
pub(crate) fn dots_tile(columns: usize) -> (usize, usize) {
    match isa() {
        Isa::V4 if columns.is_multiple_of(9) => (3, 9),
        Isa::V4 => (4, 6),
        Isa::V3 => (3, 3),
        Isa::Portable => (2, 3),
    }
}

/// Rows for [`dots`]: `count` rows of `len` floats that start `stride` apart, in each of several images.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub data: &'a [f32],
    pub first: usize,
    pub stride: usize,
    pub count: usize,
    /// Floats from one image to the next.
    pub image: usize,
}

/// Adds the dot products of rows of `y` with columns of `x` to `out`, summed over `images`.
///
/// - column `s` of `x` starts at `offsets[s]`; images are `x_image` apart
/// - `tile`: what [`dots_tile`] said; counts are at most that
/// - `out`: `[y.count, offsets.len()]` with `out_row` floats between rows
#[allow(clippy::too_many_arguments)]
pub(crate) fn dots(
    tile: (usize, usize),
    y: Rows<'_>,
    x: &[f32],
    offsets: &[usize],
    x_image: usize,
    (len, images): (usize, usize),
    out: &mut [f32],
    out_row: usize,
) {
    if y.count == 0 || offsets.is_empty() || len == 0 || images == 0 {
        return;
    }
    let reach = offsets.iter().copied().max().unwrap_or(0);
    assert!(y.count <= tile.0 && offsets.len() <= tile.1);
    assert!(y.first + (y.count - 1) * y.stride + (images - 1) * y.image + len <= y.data.len());
    assert!(reach + (images - 1) * x_image + len <= x.len());
    assert!((y.count - 1) * out_row + offsets.len() <= out.len());
    let (x, c) = (x.as_ptr(), out.as_mut_ptr());
    // SAFETY: as in `correlate_tile`.
    unsafe {
        match (isa(), tile) {
            #[cfg(target_arch = "x86_64")]
            (Isa::V4, (3, 9)) => dots_v4::<3, 9>(y, x, offsets, x_image, len, images, c, out_row),
            #[cfg(target_arch = "x86_64")]
            (Isa::V4, (4, 6)) => dots_v4::<4, 6>(y, x, offsets, x_image, len, images, c, out_row),
            #[cfg(target_arch = "x86_64")]
            (Isa::V3, (3, 3)) => dots_v3(y, x, offsets, x_image, len, images, c, out_row),
            (_, (2, 3)) => sums::<[f32; 4], 2, 3>(y, x, offsets, x_image, len, images, c, out_row),
            _ => unreachable!("`tile` is what `dots_tile` said"),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
#[allow(clippy::too_many_arguments)]
unsafe fn dots_v4<const R: usize, const S: usize>(
    y: Rows<'_>,
    x: *const f32,
    offsets: &[usize],
    x_image: usize,
    len: usize,
    images: usize,
    c: *mut f32,
    out_row: usize,
) {
    unsafe {
        sums::<std::arch::x86_64::__m512, R, S>(y, x, offsets, x_image, len, images, c, out_row)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
#[allow(clippy::too_many_arguments)]
unsafe fn dots_v3(
    y: Rows<'_>,
    x: *const f32,
    offsets: &[usize],
    x_image: usize,
    len: usize,
    images: usize,
    c: *mut f32,
    out_row: usize,
) {
    unsafe {
        sums::<std::arch::x86_64::__m256, 3, 3>(y, x, offsets, x_image, len, images, c, out_row)
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn sums<V: Vector, const R: usize, const S: usize>(
    y: Rows<'_>,
    x: *const f32,
    offsets: &[usize],
    x_image: usize,
    len: usize,
    images: usize,
    c: *mut f32,
    out_row: usize,
) {
    unsafe {
        // Missing rows and columns repeat the last one; their sums are not stored.
        let mut ys = [std::ptr::null::<f32>(); R];
        for (r, row) in ys.iter_mut().enumerate() {
            *row = y.data.as_ptr().add(y.first + r.min(y.count - 1) * y.stride);
        }
        let mut xs = [std::ptr::null::<f32>(); S];
        for (s, column) in xs.iter_mut().enumerate() {
            *column = x.add(offsets[s.min(offsets.len() - 1)]);
        }
        let mut acc = [[V::zero(); S]; R];
        for image in 0..images {
            let (y_at, x_at) = (image * y.image, image * x_image);
            let mut q = 0;
            while q < len {
                let mask = V::mask(len - q);
                let mut a = [V::zero(); R];
                for r in 0..R {
                    a[r] = V::load_masked(ys[r].add(y_at + q), mask);
                }
                for s in 0..S {
                    let b = V::load_masked(xs[s].add(x_at + q), mask);
                    for r in 0..R {
                        acc[r][s] = acc[r][s].add_product(a[r], b);
                    }
                }
                q += V::LANES;
            }
        }
        // Through memory: if the sums below were taken from `acc`, the compiler would keep it in memory throughout.
        let mut lanes = [0.0f32; 27 * 16];
        for r in 0..R {
            for s in 0..S {
                acc[r][s].store(lanes.as_mut_ptr().add((r * S + s) * V::LANES));
            }
        }
        for r in 0..y.count {
            for s in 0..offsets.len() {
                *c.add(r * out_row + s) +=
                    V::load(lanes.as_ptr().add((r * S + s) * V::LANES)).sum();
            }
        }
    }
}
