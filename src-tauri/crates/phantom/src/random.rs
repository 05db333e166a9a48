//! Seeded random streams: one seed, one independent stream a purpose.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream is for; two purposes never share numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Patient = 1,
    Findings = 2,
    Anatomy = 3,
    Vessels = 4,
    Acquisition = 5,
    Texture = 7,
    Words = 8,
    Lesion = 9,
    Identity = 10,
    Placement = 11,
}

/// The stream of `seed` for one purpose.
pub(crate) fn stream(seed: u64, purpose: Purpose) -> ChaCha8Rng {
    stream_at(seed, purpose, 0)
}

/// The stream of `seed` for one purpose and one index (a view, a lesion, a slice).
pub(crate) fn stream_at(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(mix(seed ^ mix((purpose as u64) << 32 | (index + 1))))
}

/// A well-stirred 64-bit hash. Source: the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number in `[low, high)`.
pub(crate) fn between(rng: &mut impl Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * rng.random::<f32>()
}

/// True with probability `p`.
pub(crate) fn chance(rng: &mut impl Rng, p: f32) -> bool {
    rng.random::<f32>() < p
}

/// One of the options.
pub(crate) fn pick<'a, T: ?Sized>(rng: &mut impl Rng, options: &[&'a T]) -> &'a T {
    options[rng.random_range(0..options.len())]
}

/// A standard normal number from the bits of a counter: fast, for pixel noise only.
pub(crate) fn counter_normal(key: u64, index: u64) -> f32 {
    let bits = mix(key ^ index.wrapping_mul(0xD1B5_4A32_D192_ED03));
    let mut sum = 0.0;
    for part in 0..4 {
        sum += ((bits >> (16 * part)) & 0xFFFF) as f32;
    }
    (sum / 65535.0 - 2.0) * 1.732
}
