//! Synthetic embeddings: unit vectors in clusters that overlap, the same for the same seed.
//!
//! A vector is its cluster's centre, plus a step along 16 of 256 shared directions, plus a little noise in all
//! directions. Clusters differ in size. Within one, cosines lie around 0.55 and those of the ten nearest of a
//! million around 0.8, so that neighbours are neither copies nor chance.

use rand::{RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Directions that clusters share, how many a cluster uses, and how far they reach.
const DIRECTIONS: usize = 256;
const OWN: usize = 16;
const REACH: f32 = 0.8;
/// Length of the noise; the centre has length 1.
const NOISE: f32 = 0.4;
/// Vectors that are made at a time, on all threads.
const BATCH: u64 = 4096;
/// Queries are numbered from here, so that none is a vector of the library.
const QUERIES: u64 = 1 << 40;

/// Where synthetic vectors come from.
pub struct Cloud {
    dim: usize,
    seed: u64,
    centres: Vec<Vec<f32>>,
    directions: Vec<Vec<f32>>,
}

impl Cloud {
    /// `clusters` clusters of vectors with `dim` numbers.
    pub fn new(dim: usize, clusters: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut units = |n: usize| (0..n).map(|_| unit(normals(dim, &mut random))).collect();
        Self {
            dim,
            seed,
            centres: units(clusters.max(1)),
            directions: units(DIRECTIONS),
        }
    }

    /// The vectors numbered from 0 on, in batches.
    pub fn vectors(&self, count: u64) -> impl Iterator<Item = Vec<(u64, Vec<f32>)>> {
        (0..count).step_by(BATCH as usize).map(move |begin| {
            let batch = begin..count.min(begin + BATCH);
            batch.into_par_iter().map(|i| (i, self.vector(i))).collect()
        })
    }

    /// Vectors of the same kind that are not in the library.
    pub fn queries(&self, count: usize) -> Vec<Vec<f32>> {
        let numbers = QUERIES..QUERIES + count as u64;
        numbers.into_par_iter().map(|i| self.vector(i)).collect()
    }

    fn vector(&self, number: u64) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ 0xc10d);
        random.set_stream(number);
        // The square makes the first clusters larger than the last.
        let place = (random.next_u32() as f64 / 2f64.powi(32)).powi(2);
        let cluster = (place * self.centres.len() as f64) as usize;
        let noise = NOISE / (self.dim as f32).sqrt();
        let mut vector = normals(self.dim, &mut random);
        for (x, centre) in vector.iter_mut().zip(&self.centres[cluster]) {
            *x = centre + noise * *x;
        }
        let reach = REACH / (OWN as f32).sqrt();
        for (i, step) in normals(OWN, &mut random).into_iter().enumerate() {
            let direction = &self.directions[(cluster * 31 + i * 17) % DIRECTIONS];
            for (x, d) in vector.iter_mut().zip(direction) {
                *x += reach * step * d;
            }
        }
        unit(vector)
    }
}

/// Nearly normal numbers: sums of four uniform ones (Irwin and Hall), mean 0, standard deviation 1.
fn normals(n: usize, random: &mut ChaCha8Rng) -> Vec<f32> {
    let deviation = (65_536f32 * 65_536.0 / 3.0).sqrt();
    let mut normal = || {
        let bits = random.next_u64();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
        (sum as f32 - 131_070.0) / deviation
    };
    (0..n).map(|_| normal()).collect()
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_unit_vectors_in_clusters() {
        let cloud = Cloud::new(64, 3, 5);
        let vectors: Vec<Vec<f32>> = cloud.vectors(300).flatten().map(|(_, v)| v).collect();
        assert_eq!(
            vectors[..7],
            Cloud::new(64, 3, 5)
                .vectors(7)
                .flatten()
                .map(|(_, v)| v)
                .collect::<Vec<_>>()
        );
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        assert!(
            vectors.iter().all(|v| (dot(v, v) - 1.0).abs() < 1e-5),
            "unit length"
        );
        let others = vectors[1..].iter().map(|v| dot(&vectors[0], v));
        let (near, far): (Vec<f32>, Vec<f32>) = others.partition(|c| *c > 0.35);
        assert!(
            near.len() > 30 && far.len() > 30,
            "{} near, {} far",
            near.len(),
            far.len()
        );
        let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
        assert!(
            mean(&near) > 0.45 && mean(&far) < 0.2,
            "{} {}",
            mean(&near),
            mean(&far)
        );
        assert!(
            !vectors.contains(&cloud.queries(1)[0]),
            "a query is none of them"
        );
    }

    #[test]
    fn nearly_normal_numbers_have_mean_0_and_deviation_1() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let numbers = normals(40_000, &mut random);
        let mean = numbers.iter().sum::<f32>() / 40_000.0;
        let variance = numbers.iter().map(|x| x * x).sum::<f32>() / 40_000.0;
        assert!(
            mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03,
            "{mean} {variance}"
        );
    }
}
