//! The one place with `unsafe`: vector instructions chosen at run time, and the call into the matrix product crate.
//!
//! Everything that leaves this module is a safe function that checks its slices before it hands out a pointer. The loops
//! are written once, over the `Vector` trait, and compiled for AVX-512, for AVX2 and for plain arrays.
#![allow(unsafe_code)]
// Loops over constant counts index several arrays of registers at once.
#![allow(clippy::needless_range_loop)]

use std::sync::OnceLock;

/// Which instructions the machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    /// AVX-512 F, BW, DQ and VL.
    V4,
    /// AVX2 and FMA.
    V3,
    /// Whatever the compiler may assume.
    Portable,
}

/// The best instruction set of this machine, asked once.
pub(crate) fn isa() -> Isa {
    static ISA: OnceLock<Isa> = OnceLock::new();
    *ISA.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("fma")
            {
                return Isa::V4;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Isa::V3;
            }
        }
        Isa::Portable
    })
}

/// Defines a function whose body is compiled once for each instruction set and chosen at run time.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(unsafe_code)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn v4($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn v3($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                match $crate::kernels::simd::isa() {
                    // SAFETY: `isa` found the features that the function is compiled for.
                    $crate::kernels::simd::Isa::V4 => return unsafe { v4($($arg),*) },
                    // SAFETY: as above.
                    $crate::kernels::simd::Isa::V3 => return unsafe { v3($($arg),*) },
                    $crate::kernels::simd::Isa::Portable => {}
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use vectorised;

/// A matrix inside a slice: element `(i, j)` is `data[i * row + j * column]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub data: &'a [f32],
    pub row: usize,
    pub column: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of floats, `row` apart.
    pub(crate) fn rows(data: &'a [f32], row: usize) -> Self {
        Self {
            data,
            row,
            column: 1,
        }
    }

    /// The transpose of [`Matrix::rows`].
    pub(crate) fn columns(data: &'a [f32], column: usize) -> Self {
        Self {
            data,
            row: 1,
            column,
        }
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            row: self.column,
            column: self.row,
            ..self
        }
    }

    fn covers(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.row + (columns - 1) * self.column < self.data.len()
    }
}

/// What a matrix product does to its destination.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Into {
    Replace,
    Add,
}

/// How many threads a matrix product takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    One,
    All,
}

