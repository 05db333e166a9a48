//! Dot products of many 8-bit rows with one 16-bit query: the inner loop of every search.
//!
//! The widest instructions that the processor has are chosen at run time, through `pulp`'s checked
//! tokens, so there is no `unsafe` here. All paths add whole numbers and give the same results.

/// Largest magnitude of a number in a row.
pub(super) const ROW_MAX: i32 = 127;

/// Largest magnitude that a query's numbers may have so that no sum overflows 32 bits.
pub(super) fn query_max(dim: usize) -> i32 {
    let room = i64::from(i32::MAX) / (i64::from(ROW_MAX) * dim.max(1) as i64);
    room.min(i64::from(i16::MAX)) as i32
}

/// The dot product of each row with the query.
///
/// - `rows`: `[n, dim]`, two's complement bytes within ±[`ROW_MAX`]
/// - `query`: `[dim]`, within ±[`query_max`]
/// - `out`: `[n]`
pub(super) fn dots(rows: &[u8], query: &[i16], out: &mut [i32]) {
    debug_assert_eq!(rows.len(), query.len() * out.len(), "one sum a row");
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(simd) = pulp::x86::V4::try_new() {
            return simd.vectorize(x86::Wide512 {
                simd,
                rows,
                query,
                out,
            });
        }
        if let Some(simd) = pulp::x86::V3::try_new() {
            return simd.vectorize(x86::Wide256 {
                simd,
                rows,
                query,
                out,
            });
        }
    }
    portable(rows, query, out);
}

fn portable(rows: &[u8], query: &[i16], out: &mut [i32]) {
    for (row, sum) in rows.chunks_exact(query.len()).zip(out) {
        *sum = dot(row, query);
    }
}

#[inline(always)]
fn dot(row: &[u8], query: &[i16]) -> i32 {
    const LANES: usize = 16;
    let mut sums = [0i32; LANES];
    let (row_lanes, row_rest) = row.as_chunks::<LANES>();
    let (query_lanes, query_rest) = query.as_chunks::<LANES>();
    for (x, y) in row_lanes.iter().zip(query_lanes) {
        for lane in 0..LANES {
            sums[lane] += i32::from(x[lane] as i8) * i32::from(y[lane]);
        }
    }
    sums.iter().sum::<i32>() + dot_rest(row_rest, query_rest)
}

/// The numbers that fill no register.
#[inline(always)]
fn dot_rest(row: &[u8], query: &[i16]) -> i32 {
    let products = row
        .iter()
        .zip(query)
        .map(|(&x, &y)| i32::from(x as i8) * i32::from(y));
    products.sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::{__m256i, __m512i};

    use pulp::x86::{V3, V4};
    use pulp::{NullaryFnOnce, cast};

    use super::dot_rest;

    /// AVX-512: 32 products an instruction.
    pub(super) struct Wide512<'a> {
        pub simd: V4,
        pub rows: &'a [u8],
        pub query: &'a [i16],
        pub out: &'a mut [i32],
    }

    impl NullaryFnOnce for Wide512<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let (f, bw) = (self.simd.avx512f, self.simd.avx512bw);
            let (query, query_rest) = self.query.as_chunks::<32>();
            for (row, out) in self.rows.chunks_exact(self.query.len()).zip(self.out) {
                let (row, row_rest) = row.as_chunks::<32>();
                let mut sums = f._mm512_setzero_si512();
                for (x, y) in row.iter().zip(query) {
                    let x: __m512i = bw._mm512_cvtepi8_epi16(cast(*x));
                    let pairs = bw._mm512_madd_epi16(x, cast(*y));
                    sums = f._mm512_add_epi32(sums, pairs);
                }
                *out = f._mm512_reduce_add_epi32(sums) + dot_rest(row_rest, query_rest);
            }
        }
    }

    /// AVX2: 16 products an instruction.
    pub(super) struct Wide256<'a> {
        pub simd: V3,
        pub rows: &'a [u8],
        pub query: &'a [i16],
        pub out: &'a mut [i32],
    }

    impl NullaryFnOnce for Wide256<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let avx2 = self.simd.avx2;
            let (query, query_rest) = self.query.as_chunks::<16>();
            for (row, out) in self.rows.chunks_exact(self.query.len()).zip(self.out) {
                let (row, row_rest) = row.as_chunks::<16>();
                let mut sums = self.simd.avx._mm256_setzero_si256();
                for (x, y) in row.iter().zip(query) {
                    let x: __m256i = avx2._mm256_cvtepi8_epi16(cast(*x));
                    let pairs = avx2._mm256_madd_epi16(x, cast(*y));
                    sums = avx2._mm256_add_epi32(sums, pairs);
                }
                let lanes: [i32; 8] = cast(sums);
                *out = lanes.iter().sum::<i32>() + dot_rest(row_rest, query_rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Straight from the definition, in 64 bits.
    fn plainly(rows: &[u8], query: &[i16]) -> Vec<i64> {
        let row = |row: &[u8]| {
            let products = row.iter().zip(query);
            products
                .map(|(&x, &y)| i64::from(x as i8) * i64::from(y))
                .sum()
        };
        rows.chunks_exact(query.len()).map(row).collect()
    }

    fn check(rows: &[u8], query: &[i16]) {
        let n = rows.len() / query.len();
        let wanted = plainly(rows, query);
        let run = |name: &str, of: &mut dyn FnMut(&mut [i32])| {
            let mut out = vec![0; n];
            of(&mut out);
            let found: Vec<i64> = out.into_iter().map(i64::from).collect();
            assert_eq!(found, wanted, "{name}, {} numbers", query.len());
        };
        run("chosen", &mut |out| dots(rows, query, out));
        run("portable", &mut |out| portable(rows, query, out));
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            run("AVX2", &mut |out| {
                simd.vectorize(x86::Wide256 {
                    simd,
                    rows,
                    query,
                    out,
                });
            });
        }
    }

    #[test]
    fn every_path_gives_the_sums_of_the_definition() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for dim in [1, 15, 16, 17, 31, 32, 33, 63, 100, 512, 768] {
            let max = query_max(dim) as i16;
            let rows: Vec<u8> = (0..7 * dim)
                .map(|_| random.random_range(-127i8..=127) as u8)
                .collect();
            let query: Vec<i16> = (0..dim).map(|_| random.random_range(-max..=max)).collect();
            check(&rows, &query);
        }
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        for dim in [1, 512, 516, 1024, 4096, 16_384] {
            let max = query_max(dim) as i16;
            check(&vec![127; dim], &vec![max; dim]);
            check(&vec![-127i8 as u8; dim], &vec![max; dim]);
            check(&vec![-127i8 as u8; dim], &vec![-max; dim]);
        }
    }
}
