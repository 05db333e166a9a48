//! What is kept from training to judge it.

use std::collections::{BTreeSet, HashMap};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::records::QaRecord;
use super::text::question_words;
use crate::metrics::vqa::normalise_answer;
use crate::split::{group_of, grouped_split};

/// What a validation split keeps apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitKind {
    /// Whole images with all their questions.
    Images,
    /// Free questions and paraphrases on images that training sees with other questions, as the published test split.
    Questions,
    /// Free questions together with their own paraphrases; templates made from them stay in training. The published test split was drawn
    /// so: nine in ten of the paraphrases that it left for training have their free question there too, templates far fewer.
    Pairs,
}

/// How much is kept apart, how, and by which chance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Share of the questions, 0 to 1.
    pub share: f64,
    /// What is kept apart.
    pub kind: SplitKind,
    /// Seed of the choice, independent of the run's.
    pub seed: u64,
}

/// Indices of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VqaSplit {
    /// To learn from.
    pub train: Vec<usize>,
    /// To judge by.
    pub held_out: Vec<usize>,
    /// Neither: templates that say the same as a held-out question.
    pub aside: Vec<usize>,
}

/// Splits records.
pub fn split(records: &[QaRecord], how: &Validation) -> VqaSplit {
    match how.kind {
        SplitKind::Images => {
            let groups: Vec<u64> = records.iter().map(|r| group_of(&r.image)).collect();
            let split = grouped_split(&groups, how.share, how.seed);
            VqaSplit {
                train: split.train,
                held_out: split.held_out,
                aside: Vec::new(),
            }
        }
        SplitKind::Questions => by_questions(records, how),
        SplitKind::Pairs => by_pairs(records, how),
    }
}

fn by_pairs(records: &[QaRecord], how: &Validation) -> VqaSplit {
    let mut groups = pairs(records);
    groups.shuffle(&mut ChaCha8Rng::seed_from_u64(how.seed));
    let wanted = (records.len() as f64 * how.share).round() as usize;
    let mut held_out: Vec<usize> = Vec::new();
    for group in groups {
        if held_out.len() >= wanted {
            break;
        }
        held_out.extend(group);
    }
    held_out.sort_unstable();
    let out: BTreeSet<usize> = held_out.iter().copied().collect();
    VqaSplit {
        train: (0..records.len()).filter(|i| !out.contains(i)).collect(),
        held_out,
        aside: Vec::new(),
    }
}

/// Free questions, each with its paraphrases: questions on one image with the same answer that share a third of their content words
/// or whose identifiers are next to each other. Templates are in no group.
pub fn pairs(records: &[QaRecord]) -> Vec<Vec<usize>> {
    let content = content_words(records);
    let answers: Vec<String> = records
        .iter()
        .map(|r| normalise_answer(r.answer()))
        .collect();
    let ids: Vec<Option<i64>> = records.iter().map(|r| r.id.parse().ok()).collect();
    let neighbours =
        |a: usize, b: usize| matches!((ids[a], ids[b]), (Some(x), Some(y)) if (x - y).abs() <= 2);
    let alike = |a: usize, b: usize| {
        answers[a] == answers[b]
            && (neighbours(a, b) || overlap(&content[a], &content[b]) >= 1.0 / 3.0)
    };
    let judged = |i: &usize| records[*i].phrase_type != "frame";
    grouped(records, judged, alike)
}

fn by_questions(records: &[QaRecord], how: &Validation) -> VqaSplit {
    let mut clusters = paraphrases(records);
    clusters.shuffle(&mut ChaCha8Rng::seed_from_u64(how.seed));
    let wanted = (records.len() as f64 * how.share).round() as usize;
    let judged = |i: &usize| records[*i].phrase_type != "frame";
    let mut left: HashMap<&str, usize> = HashMap::new();
    for record in records {
        *left.entry(&record.image).or_default() += 1;
    }
    let mut split = VqaSplit::default();
    for cluster in clusters {
        let image = records[cluster[0]].image.as_str();
        let remaining = left.get(image).copied().unwrap_or(0);
        let takes = split.held_out.len() < wanted
            && cluster.iter().any(judged)
            && remaining > cluster.len(); // training must see the image
        if !takes {
            split.train.extend(cluster);
            continue;
        }
        left.insert(image, remaining - cluster.len());
        for index in cluster {
            match judged(&index) {
                true => split.held_out.push(index),
                false => split.aside.push(index),
            }
        }
    }
    split.train.sort_unstable();
    split.held_out.sort_unstable();
    split.aside.sort_unstable();
    split
}

/// Words that say nothing about what is asked.
const STOP_WORDS: [&str; 38] = [
    "a", "an", "the", "is", "are", "was", "were", "be", "there", "this", "that", "these", "in",
    "on", "of", "to", "at", "by", "for", "with", "and", "or", "any", "does", "do", "did", "has",
    "have", "it", "'s", "image", "picture", "scan", "patient", "seen", "shown", "evidence", "can",
];

/// Records in groups of one image that ask nearly the same: at least half of the content words are shared, or a third with the same
/// answer. Groups are closed under this, by first record; records of a group are in order.
fn paraphrases(records: &[QaRecord]) -> Vec<Vec<usize>> {
    let content = content_words(records);
    let answers: Vec<String> = records
        .iter()
        .map(|r| normalise_answer(r.answer()))
        .collect();
    let alike = |a: usize, b: usize| {
        let least = match answers[a] == answers[b] {
            true => 1.0 / 3.0,
            false => 0.5,
        };
        overlap(&content[a], &content[b]) >= least
    };
    grouped(records, |_| true, alike)
}

