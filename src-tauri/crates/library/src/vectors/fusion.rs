//! One ranking from several: hits of words, of images and of reports.
//!
//! Source: Cormack, Clarke and Büttcher 2009, "Reciprocal rank fusion outperforms Condorcet and
//! individual rank learning methods": a document's score is the sum of 1 / (60 + rank) over the rankings
//! that have it, ranks counted from 1. Scores of words (BM25) and cosines need not be comparable.

use std::collections::HashMap;

/// The constant of the published method: how much the first ranks count over later ones.
const DAMPING: f64 = 60.0;

/// A document in one of the rankings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Its identifier.
    pub id: u64,
    /// BM25 or cosine, the higher the better.
    pub score: f64,
}

/// Where a document stands in one of the rankings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Counted from 1, without documents that were left out.
    pub rank: usize,
    /// BM25 or cosine.
    pub score: f64,
}

/// What is done with documents of the patient who is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SamePatient {
    /// They are left out: a patient's earlier image is no independent case.
    #[default]
    LeaveOut,
    /// They are found and marked.
    Mark,
}

/// A document in the fused ranking, with why it is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Explained<const N: usize> {
    /// Its identifier.
    pub id: u64,
    /// Sum of 1 / (60 + rank) over the rankings that have it.
    pub score: f64,
    /// Where it stands in each of the rankings, if it does.
    pub places: [Option<Place>; N],
    /// True if it is of the patient who is asked about.
    pub same_patient: bool,
}

/// The best `k` of several rankings together; of equals the one that is higher in the first ranking, then in the next
/// ones, then the lower identifier.
///
/// - `rankings`: best first; any may be empty, and a document that comes again counts once
/// - `is_same_patient`: whether a document is of the patient who is asked about
pub fn fuse<const N: usize>(
    rankings: [&[Ranked]; N],
    k: usize,
    same_patient: SamePatient,
    is_same_patient: &dyn Fn(u64) -> bool,
) -> Vec<Explained<N>> {
    let shown = |id: u64| same_patient == SamePatient::Mark || !is_same_patient(id);
    let by = rankings.map(|ranking| places(ranking, &shown));
    let mut ids: Vec<u64> = by.iter().flat_map(HashMap::keys).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    let share = |place: &Option<Place>| place.map_or(0.0, |p| 1.0 / (DAMPING + p.rank as f64));
    let explain = |id: u64| {
        let places: [Option<Place>; N] = std::array::from_fn(|i| by[i].get(&id).copied());
        Explained {
            id,
            score: places.iter().map(share).sum(),
            places,
            same_patient: is_same_patient(id),
        }
    };
    let mut fused: Vec<Explained<N>> = ids.into_iter().map(explain).collect();
    let ranks = |e: &Explained<N>| e.places.map(|place| place.map_or(usize::MAX, |p| p.rank));
    fused.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then_with(|| ranks(a).cmp(&ranks(b)))
    });
    fused.truncate(k);
    fused
}

fn places(ranking: &[Ranked], shown: &dyn Fn(u64) -> bool) -> HashMap<u64, Place> {
    let mut places = HashMap::new();
    for hit in ranking.iter().filter(|hit| shown(hit.id)) {
        let rank = places.len() + 1;
        let score = hit.score;
        places.entry(hit.id).or_insert(Place { rank, score });
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores fall by a tenth from `first`.
    fn ranking(ids: &[u64], first: f64) -> Vec<Ranked> {
        let hit = |(i, &id): (usize, &u64)| Ranked {
            id,
            score: first - 0.1 * i as f64,
        };
        ids.iter().enumerate().map(hit).collect()
    }

    fn ids<const N: usize>(fused: &[Explained<N>]) -> Vec<u64> {
        fused.iter().map(|e| e.id).collect()
    }

    #[test]
    fn ranks_add_up_by_hand() {
        let (vectors, words) = (ranking(&[3, 4], 0.9), ranking(&[1, 2, 3], 9.0));
        let fuse = |k| fuse([&vectors, &words], k, SamePatient::Mark, &|_| false);
        let fused = fuse(10);
        // 3: 1/63 + 1/61; 1: 1/61; 2 and 4: 1/62, where the first ranking decides.
        assert_eq!(ids(&fused), [3, 1, 4, 2]);
        assert!((fused[0].score - (1.0 / 63.0 + 1.0 / 61.0)).abs() < 1e-12);
        let [by_vector, by_words] = fused[0].places.map(Option::unwrap);
        assert_eq!((by_words.rank, by_words.score), (3, 8.8));
        assert_eq!((by_vector.rank, by_vector.score), (1, 0.9));
        assert_eq!(fused[1].places[0], None);
        assert_eq!(ids(&fuse(2)), ids(&fused[..2]));
    }

    #[test]
    fn three_rankings_are_fused_like_two() {
        let (a, b, c) = (
            ranking(&[1], 0.9),
            ranking(&[2, 1], 0.8),
            ranking(&[2], 7.0),
        );
        let fused = fuse([&a, &b, &c], 10, SamePatient::Mark, &|_| false);
        assert_eq!(ids(&fused), [2, 1], "1/61 + 1/61 against 1/61 + 1/62");
        assert!(fused[0].places[0].is_none() && fused[1].places[2].is_none());
    }

    #[test]
    fn the_same_patient_is_left_out_or_marked() {
        let own = |id: u64| id == 3;
        let (vectors, words) = (ranking(&[3, 4], 0.9), ranking(&[3, 2], 9.0));
        let fused = fuse([&vectors, &words], 10, SamePatient::default(), &own);
        assert_eq!(ids(&fused), [4, 2]);
        let rank = fused[0].places[0].unwrap().rank;
        assert_eq!(rank, 1, "ranks are of what is shown");
        let fused = fuse([&vectors, &words], 10, SamePatient::Mark, &own);
        assert_eq!(fused[0].id, 3);
        assert!(fused[0].same_patient && !fused[1].same_patient);
    }

    #[test]
    fn one_ranking_alone_keeps_its_order_and_repetition_counts_once() {
        let words = ranking(&[5, 5, 1, 9], 9.0);
        let fused = fuse([&[], &words], 10, SamePatient::Mark, &|_| false);
        assert_eq!(ids(&fused), [5, 1, 9]);
        assert_eq!(fused[1].places[1].unwrap().rank, 2);
        assert!(fuse::<2>([&[], &[]], 10, SamePatient::Mark, &|_| false).is_empty());
    }
}
