//! The vector index against plain searches.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use lucency_library::LibraryError;
use lucency_library::vectors::{
    APPROXIMATE_FROM, Effort, Neighbour, PartitionedIndex, VectorIndex, Watch,
};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const DIM: usize = 24;

/// Vectors around some directions, so that near neighbours exist.
fn clustered(n: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = ChaCha8Rng::seed_from_u64(99);
    let normal = |random: &mut ChaCha8Rng| {
        (0..6)
            .map(|_| random.random_range(-1.0f32..1.0))
            .sum::<f32>()
    };
    let centres: Vec<Vec<f32>> = (0..200)
        .map(|_| (0..DIM).map(|_| normal(&mut random)).collect())
        .collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..n)
        .map(|_| {
            let centre = &centres[random.random_range(0..centres.len())];
            centre
                .iter()
                .map(|c| c + 0.5 * normal(&mut random))
                .collect()
        })
        .collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// The definition: every cosine in 64 bits, sorted.
fn plainly(vectors: &[Vec<f32>], query: &[f32], keep: &dyn Fn(u64) -> bool) -> Vec<(u64, f64)> {
    let mut all: Vec<(u64, f64)> = (0..)
        .zip(vectors)
        .filter(|(id, _)| keep(*id))
        .map(|(id, vector)| (id, cosine(vector, query)))
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all
}

fn unwatched<T>(run: impl FnOnce(&mut Watch<'_>) -> T) -> T {
    run(&mut Watch {
        stop: &|| false,
        report: &mut |_| {},
    })
}

fn build(vectors: &[Vec<f32>]) -> PartitionedIndex {
    let numbered = (0..).zip(vectors).map(|(id, v)| Ok((id, v.clone())));
    unwatched(|watch| PartitionedIndex::build(DIM, numbered, 1, watch))
        .unwrap()
        .unwrap()
}

/// Found cosines are those of the definition, rank by rank, and each belongs to its identifier.
fn agrees(found: &[Neighbour], wanted: &[(u64, f64)], vectors: &[Vec<f32>], query: &[f32]) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        let own = cosine(&vectors[found.id as usize], query);
        assert!(
            (f64::from(found.cosine) - own).abs() < 1e-4,
            "its own cosine"
        );
        assert!((own - wanted.1).abs() < 1e-4, "the cosine of this rank");
    }
}

#[test]
fn an_exact_search_finds_what_a_plain_one_finds() {
    let vectors = clustered(5000, 1);
    let index = build(&vectors);
    for query in clustered(30, 2) {
        for k in [1, 10, 300] {
            let found = index.search(&query, k, Effort::Exact, &|_| true).unwrap();
            agrees(
                &found,
                &plainly(&vectors, &query, &|_| true)[..k],
                &vectors,
                &query,
            );
        }
        let odd = |id: u64| id % 2 == 1;
        let found = index.search(&query, 25, Effort::Automatic, &odd).unwrap();
        assert!(found.iter().all(|f| odd(f.id)), "the filter holds");
        agrees(
            &found,
            &plainly(&vectors, &query, &odd)[..25],
            &vectors,
            &query,
        );
    }
}

#[test]
fn vectors_that_differ_in_the_low_plane_only_are_told_apart() {
    // All within a 1000th of each other: the high plane alone cannot order them.
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let base: Vec<f32> = (0..DIM)
        .map(|_| random.random_range(-1.0f32..1.0))
        .collect();
    let vectors: Vec<Vec<f32>> = (0..2000)
        .map(|_| {
            base.iter()
                .map(|b| b + random.random_range(-1e-3f32..1e-3))
                .collect()
        })
        .collect();
    let index = build(&vectors);
    let found = index.search(&base, 2000, Effort::Exact, &|_| true).unwrap();
    let best = index.search(&base, 10, Effort::Exact, &|_| true).unwrap();
    assert_eq!(
        best,
        found[..10],
        "the ten best of all, scored from both planes"
    );
}

