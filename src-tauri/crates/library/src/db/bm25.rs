//! Ranking all texts that have some words by BM25, as FTS5's `bm25()` does, with the same numbers.
//!
//! Source: Robertson et al. 1994, "Okapi at TREC-3", with k₁ = 1.2 and b = 0.75 and the inverse document frequency not
//! below 10⁻⁶, as in SQLite's `ext/fts5/fts5_aux.c`.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;

use rayon::prelude::*;

use super::postings::{Doclist, Entry};

const K1: f64 = 1.2;
const B: f64 = 0.75;
/// What a word that most texts have counts at least.
const LEAST_IDF: f64 = 1e-6;
/// Texts that a thread takes at a time, at least.
const PIECE: usize = 1 << 14;

/// How often a word or phrase occurs in each text.
pub(super) struct Occurrences {
    /// By the texts' rows.
    counts: Vec<u16>,
    /// How many texts have it.
    texts: usize,
}

impl Occurrences {
    /// Counts a phrase.
    ///
    /// - `words`: what the index has of each of its words, in their order
    /// - `rows`: one more than the highest row of a text
    /// - returns nothing if the lists are not as they should be
    pub fn of(words: &[Vec<Doclist>], rows: usize) -> Option<Self> {
        let counts = match words {
            [lists] => by_row(lists, rows, Doclist::occurrences)?,
            _ => together(words, rows)?,
        };
        let texts = counts.iter().filter(|count| **count > 0).count();
        Some(Self { counts, texts })
    }
}

/// A number for each text that some lists have, 0 for the others.
///
/// - `number`: what is known of a text by its entry
fn by_row(
    lists: &[Doclist],
    rows: usize,
    number: impl Fn(&Doclist, Entry) -> Option<u32>,
) -> Option<Vec<u16>> {
    let mut numbers = vec![0u16; rows];
    for list in lists {
        let mut sound = true;
        list.each(
            |entry| match (numbers.get_mut(entry.row as usize), number(list, entry)) {
                (Some(place), Some(number)) => *place = number.min(u32::from(u16::MAX)) as u16,
                _ => sound = false,
            },
        )?;
        if !sound {
            return None;
        }
    }
    Some(numbers)
}

/// How often words stand one after the other in each text.
fn together(words: &[Vec<Doclist>], rows: usize) -> Option<Vec<u16>> {
    // An entry without positions takes an older one back.
    let there = |_: &Doclist, entry: Entry| Some(u32::from(entry.end > entry.at));
    let there: Vec<Vec<u16>> = words
        .par_iter()
        .map(|lists| by_row(lists, rows, there))
        .collect::<Option<_>>()?;
    let there: Vec<&[u16]> = there.iter().map(Vec::as_slice).collect();
    let texts = matching(&there, &[], rows);
    let places: Vec<Vec<(u32, Entry)>> = words
        .par_iter()
        .map(|lists| places(lists, &texts, rows))
        .collect::<Option<_>>()?;
    let found: Vec<u16> = (0..texts.len())
        .into_par_iter()
        .with_min_len(1024)
        .map_init(Vec::new, |starts, text| {
            let in_text = words.iter().zip(&places).map(|(lists, places)| {
                let (list, entry) = places[text];
                (&lists[list as usize], entry)
            });
            sequences(in_text, starts)
        })
        .collect::<Option<_>>()?;
    let mut counts = vec![0; rows];
    for (row, found) in texts.into_iter().zip(found) {
        counts[row as usize] = found;
    }
    Some(counts)
}

/// Where the lists speak of each of some texts: the number of the list, and the entry.
fn places(lists: &[Doclist], texts: &[u32], rows: usize) -> Option<Vec<(u32, Entry)>> {
    let mut number = vec![0u32; rows];
    for (text, &row) in texts.iter().enumerate() {
        number[row as usize] = text as u32 + 1;
    }
    let mut places = vec![(0, Entry::default()); texts.len()];
    for (list, of) in lists.iter().zip(0..) {
        list.each(|entry| {
            if let Some(text) = number
                .get(entry.row as usize)
                .copied()
                .unwrap_or(0)
                .checked_sub(1)
            {
                places[text as usize] = (of, entry);
            }
        })?;
    }
    Some(places)
}

/// How often words stand one after the other in one text.
///
/// - `starts`: memory that is used again
fn sequences<'a>(
    words: impl Iterator<Item = (&'a Doclist, Entry)>,
    starts: &mut Vec<u64>,
) -> Option<u16> {
    starts.clear();
    for (nth, (list, entry)) in words.enumerate() {
        if nth == 0 {
            list.positions(entry, |at| starts.push(at))?;
            continue;
        }
        // Both ascend: each start is kept if this word stands `nth` places after it.
        let (mut kept, mut next) = (0, 0);
        list.positions(entry, |at| {
            while next < starts.len() && starts[next] + (nth as u64) < at {
                next += 1;
            }
            if next < starts.len() && starts[next] + nth as u64 == at {
                starts[kept] = starts[next];
                (kept, next) = (kept + 1, next + 1);
            }
        })?;
        starts.truncate(kept);
    }
    Some(starts.len().min(usize::from(u16::MAX)) as u16)
}

