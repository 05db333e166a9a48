//! Which samples a step sees: a fixed share of each source, every source shuffled anew each time it is used up.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Result, TrainError};

/// One source of a mixture.
#[derive(Clone, Debug)]
pub struct Part {
    /// Indices into the data set; those of one unit always go together and are seen through the same random view, such as
    /// a study with and without its finding.
    pub units: Vec<Vec<usize>>,
    /// How many units of each batch come from here.
    pub per_batch: usize,
}

impl Part {
    /// A source of samples that stand alone.
    pub fn single(indices: impl IntoIterator<Item = usize>, per_batch: usize) -> Self {
        Self {
            units: indices.into_iter().map(|i| vec![i]).collect(),
            per_batch,
        }
    }
}

/// A deterministic order of samples: the batch of a step follows from the seed and the step alone, so a run that is taken up
/// again sees what an uninterrupted one would have seen.
pub struct Mixture {
    seed: u64,
    parts: Vec<Part>,
    orders: Vec<Option<(u64, Vec<usize>)>>, // the shuffle in use of each part, by its round
}

impl Mixture {
    /// A mixture of parts.
    ///
    /// Errors if a part that should give samples has none.
    pub fn new(seed: u64, parts: Vec<Part>) -> Result<Self> {
        if parts.iter().any(|p| p.per_batch > 0 && p.units.is_empty()) {
            return Err(TrainError::Plan(
                "a part of the mixture has no samples".into(),
            ));
        }
        let orders = vec![None; parts.len()];
        Ok(Self {
            seed,
            parts,
            orders,
        })
    }

    /// Units a batch holds.
    pub fn batch_size(&self) -> usize {
        self.parts.iter().map(|p| p.per_batch).sum()
    }

    /// The units of one step, counted from 0.
    pub fn batch(&mut self, step: u64) -> Vec<Vec<usize>> {
        let mut out = Vec::with_capacity(self.batch_size());
        for p in 0..self.parts.len() {
            let n = self.parts[p].units.len() as u64;
            let per = self.parts[p].per_batch as u64;
            for k in step * per..(step + 1) * per {
                let round = k / n;
                let unit = self.order(p, round)[(k % n) as usize];
                out.push(self.parts[p].units[unit].clone());
            }
        }
        out
    }

    fn order(&mut self, part: usize, round: u64) -> &[usize] {
        let (_, order) = match self.orders[part].take() {
            Some(kept) if kept.0 == round => self.orders[part].insert(kept),
            _ => {
                let mut order: Vec<usize> = (0..self.parts[part].units.len()).collect();
                order.shuffle(&mut rng_for(self.seed, round, part as u64 + 1));
                self.orders[part].insert((round, order))
            }
        };
        order
    }
}

/// A generator of its own for every (seed, step, slot).
pub(crate) fn rng_for(seed: u64, step: u64, slot: u64) -> ChaCha8Rng {
    let mut key = ChaCha8Rng::seed_from_u64(seed);
    key.set_stream(slot);
    key.set_word_pos(u128::from(step) * 16);
    ChaCha8Rng::seed_from_u64(key.random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_uses_every_unit_once_and_any_step_can_be_asked_for() {
        let parts = vec![
            Part::single(0..10, 4),
            Part {
                units: vec![vec![100, 101], vec![102, 103], vec![104, 105]],
                per_batch: 1,
            },
        ];
        let mut mixture = Mixture::new(7, parts.clone()).unwrap();
        let mut first: Vec<usize> = (0..5)
            .flat_map(|s| mixture.batch(s)[..4].concat())
            .collect();
        first.truncate(10);
        first.sort_unstable();
        assert_eq!(first, (0..10).collect::<Vec<_>>());
        let third = mixture.batch(3);
        assert_eq!(third[4].len(), 2, "a pair stays together");
        let mut fresh = Mixture::new(7, parts).unwrap();
        assert_eq!(
            fresh.batch(3),
            third,
            "a batch depends on seed and step alone"
        );
    }
}
