//! One ranking from two: hits of words and hits of vectors.
//!
//! Source: Cormack, Clarke and Büttcher 2009, "Reciprocal rank fusion outperforms Condorcet and
//! individual rank learning methods": a document's score is the sum of 1 / (60 + rank) over the rankings
//! that have it, ranks counted from 1. Scores of words (BM25) and cosines need not be comparable.

use std::collections::HashMap;

use super::Neighbour;

/// The constant of the published method: how much the first ranks count over later ones.
const DAMPING: f64 = 60.0;

/// A document that a search for words found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WordHit {
    /// Its identifier.
    pub id: u64,
    /// BM25, the higher the better.
    pub score: f32,
}

/// Where a document stands in one of the rankings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Counted from 1, without documents that were left out.
    pub rank: usize,
    /// BM25 or cosine.
    pub score: f32,
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
pub struct Explained {
    /// Its identifier.
    pub id: u64,
    /// Sum of 1 / (60 + rank) over the rankings that have it.
    pub score: f64,
    /// Where it stands by words (BM25), if it does.
    pub by_words: Option<Place>,
    /// Where it stands by vectors (cosine), if it does.
    pub by_vector: Option<Place>,
    /// True if it is of the patient who is asked about.
    pub same_patient: bool,
}

/// The best `k` of two rankings together; of equals the one higher by vectors, then the lower identifier.
///
/// - `words`, `vectors`: best first; either may be empty, and a document that comes again counts once
/// - `is_same_patient`: whether a document is of the patient who is asked about
pub fn fuse(
    words: &[WordHit],
    vectors: &[Neighbour],
    k: usize,
    same_patient: SamePatient,
    is_same_patient: &dyn Fn(u64) -> bool,
) -> Vec<Explained> {
    let shown = |id: u64| same_patient == SamePatient::Mark || !is_same_patient(id);
    let by_words = places(words.iter().map(|w| (w.id, w.score)), &shown);
    let by_vector = places(vectors.iter().map(|v| (v.id, v.cosine)), &shown);
    let mut ids: Vec<u64> = by_words.keys().chain(by_vector.keys()).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    let share = |place: &Option<Place>| place.map_or(0.0, |p| 1.0 / (DAMPING + p.rank as f64));
    let explain = |id: u64| {
        let (by_words, by_vector) = (by_words.get(&id).copied(), by_vector.get(&id).copied());
        Explained {
            id,
            score: share(&by_words) + share(&by_vector),
            by_words,
            by_vector,
            same_patient: is_same_patient(id),
        }
    };
    let mut fused: Vec<Explained> = ids.into_iter().map(explain).collect();
    let vector_rank = |e: &Explained| e.by_vector.map_or(usize::MAX, |p| p.rank);
    fused.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then(vector_rank(a).cmp(&vector_rank(b)))
    });
    fused.truncate(k);
    fused
}

fn places(
    hits: impl Iterator<Item = (u64, f32)>,
    shown: &dyn Fn(u64) -> bool,
) -> HashMap<u64, Place> {
    let mut places = HashMap::new();
    for (id, score) in hits.filter(|(id, _)| shown(*id)) {
        let rank = places.len() + 1;
        places.entry(id).or_insert(Place { rank, score });
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(ids: &[u64]) -> Vec<WordHit> {
        let hit = |(i, &id): (usize, &u64)| WordHit {
            id,
            score: 9.0 - i as f32,
        };
        ids.iter().enumerate().map(hit).collect()
    }

    fn vectors(ids: &[u64]) -> Vec<Neighbour> {
        let hit = |(i, &id): (usize, &u64)| Neighbour {
            id,
            cosine: 0.9 - 0.1 * i as f32,
        };
        ids.iter().enumerate().map(hit).collect()
    }

    fn ids(fused: &[Explained]) -> Vec<u64> {
        fused.iter().map(|e| e.id).collect()
    }

    #[test]
    fn ranks_add_up_by_hand() {
        let fused = fuse(
            &words(&[1, 2, 3]),
            &vectors(&[3, 4]),
            10,
            SamePatient::Mark,
            &|_| false,
        );
        // 3: 1/63 + 1/61; 1: 1/61; 2 and 4: 1/62, where the vector decides.
        assert_eq!(ids(&fused), [3, 1, 4, 2]);
        assert!((fused[0].score - (1.0 / 63.0 + 1.0 / 61.0)).abs() < 1e-12);
        let (by_words, by_vector) = (fused[0].by_words.unwrap(), fused[0].by_vector.unwrap());
        assert_eq!((by_words.rank, by_words.score), (3, 7.0));
        assert_eq!((by_vector.rank, by_vector.score), (1, 0.9));
        assert_eq!(fused[1].by_vector, None);
        assert_eq!(
            ids(&fused[..2]),
            ids(&fuse(
                &words(&[1, 2, 3]),
                &vectors(&[3, 4]),
                2,
                SamePatient::Mark,
                &|_| false
            ))
        );
    }

    #[test]
    fn the_same_patient_is_left_out_or_marked() {
        let own = |id: u64| id == 3;
        let fused = fuse(
            &words(&[3, 2]),
            &vectors(&[3, 4]),
            10,
            SamePatient::default(),
            &own,
        );
        assert_eq!(ids(&fused), [4, 2]);
        assert_eq!(
            fused[0].by_vector.unwrap().rank,
            1,
            "ranks are of what is shown"
        );
        let fused = fuse(
            &words(&[3, 2]),
            &vectors(&[3, 4]),
            10,
            SamePatient::Mark,
            &own,
        );
        assert_eq!(fused[0].id, 3);
        assert!(fused[0].same_patient && !fused[1].same_patient);
    }

    #[test]
    fn one_ranking_alone_keeps_its_order_and_repetition_counts_once() {
        let fused = fuse(&words(&[5, 5, 1, 9]), &[], 10, SamePatient::Mark, &|_| {
            false
        });
        assert_eq!(ids(&fused), [5, 1, 9]);
        assert_eq!(fused[1].by_words.unwrap().rank, 2);
        assert!(fuse(&[], &[], 10, SamePatient::Mark, &|_| false).is_empty());
    }
}