/// The rows of the texts that have all of some phrases and none of others, ascending.
///
/// - `wanted`, `unwanted`: not 0 for each text that has the phrase
/// - `rows`: one more than the highest row
fn matching(wanted: &[&[u16]], unwanted: &[&[u16]], rows: usize) -> Vec<u32> {
    let of_piece = |piece: Range<usize>| {
        // In whole passes and without branches: half of the texts have a common word, and no processor foresees which.
        let mut matches = vec![true; piece.len()];
        for counts in wanted {
            for (matches, count) in matches.iter_mut().zip(&counts[piece.clone()]) {
                *matches &= *count > 0;
            }
        }
        for counts in unwanted {
            for (matches, count) in matches.iter_mut().zip(&counts[piece.clone()]) {
                *matches &= *count == 0;
            }
        }
        let mut found = vec![0u32; piece.len()];
        let mut next = 0;
        for (row, matches) in piece.zip(matches) {
            found[next] = row as u32;
            next += usize::from(matches);
        }
        found.truncate(next);
        found
    };
    let pieces = (0..rows.div_ceil(PIECE)).into_par_iter();
    pieces
        .map(|piece| piece * PIECE..rows.min((piece + 1) * PIECE))
        .flat_map_iter(of_piece)
        .collect()
}

/// A text and how well it fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ranked {
    /// BM25, larger is better.
    pub score: f64,
    /// The text.
    pub row: u32,
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    /// The better is the lesser; of equals the one that came first.
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .score
            .total_cmp(&self.score)
            .then(self.row.cmp(&other.row))
    }
}

/// The texts that have the words of a query, and what BM25 needs of them.
pub(super) struct Ranking {
    /// Their rows, ascending.
    texts: Vec<u32>,
    /// Words of each.
    lengths: Vec<u32>,
    /// Phrases that must occur, with their inverse document frequencies.
    wanted: Vec<(Occurrences, f64)>,
    /// Words of a text of the library on average.
    average: f64,
}

impl Ranking {
    /// Finds the texts that have all of some phrases and none of others.
    ///
    /// - `wanted`: at least one
    /// - `all`, `words`: texts of the whole library, and their words
    /// - `lengths`: is given the rows of the texts that match, and says how many words each has
    ///
    /// Errors as `lengths` does.
    pub fn new<E>(
        wanted: Vec<Occurrences>,
        unwanted: &[Occurrences],
        [all, words]: [u64; 2],
        lengths: impl FnOnce(&[u32]) -> Result<Vec<u32>, E>,
    ) -> Result<Self, E> {
        let rows = wanted.first().map_or(0, |of| of.counts.len());
        let [with, without] = [&wanted[..], unwanted]
            .map(|phrases| phrases.iter().map(|of| &of.counts[..]).collect::<Vec<_>>());
        let texts = matching(&with, &without, rows);
        let idf = |of: &Occurrences| {
            let (all, with) = (all as f64, of.texts as f64);
            let idf = ((all - with + 0.5) / (with + 0.5)).ln();
            if idf <= 0.0 { LEAST_IDF } else { idf }
        };
        let wanted = wanted.into_iter().map(|of| {
            let idf = idf(&of);
            (of, idf)
        });
        Ok(Self {
            wanted: wanted.collect(),
            lengths: lengths(&texts)?,
            texts,
            average: words as f64 / all as f64,
        })
    }

    /// The best texts, at most `most` of them, best first.
    ///
    /// - `allowed`: whether a text may be among them
    pub fn best(&self, most: usize, allowed: &(dyn Fn(u32) -> bool + Sync)) -> Vec<Ranked> {
        let piece = self
            .texts
            .len()
            .div_ceil(rayon::current_num_threads())
            .max(PIECE);
        let mut best: Vec<Ranked> = self
            .texts
            .par_chunks(piece)
            .zip(self.lengths.par_chunks(piece))
            .flat_map_iter(|(texts, lengths)| self.best_of(texts, lengths, most, allowed))
            .collect();
        best.sort_unstable();
        best.truncate(most);
        best
    }

    fn best_of(
        &self,
        texts: &[u32],
        lengths: &[u32],
        most: usize,
        allowed: &(dyn Fn(u32) -> bool + Sync),
    ) -> BinaryHeap<Ranked> {
        // The worst of those that are kept lies on top.
        let mut best = BinaryHeap::with_capacity(most.min(texts.len()) + 1);
        let mut bar = f64::NEG_INFINITY;
        for (&row, &length) in texts.iter().zip(lengths) {
            let score = self.score(row as usize, f64::from(length));
            // Rows ascend: of equals those that are kept came first.
            if score <= bar || !allowed(row) {
                continue;
            }
            best.push(Ranked { score, row });
            if best.len() > most {
                best.pop();
                bar = best.peek().map_or(bar, |worst: &Ranked| worst.score);
            }
        }
        best
    }

    /// In the order of SQLite's own additions, so that the sums are the same to the last bit.
    #[inline]
    fn score(&self, row: usize, length: f64) -> f64 {
        let share = K1 * (1.0 - B + B * length / self.average);
        let mut score = 0.0;
        for (of, idf) in &self.wanted {
            let count = f64::from(of.counts[row]);
            score += idf * ((count * (K1 + 1.0)) / (count + share));
        }
        score
    }
}
