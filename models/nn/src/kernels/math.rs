//! Elementary functions in plain arithmetic, so that loops over them become vector instructions.
//!
//! Each is within 2e-7 of the exact value, relative where it says so.

/// How `a · b + c` is computed.
pub(crate) trait Arithmetic {
    fn mul_add(a: f32, b: f32, c: f32) -> f32;
}

/// One instruction and one rounding; only for code that is compiled for machines with it, for elsewhere it is a call.
pub(crate) struct Fused;

/// A product and a sum.
pub(crate) struct Split;

impl Arithmetic for Fused {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl Arithmetic for Split {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

/// A polynomial by Horner's rule, the highest power's coefficient first; no loop, so that loops over it become vector instructions.
macro_rules! polynomial {
    ($kind:ident, $x:expr; $sum:expr) => { $sum };
    ($kind:ident, $x:expr; $sum:expr, $next:expr $(, $rest:expr)*) => {
        polynomial!($kind, $x; $kind::mul_add($sum, $x, $next) $(, $rest)*)
    };
}

/// `eˣ`, relative error below 2e-7; zero below −86.9, infinite above 88.7.
///
/// `x = n ln 2 + r` with the rounding to `n` done by adding 1.5·2²³, whose low bits then are `n`.
#[inline(always)]
pub(crate) fn exp<A: Arithmetic>(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    let clamped = if x > 88.722_83 { 88.722_83 } else { x };
    let t = A::mul_add(clamped, std::f32::consts::LOG2_E, SHIFT);
    let n = t - SHIFT;
    // ln 2 in two parts; the first has few bits, so that its product with `n` is exact.
    let r = A::mul_add(n, -0.693_359_4, clamped);
    let r = A::mul_add(n, 2.121_944_4e-4, r);
    let p = polynomial!(A, r; 1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5);
    let p = A::mul_add(p, r * r, r) + 1.0;
    // 2ⁿ in two factors: n = 128 alone has no exponent.
    let half = f32::from_bits((t.to_bits() << 23).wrapping_add(126 << 23));
    let y = p * half * 2.0;
    let y = if x < -86.9 { 0.0 } else { y };
    if x > 88.722_83 { f32::INFINITY } else { y }
}

/// `1 / (1 + e⁻ˣ)`.
#[inline(always)]
pub(crate) fn sigmoid<A: Arithmetic>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<A>(-x))
}

/// `tanh x`, relative error below 3e-7: near zero the continued fraction `x / (1 + x²/(3 + x²/(5 + x²/(7 + …))))`, where the
/// exponential form would lose digits.
#[inline(always)]
pub(crate) fn tanh<A: Arithmetic>(x: f32) -> f32 {
    let u = x * x;
    let small = x * (945.0 + u * (105.0 + u)) / (945.0 + u * (420.0 + u * 15.0));
    let size = x.abs();
    let e = exp::<A>(-2.0 * size);
    let large = ((1.0 - e) / (1.0 + e)).copysign(x);
    if size < 0.6 { small } else { large }
}

/// `(erf z, e^(−z²))`, the first with absolute error below 1.5e-7.
///
/// Chebyshev fits made for this crate: an odd polynomial up to 1; beyond, a polynomial in `1 / (1 + z/2)` times `e^(−z²)`.
#[inline(always)]
pub(crate) fn erf_and_bell<A: Arithmetic>(z: f32) -> (f32, f32) {
    let u = z * z;
    let bell = exp::<A>(-u);
    let s = polynomial!(A, u; 7.882_497e-5, -8.018_855e-4, 5.189_312e-3, -2.685_432_9e-2, 1.128_359_7e-1, -3.761_262_6e-1, std::f32::consts::FRAC_2_SQRT_PI);
    let small = s * z;
    let size = z.abs();
    let t = 1.0 / A::mul_add(0.5, size, 1.0);
    let c = polynomial!(A, t; -6.004_847e-2, -3.741_441e-2, 3.786_779e-1, 1.180_357_3e-1, 3.246_236e-1, 2.748_337_7e-1, 5.085_096e-4);
    let large = (1.0 - c * bell).copysign(z);
    (if size < 1.0 { small } else { large }, bell)
}

const LANES: usize = 16;

#[inline(always)]
fn total(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Sum of `f` over a slice, in sixteen partial sums.
#[inline(always)]
pub(crate) fn sum1(a: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (head, tail) = a.as_chunks::<LANES>();
    for a in head {
        for i in 0..LANES {
            lanes[i] += f(a[i]);
        }
    }
    for (lane, &a) in lanes.iter_mut().zip(tail) {
        *lane += f(a);
    }
    total(lanes)
}

/// Sum of `f` over two slices of one length.
#[inline(always)]
pub(crate) fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] += f(a[i], b[i]);
        }
    }
    for (lane, (&a, &b)) in lanes.iter_mut().zip(a_tail.iter().zip(b_tail)) {
        *lane += f(a, b);
    }
    total(lanes)
}

/// Two sums over two slices of one length in one pass.
#[inline(always)]
pub(crate) fn pair_of_sums(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> (f32, f32)) -> (f32, f32) {
    let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            let (u, v) = f(a[i], b[i]);
            first[i] += u;
            second[i] += v;
        }
    }
    for (i, (&a, &b)) in a_tail.iter().zip(b_tail).enumerate() {
        let (u, v) = f(a, b);
        first[i] += u;
        second[i] += v;
    }
    (total(first), total(second))
}

/// The largest element; minus infinity for none.
#[inline(always)]
pub(crate) fn max(a: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (head, tail) = a.as_chunks::<LANES>();
    for a in head {
        for i in 0..LANES {
            lanes[i] = if a[i] > lanes[i] { a[i] } else { lanes[i] };
        }
    }
    for (lane, &a) in lanes.iter_mut().zip(tail) {
        *lane = if a > *lane { a } else { *lane };
    }
    lanes
        .iter()
        .fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m })
}
