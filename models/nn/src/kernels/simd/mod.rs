//! The one place with `unsafe`: vector instructions chosen at run time, and the call into the matrix product crate.
//!
//! Everything that leaves this module is a safe function that checks its slices before it hands out a pointer. The loops
//! are written once, over the `Vector` trait, and compiled for AVX-512, for AVX2 and for plain arrays.
#![allow(unsafe_code)]
// Loops over constant counts index several arrays of registers at once.
#![allow(clippy::needless_range_loop)]

use std::sync::OnceLock;

mod dots;
mod finish;
mod gathered;
mod interleaved;
mod memory;
mod panel_product;
mod panels;
mod quantised;
mod strided;
mod tiles;
mod vector;

pub(crate) use dots::{Rows, dots, dots_tile};
pub(crate) use finish::{Finish, Value};
pub(crate) use gathered::Gathered;
pub use memory::{keep_freed_memory, release_freed_memory};
pub(crate) use panels::Panels;
pub(crate) use strided::{panel_rows, panel_width};
pub(crate) use tiles::{Offsets, correlate_tile, tile};

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

/// Names the instruction set to use, `avx512`, `avx2` or `portable`; one that the machine lacks is not used. To see what
/// another machine would do.
const CHOICE: &str = "LUCENCY_INSTRUCTIONS";

/// The best instruction set of this machine, or a lesser one that [`CHOICE`] names; asked once.
pub(crate) fn isa() -> Isa {
    static ISA: OnceLock<Isa> = OnceLock::new();
    *ISA.get_or_init(|| {
        let choice = std::env::var(CHOICE).unwrap_or_default();
        match (choice.as_str(), best()) {
            ("portable", _) => Isa::Portable,
            ("avx2", Isa::V4) => Isa::V3,
            (_, best) => best,
        }
    })
}

fn best() -> Isa {
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
}

/// What the kernels use of this machine, for people.
pub(crate) fn instructions() -> &'static str {
    match isa() {
        Isa::V4 => "AVX-512",
        Isa::V3 => "AVX2",
        Isa::Portable => "portable code",
    }
}

/// Defines a function whose body is compiled once for each instruction set and chosen at run time.
///
/// A type parameter stands for the machine's `Arithmetic`.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $crate::kernels::simd::vectorised! {
            $(#[$meta])* $vis fn $name<Any>($($arg: $ty),*) $(-> $ret)? $body
        }
    };
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$kind:ident>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(unsafe_code)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::extra_unused_type_parameters)]
            fn body<$kind: $crate::kernels::math::Arithmetic>($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::kernels::math::Fused;
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn v4($($arg: $ty),*) $(-> $ret)? { body::<Fused>($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn v3($($arg: $ty),*) $(-> $ret)? { body::<Fused>($($arg),*) }
                match $crate::kernels::simd::isa() {
                    // SAFETY: `isa` found the features that the function is compiled for.
                    $crate::kernels::simd::Isa::V4 => return unsafe { v4($($arg),*) },
                    // SAFETY: as above.
                    $crate::kernels::simd::Isa::V3 => return unsafe { v3($($arg),*) },
                    $crate::kernels::simd::Isa::Portable => {}
                }
            }
            body::<$crate::kernels::math::Split>($($arg),*)
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
