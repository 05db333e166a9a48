//! Stratified division of whole patients.

use std::collections::{BTreeMap, HashMap};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::Fingerprint;
use crate::{Result, TrainError};

/// What a split must know of a case.
#[derive(Clone, Debug)]
pub struct Member {
    /// The patient, or `None` where it is not known and the image stands for itself.
    pub patient: Option<String>,
    /// The image.
    pub fingerprint: Fingerprint,
}

/// Numbers the sets of cases that must stay together: one patient, or images that are duplicates of each other.
///
/// - returns the group of each case, numbered from 0 in order of first appearance
pub fn join_duplicates(members: &[Member]) -> Vec<u64> {
    let mut parent: Vec<usize> = (0..members.len()).collect();
    let mut by_patient: HashMap<&str, usize> = HashMap::new();
    let mut by_image: HashMap<&str, usize> = HashMap::new();
    for (i, member) in members.iter().enumerate() {
        if let Some(patient) = &member.patient {
            let first = *by_patient.entry(patient).or_insert(i);
            unite(&mut parent, first, i);
        }
        let first = *by_image.entry(&member.fingerprint.exact).or_insert(i);
        unite(&mut parent, first, i);
        for (j, other) in members[..i].iter().enumerate() {
            if member.fingerprint.is_near(&other.fingerprint) {
                unite(&mut parent, j, i);
            }
        }
    }
    let mut numbers: HashMap<usize, u64> = HashMap::new();
    (0..members.len())
        .map(|i| {
            let root = root(&mut parent, i);
            let next = numbers.len() as u64;
            *numbers.entry(root).or_insert(next)
        })
        .collect()
}

fn root(parent: &mut [usize], mut i: usize) -> usize {
    while parent[i] != i {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    i
}

fn unite(parent: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parent, a), root(parent, b));
    parent[a.max(b)] = a.min(b);
}