/// `out = scale · a b` (or `out += ..`) for `a` `[m, k]`, `b` `[k, n]`, `out` `[m, n]` with `out_row` floats between
/// rows.
#[allow(clippy::too_many_arguments)]
pub(crate) fn product(
    (m, k, n): (usize, usize, usize),
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [f32],
    out_row: usize,
    scale: f32,
    into: Into,
    threads: Threads,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(
        a.covers(m, k) && b.covers(k, n),
        "a factor is smaller than it says"
    );
    assert!(
        out_row >= n && (m - 1) * out_row + n <= out.len(),
        "the product does not fit"
    );
    let parallelism = match threads {
        Threads::One => gemm::Parallelism::None,
        Threads::All => match rayon::current_num_threads() {
            1 => gemm::Parallelism::None,
            threads => gemm::Parallelism::Rayon(threads),
        },
    };
    // SAFETY: the asserts above keep every element of the three matrices inside its slice, and `out` is borrowed
    // mutably, so it overlaps neither factor.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_row as isize,
            into == Into::Add,
            a.data.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.column as isize,
            b.row as isize,
            1.0f32,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// A register of floats; every method is inlined into a function with the right features.
trait Vector: Copy {
    const LANES: usize;
    type Mask: Copy;
    /// The first `n` lanes, `n` clamped to the width.
    unsafe fn mask(n: usize) -> Self::Mask;
    unsafe fn zero() -> Self;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(p: *const f32) -> Self;
    unsafe fn load_masked(p: *const f32, mask: Self::Mask) -> Self;
    unsafe fn store(self, p: *mut f32);
    unsafe fn store_masked(self, p: *mut f32, mask: Self::Mask);
    /// `self + a · b`.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    unsafe fn sum(self) -> f32;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    impl Vector for __m512 {
        const LANES: usize = 16;
        type Mask = __mmask16;
        #[inline(always)]
        unsafe fn mask(n: usize) -> __mmask16 {
            ((1u32 << n.min(16)) - 1) as u16
        }
        #[inline(always)]
        unsafe fn zero() -> Self {
            unsafe { _mm512_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn load_masked(p: *const f32, mask: __mmask16) -> Self {
            unsafe { _mm512_maskz_loadu_ps(mask, p) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            unsafe { _mm512_storeu_ps(p, self) }
        }
        #[inline(always)]
        unsafe fn store_masked(self, p: *mut f32, mask: __mmask16) {
            unsafe { _mm512_mask_storeu_ps(p, mask, self) }
        }
        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            unsafe { _mm512_fmadd_ps(a, b, self) }
        }
        #[inline(always)]
        unsafe fn sum(self) -> f32 {
            unsafe { _mm512_reduce_add_ps(self) }
        }
    }

    impl Vector for __m256 {
        const LANES: usize = 8;
        type Mask = __m256i;
        #[inline(always)]
        unsafe fn mask(n: usize) -> __m256i {
            unsafe {
                let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
                _mm256_cmpgt_epi32(_mm256_set1_epi32(n.min(8) as i32), lanes)
            }
        }
        #[inline(always)]
        unsafe fn zero() -> Self {
            unsafe { _mm256_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            unsafe { _mm256_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn load_masked(p: *const f32, mask: __m256i) -> Self {
            unsafe { _mm256_maskload_ps(p, mask) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            unsafe { _mm256_storeu_ps(p, self) }
        }
        #[inline(always)]
        unsafe fn store_masked(self, p: *mut f32, mask: __m256i) {
            unsafe { _mm256_maskstore_ps(p, mask, self) }
        }
        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            unsafe { _mm256_fmadd_ps(a, b, self) }
        }
        #[inline(always)]
        unsafe fn sum(self) -> f32 {
            unsafe {
                let half = _mm_add_ps(_mm256_castps256_ps128(self), _mm256_extractf128_ps(self, 1));
                let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
                _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps(pair, pair, 1)))
            }
        }
    }
}

impl Vector for [f32; 4] {
    const LANES: usize = 4;
    type Mask = usize;
    #[inline(always)]
    unsafe fn mask(n: usize) -> usize {
        n.min(4)
    }
    #[inline(always)]
    unsafe fn zero() -> Self {
        [0.0; 4]
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        unsafe { p.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_masked(p: *const f32, n: usize) -> Self {
        if n == 4 {
            return unsafe { Self::load(p) };
        }
        let mut lanes = [0.0; 4];
        for (i, lane) in lanes.iter_mut().enumerate().take(n) {
            *lane = unsafe { *p.add(i) };
        }
        lanes
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        unsafe { p.cast::<[f32; 4]>().write_unaligned(self) }
    }
    #[inline(always)]
    unsafe fn store_masked(self, p: *mut f32, n: usize) {
        for (i, lane) in self.iter().enumerate().take(n) {
            unsafe { *p.add(i) = *lane };
        }
    }
    #[inline(always)]
    unsafe fn add_product(mut self, a: Self, b: Self) -> Self {
        for i in 0..4 {
            self[i] += a[i] * b[i];
        }
        self
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        (self[0] + self[2]) + (self[1] + self[3])
    }
}

/// Rows and columns of the tile that [`correlate_tile`] computes at once.
pub(crate) fn tile() -> (usize, usize) {
    match isa() {
        Isa::V4 => (8, 48),
        Isa::V3 => (4, 24),
        Isa::Portable => (4, 8),
    }
}

/// One tile of `packed · x`, where row `k` of `x` starts at `offsets[k]` and is read from `start`.
///
/// - `packed`: `[offsets.len(), tile rows]`
/// - `out`: `rows` rows of `width` floats, `out_row` apart; `rows` and `width` at most [`tile`]
/// - `reach`: the largest offset, so that bounds are checked once
#[allow(clippy::too_many_arguments)]
pub(crate) fn correlate_tile(
    packed: &[f32],
    x: &[f32],
    (offsets, reach): (&[usize], usize),
    start: usize,
    (rows, width): (usize, usize),
    out: &mut [f32],
    out_row: usize,
) {
    let (tile_rows, tile_columns) = tile();
    assert!(rows <= tile_rows && width <= tile_columns && rows > 0);
    assert!(packed.len() >= offsets.len() * tile_rows && reach + start + width <= x.len());
    assert!((rows - 1) * out_row + width <= out.len());
    debug_assert!(offsets.iter().all(|&offset| offset <= reach));
    let (a, x, c) = (packed.as_ptr(), x[start..].as_ptr(), out.as_mut_ptr());
    // SAFETY: `isa` found the features; the asserts keep what is read and written inside the slices, and lanes beyond
    // `width` are masked.
    unsafe {
        match isa() {
            #[cfg(target_arch = "x86_64")]
            Isa::V4 if width > 32 => correlate_v4::<3>(a, x, offsets, rows, width, c, out_row),
            #[cfg(target_arch = "x86_64")]
            Isa::V4 if width > 16 => correlate_v4::<2>(a, x, offsets, rows, width, c, out_row),
            #[cfg(target_arch = "x86_64")]
            Isa::V4 => correlate_v4::<1>(a, x, offsets, rows, width, c, out_row),
            #[cfg(target_arch = "x86_64")]
            Isa::V3 => correlate_v3(a, x, offsets, rows, width, c, out_row),
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
unsafe fn correlate_v3(
    a: *const f32,
    x: *const f32,
    offsets: &[usize],
    rows: usize,
    width: usize,
    c: *mut f32,
    out_row: usize,
) {
    unsafe { correlate::<std::arch::x86_64::__m256, 4, 3>(a, x, offsets, rows, width, c, out_row) }
}

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
                b[j] = V::load_masked(row.wrapping_add(j * V::LANES), masks[j]);
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