/// The stems of each question's content words.
fn content_words(records: &[QaRecord]) -> Vec<BTreeSet<String>> {
    let words = |r: &QaRecord| {
        question_words(&r.question)
            .into_iter()
            .filter(|w| !STOP_WORDS.contains(&w.as_str()))
            .map(|w| stem(&w))
            .collect()
    };
    records.iter().map(words).collect()
}

/// Groups of records on one image that are `alike`, directly or through others; of those that are `wanted`.
fn grouped(
    records: &[QaRecord],
    wanted: impl Fn(&usize) -> bool,
    alike: impl Fn(usize, usize) -> bool,
) -> Vec<Vec<usize>> {
    let mut by_image: HashMap<&str, Vec<usize>> = HashMap::new();
    for i in (0..records.len()).filter(&wanted) {
        by_image.entry(&records[i].image).or_default().push(i);
    }
    let mut parent: Vec<usize> = (0..records.len()).collect();
    for members in by_image.values() {
        for (k, a) in members.iter().enumerate() {
            for b in members[k + 1..].iter().filter(|b| alike(*a, **b)) {
                let (x, y) = (root(&parent, *a), root(&parent, *b));
                parent[x.max(y)] = x.min(y);
            }
        }
    }
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); records.len()];
    for i in (0..records.len()).filter(&wanted) {
        groups[root(&parent, i)].push(i);
    }
    groups.retain(|g| !g.is_empty());
    groups
}

fn root(parent: &[usize], mut i: usize) -> usize {
    while parent[i] != i {
        i = parent[i];
    }
    i
}

/// Shared content words over all content words; two questions without any are the same.
fn overlap(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let all = a.union(b).count();
    match all {
        0 => 1.0,
        _ => a.intersection(b).count() as f64 / all as f64,
    }
}

/// A word without the endings that paraphrases change.
fn stem(word: &str) -> String {
    let endings = ["ing", "ed", "es", "ly", "s"];
    let cut = endings.iter().find_map(|e| {
        word.strip_suffix(e)
            .filter(|rest| rest.chars().count() >= 4)
    });
    cut.unwrap_or(word).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::vocabulary::tests::record;
    use super::*;
    use crate::metrics::vqa::AnswerType;

    fn on(image: usize, question: &str, phrase: &str) -> QaRecord {
        let mut r = record(question, "yes", AnswerType::Closed);
        r.image = format!("{image}.png");
        r.phrase_type = phrase.into();
        r
    }

    fn many() -> Vec<QaRecord> {
        (0..40)
            .flat_map(|i| {
                [
                    on(i, "Is there a pleural effusion?", "freeform"),
                    on(i, "Does the patient have pleural effusions?", "para"),
                    on(i, "Is there evidence of pleural effusion?", "frame"),
                    on(i, "Where is the stomach bubble?", "freeform"),
                    on(i, "What is the modality?", "freeform"),
                ]
            })
            .collect()
    }

    #[test]
    fn paraphrases_on_one_image_stay_on_one_side_and_templates_are_not_judged() {
        let records = many();
        let how = Validation {
            share: 0.2,
            kind: SplitKind::Questions,
            seed: 5,
        };
        let s = split(&records, &how);
        assert!(
            s.held_out.len() >= 40 && s.held_out.len() <= 42,
            "{}",
            s.held_out.len()
        );
        for i in &s.held_out {
            assert_ne!(records[*i].phrase_type, "frame");
            if i % 5 < 3 {
                let group: Vec<usize> = (0..3).map(|k| i - i % 5 + k).collect();
                assert!(group.iter().all(|g| !s.train.contains(g)), "{i} leaks");
            }
            assert!(
                s.train
                    .iter()
                    .any(|t| records[*t].image == records[*i].image),
                "the image of {i} is never seen"
            );
        }
        let mut all: Vec<usize> = [s.train.clone(), s.held_out.clone(), s.aside.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..records.len()).collect::<Vec<_>>());
        assert_eq!(s, split(&records, &how), "the seed decides");
    }

    #[test]
    fn free_questions_leave_with_their_paraphrases_and_without_their_templates() {
        let records = many();
        let how = Validation {
            share: 0.2,
            kind: SplitKind::Pairs,
            seed: 5,
        };
        let s = split(&records, &how);
        assert!(s.held_out.len() >= 40 && s.aside.is_empty());
        for i in &s.held_out {
            assert_ne!(records[*i].phrase_type, "frame");
            if i % 5 < 2 {
                let twin = i - i % 5 + 1 - i % 5;
                assert!(s.held_out.contains(&twin), "{i} leaves its pair behind");
            }
        }
        assert_eq!(s.train.len() + s.held_out.len(), records.len());
    }

    #[test]
    fn an_image_split_shares_no_image() {
        let records = many();
        let how = Validation {
            share: 0.1,
            kind: SplitKind::Images,
            seed: 1,
        };
        let s = split(&records, &how);
        assert_eq!(s.held_out.len(), 20);
        for i in &s.held_out {
            assert!(
                s.train
                    .iter()
                    .all(|t| records[*t].image != records[*i].image)
            );
        }
    }
}
