//! Splits that keep a patient, or an image, on one side.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Indices of a training and a held-out part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// For fitting.
    pub train: Vec<usize>,
    /// For validation.
    pub held_out: Vec<usize>,
}

/// Puts whole groups aside until at least `fraction` of the samples are held out.
///
/// - `groups`: the group of each sample
pub fn grouped_split(groups: &[u64], fraction: f64, seed: u64) -> Split {
    let mut members: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, group) in groups.iter().enumerate() {
        members.entry(*group).or_default().push(index);
    }
    let mut order: Vec<u64> = members.keys().copied().collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let wanted = (groups.len() as f64 * fraction).round() as usize;
    let mut split = Split {
        train: Vec::new(),
        held_out: Vec::new(),
    };
    for group in order {
        let side = if split.held_out.len() < wanted {
            &mut split.held_out
        } else {
            &mut split.train
        };
        side.extend(&members[&group]);
    }
    split.train.sort_unstable();
    split.held_out.sort_unstable();
    split
}

/// A stable number for a group's name, such as an image's file name (FNV-1a).
pub fn group_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_group_is_on_both_sides_and_the_seed_decides() {
        let groups: Vec<u64> = (0..100).map(|i| i / 4).collect();
        let split = grouped_split(&groups, 0.2, 1);
        assert_eq!(split.held_out.len(), 20);
        assert_eq!(split.train.len(), 80);
        for i in &split.held_out {
            assert!(split.train.iter().all(|j| groups[*j] != groups[*i]));
        }
        assert_eq!(split, grouped_split(&groups, 0.2, 1));
        assert_ne!(split, grouped_split(&groups, 0.2, 2));
    }
}