/// Divides whole groups among parts so that every part gets its share of every label.
///
/// - `groups`: the group of each case, `[n]`
/// - `labels`: the labels of each case, `[n]`, any number each
/// - `shares`: of each part, positive, summing to one
/// - returns the part of each case, `[n]`; it follows from the arguments alone
///
/// The largest groups are placed first, each where it brings the label counts of all parts closest to their shares; groups of one
/// size in random order. Errors if shares do not sum to one or there are fewer groups than parts.
/// Source: Sechidis, Tsoumakas and Vlahavas 2011, carried over to groups.
pub fn stratified_parts(
    groups: &[u64],
    labels: &[Vec<usize>],
    shares: &[f64],
    seed: u64,
) -> Result<Vec<usize>> {
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() > 1e-9 || shares.iter().any(|s| *s <= 0.0) || groups.len() != labels.len()
    {
        return Err(TrainError::Plan(format!(
            "parts of a split want positive shares that sum to one, got {shares:?}"
        )));
    }
    let mut members: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, group) in groups.iter().enumerate() {
        members.entry(*group).or_default().push(index);
    }
    if members.len() < shares.len() {
        return Err(TrainError::Data(format!(
            "{} patients cannot be divided into {} parts; add cases of other patients",
            members.len(),
            shares.len()
        )));
    }
    let classes = labels.iter().flatten().max().map_or(0, |c| c + 1);
    // Column 0 counts cases, so that parts also get their share of cases without any label.
    let count = |of: &[usize]| -> Vec<f64> {
        let mut row = vec![0.0; classes + 1];
        for i in of {
            row[0] += 1.0;
            for label in &labels[*i] {
                row[label + 1] += 1.0;
            }
        }
        row
    };
    let everything: Vec<usize> = (0..groups.len()).collect();
    let totals = count(&everything);
    let mut order: Vec<(u64, Vec<f64>)> = members
        .iter()
        .map(|(group, of)| (*group, count(of)))
        .collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order.sort_by(|a, b| b.1[0].total_cmp(&a.1[0])); // stable: the shuffle decides within a size
    let mut filled = vec![vec![0.0; classes + 1]; shares.len()];
    let mut taken = vec![0usize; shares.len()];
    let mut part_of: HashMap<u64, usize> = HashMap::new();
    for (placed, (group, counts)) in order.iter().enumerate() {
        // The last groups go to parts that are still empty.
        let empty = taken.iter().filter(|t| **t == 0).count();
        let only_empty = order.len() - placed <= empty;
        let gain = |part: usize| -> f64 {
            (0..counts.len())
                .filter(|l| totals[*l] > 0.0)
                .map(|l| {
                    let wanted = shares[part] * totals[l];
                    let before = filled[part][l] - wanted;
                    let after = before + counts[l];
                    (after * after - before * before) / (totals[l] * totals[l] * shares[part])
                })
                .sum()
        };
        let best = (0..shares.len())
            .filter(|part| !only_empty || taken[*part] == 0)
            .min_by(|a, b| gain(*a).total_cmp(&gain(*b)))
            .unwrap_or(0);
        for (sum, n) in filled[best].iter_mut().zip(counts) {
            *sum += n;
        }
        taken[best] += 1;
        part_of.insert(*group, best);
    }
    Ok(groups.iter().map(|g| part_of[g]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(patient: Option<&str>, exact: &str, gradient: [u64; 4]) -> Member {
        Member {
            patient: patient.map(str::to_string),
            fingerprint: Fingerprint {
                exact: exact.to_string(),
                gradient,
            },
        }
    }

    #[test]
    fn one_patient_and_duplicates_of_others_form_one_group() {
        let far = [
            [0x0f0f; 4],
            [0xf0f0; 4],
            [0xffff_0000; 4],
            [0xaaaa << 40; 4],
        ];
        let mut near = far[2];
        near[0] ^= 0b1011;
        let members = [
            member(Some("p"), "a", far[0]),
            member(Some("q"), "b", far[1]),
            member(Some("p"), "c", far[2]),
            member(None, "b", far[1]),
            member(None, "d", near),
            member(None, "e", far[3]),
        ];
        let near_needs_structure = members[2].fingerprint.is_near(&members[4].fingerprint);
        assert!(near_needs_structure, "the test's pictures have structure");
        assert_eq!(join_duplicates(&members), [0, 1, 0, 1, 0, 2]);
    }

    #[test]
    fn parts_keep_patients_whole_and_get_their_share_of_a_rare_label() {
        let groups: Vec<u64> = (0..300).map(|i| i / 3).collect();
        let labels: Vec<Vec<usize>> = (0..300)
            .map(|i| vec![usize::from(i / 3 % 10 == 0)])
            .collect();
        let shares = [0.6, 0.2, 0.2];
        let parts = stratified_parts(&groups, &labels, &shares, 3).unwrap();
        for (i, j) in (0..300).flat_map(|i| (0..300).map(move |j| (i, j))) {
            assert!(groups[i] != groups[j] || parts[i] == parts[j]);
        }
        for (part, share) in shares.iter().enumerate() {
            let n = parts.iter().filter(|p| **p == part).count() as f64;
            let rare = (0..300)
                .filter(|i| parts[*i] == part && labels[*i] == [1])
                .count() as f64;
            assert!((n / 300.0 - share).abs() < 0.02, "part {part} has {n}");
            assert!(
                (rare / 30.0 - share).abs() < 0.11,
                "part {part} has {rare} rare ones"
            );
        }
        assert_eq!(
            parts,
            stratified_parts(&groups, &labels, &shares, 3).unwrap()
        );
        assert_ne!(
            parts,
            stratified_parts(&groups, &labels, &shares, 4).unwrap()
        );
    }

    #[test]
    fn every_part_gets_somebody_or_the_split_is_refused() {
        let labels = vec![vec![0]; 4];
        let parts = stratified_parts(&[0, 0, 0, 1], &labels, &[0.5, 0.5], 1).unwrap();
        assert_eq!(parts[0], parts[2]);
        assert_ne!(parts[0], parts[3]);
        assert!(stratified_parts(&[7, 7, 7, 7], &labels, &[0.5, 0.5], 1).is_err());
        assert!(stratified_parts(&[1, 2, 3, 4], &labels, &[0.5, 0.1], 1).is_err());
    }
}
