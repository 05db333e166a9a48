//! Whom a learning curve learns from, and how much of them.

use std::collections::BTreeSet;

use lucency_train::cohort::stratified_parts;
use lucency_train::finetune::LabelTable;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::cases::Cases;
use super::divide::{Sides, of_part};
use crate::error::Result;

/// Shares of patients to learn from and to judge on.
const SHARES: [f64; 2] = [0.6, 0.4];

/// How many labelled cases of each class are learned from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// So many; fewer where a class has not so many.
    Shots(usize),
    /// So many in a hundred of what there are, at least one.
    Percent(f64),
}

impl Amount {
    /// Of a class of `all` cases.
    fn of(self, all: usize) -> usize {
        match self {
            Self::Shots(n) => n.min(all),
            Self::Percent(share) => {
                ((share / 100.0 * all as f64).round() as usize).clamp(1, all.max(1))
            }
        }
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shots(n) => write!(f, "{n}"),
            Self::Percent(share) => write!(f, "{share} %"),
        }
    }
}

/// Rows to learn from and rows to judge.
pub(super) struct Division {
    pub pool: Vec<usize>,
    pub judged: Vec<usize>,
}

/// Every case is judged once, by what was learned from the other folds' patients.
pub(super) fn folds(
    groups: &[u64],
    table: &LabelTable,
    count: usize,
    seed: u64,
) -> Result<Vec<Division>> {
    let (known, own, labels) = with_label(groups, table);
    folds_of(&known, &own, &labels, count, seed)
}

/// Folds of whole patients.
///
/// - `known`: rows that take part; `own`, `labels`: their patients and their strata
pub(super) fn folds_of(
    known: &[usize],
    own: &[u64],
    labels: &[Vec<usize>],
    count: usize,
    seed: u64,
) -> Result<Vec<Division>> {
    let parts = stratified_parts(own, labels, &vec![1.0 / count as f64; count], seed)?;
    Ok((0..count)
        .map(|fold| Division {
            pool: of_part(known, &parts, |part| part != fold),
            judged: of_part(known, &parts, |part| part == fold),
        })
        .collect())
}

/// Rows with a label, their groups, and their labels for stratification.
fn with_label(groups: &[u64], table: &LabelTable) -> (Vec<usize>, Vec<u64>, Vec<Vec<usize>>) {
    let known: Vec<usize> = (0..groups.len())
        .filter(|i| !table.labels.strata(*i).is_empty())
        .collect();
    let own = known.iter().map(|i| groups[*i]).collect();
    let labels = known.iter().map(|i| table.labels.strata(*i)).collect();
    (known, own, labels)
}

/// The table's own division, or three fifths of the patients to learn from and two to judge.
pub(super) fn sides(
    cases: &Cases,
    groups: &[u64],
    table: &LabelTable,
    seed: u64,
) -> Result<Division> {
    let (known, own, labels) = with_label(groups, table);
    if cases.parts.is_some() {
        let strata: Vec<Vec<usize>> = (0..groups.len()).map(|i| table.labels.strata(i)).collect();
        let sides = Sides::of(cases, groups, &known, &strata, 0, seed)?;
        if !sides.test.is_empty() {
            return Ok(Division {
                pool: [sides.train, sides.validation].concat(),
                judged: sides.test,
            });
        }
    }
    let parts = stratified_parts(&own, &labels, &SHARES, seed)?;
    Ok(Division {
        pool: of_part(&known, &parts, |part| part == 0),
        judged: of_part(&known, &parts, |part| part == 1),
    })
}

/// So many cases of each class, of different patients first.
pub(super) fn few(
    of: &[Option<usize>],
    groups: &[u64],
    pool: &[usize],
    amount: Amount,
    seed: u64,
) -> Vec<usize> {
    let mut order = pool.to_vec();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let classes: BTreeSet<usize> = of.iter().flatten().copied().collect();
    let mut rows = Vec::new();
    for class in classes {
        let mut seen = BTreeSet::new();
        let own = order.iter().filter(|i| of[**i] == Some(class));
        let (first, again): (Vec<usize>, Vec<usize>) =
            own.copied().partition(|i| seen.insert(groups[*i]));
        let own: Vec<usize> = first.into_iter().chain(again).collect();
        rows.extend(own.iter().take(amount.of(own.len())));
    }
    rows.sort_unstable();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_labels_are_of_different_patients_first_and_grow_by_addition() {
        let of: Vec<Option<usize>> = (0..40).map(|i| Some(i % 2)).collect();
        let groups: Vec<u64> = (0..40).map(|i| i / 4).collect();
        let pool: Vec<usize> = (0..36).collect();
        let five = few(&of, &groups, &pool, Amount::Shots(5), 3);
        assert_eq!(five.len(), 10);
        let patients: BTreeSet<u64> = five
            .iter()
            .filter(|i| *i % 2 == 0)
            .map(|i| groups[*i])
            .collect();
        assert_eq!(patients.len(), 5, "five of one class are five patients");
        let nine = few(&of, &groups, &pool, Amount::Shots(9), 3);
        assert!(
            five.iter().all(|i| nine.contains(i)),
            "more labels hold the fewer"
        );
        assert_eq!(few(&of, &groups, &pool, Amount::Shots(99), 3).len(), 36);
        let part = |percent| few(&of, &groups, &pool, Amount::Percent(percent), 3).len();
        assert_eq!([part(1.0), part(50.0), part(100.0)], [2, 18, 36]);
    }
}