#[test]
fn equal_vectors_come_by_identifier_and_k_may_exceed_the_number() {
    let mut index = PartitionedIndex::new(3).unwrap();
    for id in [9, 4, 7] {
        index.add(id, &[1.0, 2.0, 3.0]).unwrap();
    }
    index.add(1, &[-1.0, 0.0, 0.0]).unwrap();
    let found = index
        .search(&[2.0, 4.0, 6.0], 100, Effort::Automatic, &|_| true)
        .unwrap();
    let ids: Vec<u64> = found.iter().map(|f| f.id).collect();
    assert_eq!(ids, [4, 7, 9, 1]);
    assert!((found[0].cosine - 1.0).abs() < 1e-6);
    assert!(
        index
            .search(&[1.0, 0.0, 0.0], 0, Effort::Exact, &|_| true)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn an_empty_index_finds_nothing() {
    let index = PartitionedIndex::new(3).unwrap();
    assert!(index.is_empty());
    for effort in [Effort::Automatic, Effort::Exact, Effort::Approximate] {
        assert!(
            index
                .search(&[1.0, 0.0, 0.0], 5, effort, &|_| true)
                .unwrap()
                .is_empty()
        );
    }
    assert!(PartitionedIndex::new(0).is_err());
}

#[test]
fn vectors_without_direction_and_identifiers_that_are_taken_are_refused() {
    let mut index = PartitionedIndex::new(2).unwrap();
    index.add(1, &[1.0, 0.0]).unwrap();
    for bad in [
        vec![0.0, 0.0],
        vec![f32::NAN, 1.0],
        vec![1.0, f32::INFINITY],
        vec![1.0],
    ] {
        assert!(
            matches!(index.add(2, &bad), Err(LibraryError::Vectors(_))),
            "{bad:?}"
        );
        let sought = index.search(&bad, 1, Effort::Exact, &|_| true);
        assert!(matches!(sought, Err(LibraryError::Vectors(_))), "{bad:?}");
        assert_eq!(index.len(), 1, "nothing was added");
    }
    assert!(index.add(1, &[0.0, 1.0]).is_err(), "1 is taken");
    let twice = [Ok((3, vec![1.0, 0.0])), Ok((3, vec![0.0, 1.0]))];
    let built = unwatched(|w| PartitionedIndex::build(2, twice.into_iter(), 1, w));
    assert!(matches!(built, Err(LibraryError::Vectors(_))));
}

#[test]
fn what_was_removed_is_found_no_more_and_may_come_back() {
    let vectors = clustered(3000, 3);
    let mut index = build(&vectors);
    let query = &vectors[10];
    assert!(index.remove(10), "it was there");
    assert!(!index.remove(10), "now it is not");
    let gone = |id: u64| id != 10;
    let check = |index: &PartitionedIndex| {
        assert_eq!(index.len(), 2999);
        let found = index.search(query, 20, Effort::Exact, &|_| true).unwrap();
        agrees(
            &found,
            &plainly(&vectors, query, &gone)[..20],
            &vectors,
            query,
        );
    };
    check(&index);
    index.compact();
    check(&index);
    index.add(10, query).unwrap();
    assert_eq!(
        index.search(query, 1, Effort::Exact, &|_| true).unwrap()[0].id,
        10
    );
}

#[test]
fn a_large_library_is_searched_approximately_with_high_recall() {
    let n = APPROXIMATE_FROM + 5000;
    let vectors = clustered(n, 4);
    // The last thousand come after the lists were made.
    let mut index = build(&vectors[..n - 1000]);
    for (id, vector) in vectors.iter().enumerate().skip(n - 1000) {
        index.add(id as u64, vector).unwrap();
    }
    assert!(index.has_lists() && !index.needs_lists());
    let (lists, probes) = index.list_counts().unwrap();
    assert!(probes < lists / 2, "{probes} of {lists} lists are read");
    let recall = |index: &PartitionedIndex, keep: &(dyn Fn(u64) -> bool + Sync)| {
        let (mut hits, mut wanted) = (0, 0);
        for query in clustered(100, 5) {
            let exact = index.search(&query, 10, Effort::Exact, keep).unwrap();
            let found = index.search(&query, 10, Effort::Approximate, keep).unwrap();
            let exact: HashSet<u64> = exact.iter().map(|f| f.id).collect();
            hits += found.iter().filter(|f| exact.contains(&f.id)).count();
            wanted += exact.len();
        }
        hits as f64 / wanted as f64
    };
    let all = recall(&index, &|_| true);
    assert!(all >= 0.98, "recall {all}");
    let few = recall(&index, &|id| id % 100 == 7);
    assert_eq!(
        few, 1.0,
        "with a filter that leaves few the search is exact"
    );
    let none = index
        .search(&vectors[0], 10, Effort::Approximate, &|_| false)
        .unwrap();
    assert!(none.is_empty());

    // A tenth goes, at once and after closing the gaps.
    for id in (0..n as u64).step_by(10) {
        assert!(index.remove(id));
    }
    assert!(recall(&index, &|_| true) >= 0.98);
    let query = &vectors[15];
    let before = index
        .search(query, 10, Effort::Approximate, &|_| true)
        .unwrap();
    index.compact();
    let after = index
        .search(query, 10, Effort::Approximate, &|_| true)
        .unwrap();
    assert_eq!(before, after, "lists begin where they did");
    assert!(unwatched(|w| index.make_lists(1, w)).unwrap());
    assert!(recall(&index, &|_| true) >= 0.98);
}

#[test]
fn building_reports_and_can_be_stopped_at_any_stage() {
    let vectors = clustered(APPROXIMATE_FROM, 6);
    let numbered = || (0..).zip(&vectors).map(|(id, v)| Ok((id, v.clone())));
    let mut stages = Vec::new();
    let mut note = |at: lucency_library::vectors::Building| {
        if stages.last() != Some(&at.stage) {
            stages.push(at.stage);
        }
    };
    let mut watch = Watch {
        stop: &|| false,
        report: &mut note,
    };
    let whole = PartitionedIndex::build(DIM, numbered(), 1, &mut watch).unwrap();
    assert!(whole.is_some());
    let expected = [
        "reading vectors",
        "finding lists",
        "sorting into lists",
        "measuring recall",
    ];
    assert_eq!(stages, expected);
    for stage in expected {
        let reached = std::sync::atomic::AtomicBool::new(false);
        let stop = || reached.load(std::sync::atomic::Ordering::Relaxed);
        let mut report = |at: lucency_library::vectors::Building| {
            reached.fetch_or(at.stage == stage, std::sync::atomic::Ordering::Relaxed);
        };
        let mut watch = Watch {
            stop: &stop,
            report: &mut report,
        };
        let begun = PartitionedIndex::build(DIM, numbered(), 1, &mut watch).unwrap();
        assert!(
            begun.is_none() || stage == "measuring recall",
            "stopped while {stage}: nothing is half made"
        );
    }
}
