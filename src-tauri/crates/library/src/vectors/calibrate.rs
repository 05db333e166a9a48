//! How many lists an approximate search has to read, measured on the index itself.

use rand::SeedableRng as _;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;

use super::index::PartitionedIndex;
use super::rows::Probe;
use super::{VectorIndex as _, Watch};
use crate::error::Result;

/// Vectors of the index that are looked for as if they were new.
const QUERIES: usize = 128;
/// Neighbours of each.
const NEIGHBOURS: usize = 10;
/// Share of the true neighbours that must lie in the lists that are read. More than is promised (0.98),
/// because vectors that the lists were made from are found more easily than new ones.
const WANTED: f64 = 0.995;

impl PartitionedIndex {
    /// The least number of lists with which a search finds [`WANTED`] of the true neighbours, on average
    /// over some of the index's own vectors, each left out of its own search.
    ///
    /// Nothing if there are no lists or the watch says stop.
    pub(super) fn enough_probes(&self, seed: u64, watch: &mut Watch<'_>) -> Result<Option<usize>> {
        let Some(lists) = &self.lists else {
            return Ok(None);
        };
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x5eed);
        let queries = sample(&mut random, self.rows.len(), QUERIES.min(self.rows.len()));
        let list_of = |row: usize| {
            lists
                .offsets
                .partition_point(|&begin| begin as usize <= row)
                - 1
        };
        let mut needed = Vec::new();
        for (done, row) in queries.iter().enumerate() {
            if watch.stopped() {
                return Ok(None);
            }
            watch.at("measuring recall", done, queries.len());
            let probe = Probe::new(&self.rows.vector(row)?, self.dim())?;
            let own = self.rows.ids[row];
            let near = self.nearest(&probe, NEIGHBOURS, self.everything(), &|id| id != own)?;
            let order = Self::lists_by_distance(lists, &probe);
            let mut rank = vec![0; order.len()];
            for (place, &list) in order.iter().enumerate() {
                rank[list as usize] = place + 1;
            }
            needed.extend(near.iter().map(|found| rank[list_of(found.row as usize)]));
        }
        Ok(quantile(needed, WANTED))
    }
}

/// The least of the values that is not exceeded by `share` of them.
fn quantile(mut values: Vec<usize>, share: f64) -> Option<usize> {
    values.sort_unstable();
    let place = (share * values.len() as f64).ceil() as usize;
    values.get(place.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn a_quantile_covers_its_share() {
        let values: Vec<usize> = (1..=200).rev().collect();
        assert_eq!(quantile(values.clone(), 0.99), Some(198));
        assert_eq!(quantile(values, 1.0), Some(200));
        assert_eq!(quantile(vec![7], 0.5), Some(7));
        assert_eq!(quantile(vec![], 0.5), None);
    }
}
