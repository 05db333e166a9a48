//! Products of a panel with rows that stand in any matrix, where packing them would cost more than it gains.

use super::panels::tile;
use super::vector::Vector;
use super::{Isa, Matrix, isa};

/// Columns of a panel that [`panel_rows`] takes.
pub(crate) fn panel_width() -> usize {
    tile().0
}

/// `out = x · panel`, in rows of [`panel_width`] floats.
///
/// - `x`: `[rows, inputs]`
/// - `panel`: `[inputs, panel width]`
/// - `columns`: of the panel that are wanted; others of `out` are not, and may be written or not
/// - `out`: `[rows, panel width]`
pub(crate) fn panel_rows(
    x: Matrix<'_>,
    (rows, inputs): (usize, usize),
    panel: &[f32],
    columns: usize,
    out: &mut [f32],
) {
    let (width, most) = tile();
    assert!(x.covers(rows, inputs), "x is smaller than it says");
    assert!(columns <= width && panel.len() >= inputs * width && out.len() >= rows * width);
    for row in (0..rows).step_by(most) {
        let job = Job {
            x: x.data.as_ptr().wrapping_add(row * x.row),
            row: x.row,
            column: x.column,
            inputs,
            panel: panel.as_ptr(),
            width,
            out: out[row * width..].as_mut_ptr(),
        };
        let count = most.min(rows - row);
        // SAFETY: `isa` found the features; the asserts keep what is read and written inside the slices.
        unsafe {
            match isa() {
                #[cfg(target_arch = "x86_64")]
                Isa::V4 => job.v4(count, columns),
                #[cfg(target_arch = "x86_64")]
                Isa::V3 => job.v3(count, columns),
                _ => job.of_columns::<[f32; 4], 2>(count, columns),
            }
        }
    }
}

/// One tile of rows with its pointers.
struct Job {
    x: *const f32,
    /// Floats from a row to the next.
    row: usize,
    /// Floats from an input to the next.
    column: usize,
    inputs: usize,
    panel: *const f32,
    width: usize,
    out: *mut f32,
}

impl Job {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    unsafe fn v4(&self, rows: usize, columns: usize) {
        unsafe { self.of_columns::<std::arch::x86_64::__m512, 3>(rows, columns) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn v3(&self, rows: usize, columns: usize) {
        unsafe { self.of_columns::<std::arch::x86_64::__m256, 3>(rows, columns) }
    }

    /// With as many registers as the columns need.
    #[inline(always)]
    unsafe fn of_columns<V: Vector, const N: usize>(&self, rows: usize, columns: usize) {
        unsafe {
            match columns.div_ceil(V::LANES) {
                1 => self.of_rows::<V, 1>(rows),
                2 => self.of_rows::<V, 2>(rows),
                _ => self.of_rows::<V, N>(rows),
            }
        }
    }

    #[inline(always)]
    unsafe fn of_rows<V: Vector, const N: usize>(&self, rows: usize) {
        unsafe {
            match rows {
                8 => self.write::<V, 8, N>(),
                7 => self.write::<V, 7, N>(),
                6 => self.write::<V, 6, N>(),
                5 => self.write::<V, 5, N>(),
                4 => self.write::<V, 4, N>(),
                3 => self.write::<V, 3, N>(),
                2 => self.write::<V, 2, N>(),
                _ => self.write::<V, 1, N>(),
            }
        }
    }

    #[inline(always)]
    unsafe fn write<V: Vector, const M: usize, const N: usize>(&self) {
        unsafe {
            let mut sums = [[V::zero(); N]; M];
            let (mut x, mut panel) = (self.x, self.panel);
            for _ in 0..self.inputs {
                let mut w = [V::zero(); N];
                for j in 0..N {
                    w[j] = V::load(panel.wrapping_add(j * V::LANES));
                }
                for i in 0..M {
                    let x = V::splat(*x.wrapping_add(i * self.row));
                    for j in 0..N {
                        sums[i][j] = sums[i][j].add_product(x, w[j]);
                    }
                }
                x = x.wrapping_add(self.column);
                panel = panel.wrapping_add(self.width);
            }
            for i in 0..M {
                for j in 0..N {
                    sums[i][j].store(self.out.wrapping_add(i * self.width + j * V::LANES));
                }
            }
        }
    }
}
