//! Rankings of cases: by words, by images, by reports.

use std::collections::HashMap;

use lucency_library::search::{Piece, WordQuery};
use lucency_library::vectors::fusion::Ranked;
use lucency_library::vectors::{Effort, VectorIndex as _};
use lucency_library::{EmbeddingKind, Filter, LibraryError, Space, SqliteStore, Storage as _};
use lucency_nn::{Interrupt, Progress};

use super::held::read;
use super::indexes::Indexes;
use super::query::CaseQuery;
use crate::error::{AssistantError, Result};

/// Cases of each ranking that are fused, at least.
const DEPTH: usize = 100;
/// How often a search for vectors is done again, for more, before it gives up.
const ROUNDS: usize = 24;

/// Numbers for the cases of one search, and what was found out about them on the way.
#[derive(Default)]
pub(super) struct Found {
    ids: Vec<String>,
    numbers: HashMap<String, u64>,
    /// The nearest image of cases that were found by image.
    pub image: HashMap<u64, usize>,
    /// The best passage of cases that were found by words.
    pub excerpt: HashMap<u64, Vec<Piece>>,
    /// What the reader has to know.
    pub notes: Vec<String>,
}

impl Found {
    fn number(&mut self, case_id: &str) -> u64 {
        if let Some(number) = self.numbers.get(case_id) {
            return *number;
        }
        let number = self.ids.len() as u64;
        self.ids.push(case_id.to_owned());
        self.numbers.insert(case_id.to_owned(), number);
        number
    }

    /// The case with a number.
    pub fn id(&self, number: u64) -> &str {
        &self.ids[number as usize]
    }
}

/// One search in progress.
pub(super) struct Searching<'a> {
    pub store: &'a SqliteStore,
    pub indexes: &'a std::sync::Arc<Indexes>,
    pub query: &'a CaseQuery,
    /// Cases that are no answers: those with the image that is asked about, and those of its patient unless wanted.
    pub never: &'a dyn Fn(&str) -> bool,
    /// How many of them there may be.
    pub never_count: usize,
    pub stop: &'a Interrupt,
}

impl Searching<'_> {
    /// Cases of one ranking that are wanted.
    fn depth(&self) -> usize {
        DEPTH.max(self.query.k)
    }

    /// Cases by the words of their texts, best first.
    ///
    /// Errors if there is no word to look for.
    pub fn words(&self, found: &mut Found) -> Result<Vec<Ranked>> {
        let query = WordQuery {
            text: self.query.text.clone(),
            filter: self.query.filter.clone(),
            kinds: self.query.kinds.clone(),
            k: self.depth() + self.never_count,
        };
        let hits = self.store.search_words(&query)?;
        if hits.only_latest_ranked {
            found.notes.push(
                "Very many texts have these words: only the latest 10 000 were ranked; add words."
                    .into(),
            );
        }
        let mut ranking = Vec::new();
        for hit in hits.hits {
            if (self.never)(&hit.case_id) {
                continue;
            }
            let id = found.number(&hit.case_id);
            found.excerpt.insert(id, hit.excerpt);
            ranking.push(Ranked {
                id,
                score: hit.score,
            });
        }
        Ok(ranking)
    }

    /// Cases by the cosine of their nearest image, or of their report, best first.
    ///
    /// As many cases as are wanted come back whatever the filter leaves and however many images a case has: the search
    /// goes on with more vectors until there are enough cases or no vector is left.
    ///
    /// - `vector`: `[dim]`, of the space's pack
    pub fn vectors(
        &self,
        space: &Space,
        vector: &[f32],
        effort: Effort,
        found: &mut Found,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Ranked>> {
        match self.nearest(space, vector, effort, found, report) {
            Err(AssistantError::Library(LibraryError::DamagedIndex { .. })) => {
                self.indexes.give_up(space)?;
                self.nearest(space, vector, effort, found, report)
            }
            ranked => ranked,
        }
    }

    fn nearest(
        &self,
        space: &Space,
        vector: &[f32],
        effort: Effort,
        found: &mut Found,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Ranked>> {
        let slot = self.indexes.fresh(self.store, space, self.stop, report)?;
        let Some(slot) = slot else {
            return Ok(Vec::new());
        };
        let allowed = match self.query.filter == Filter::default() {
            true => None,
            false => Some(slot.filtered(self.store, space, &self.query.filter)?),
        };
        let keep = |id: u64| match &allowed {
            Some(rows) => rows.binary_search(&(id as i64)).is_ok(),
            None => true,
        };
        let mut wanted = 2 * self.depth() + self.never_count;
        for _ in 0..ROUNDS {
            let hits = match read(&slot).as_ref() {
                Some(held) => held.index.search(vector, wanted, effort, &keep)?,
                None => Vec::new(),
            };
            let rows: Vec<i64> = hits.iter().map(|hit| hit.id as i64).collect();
            let embedded = self.store.embedded(&rows)?;
            let cosines: HashMap<i64, f64> = hits
                .iter()
                .map(|hit| (hit.id as i64, f64::from(hit.cosine)))
                .collect();
            let mut best: Vec<(u64, f64)> = Vec::new();
            let mut seen = std::collections::HashSet::new();
            // Rows come back in the order of the hits: a case's first one is its nearest.
            for row in embedded {
                if (self.never)(&row.case_id) || !seen.insert(row.case_id.clone()) {
                    continue;
                }
                let id = found.number(&row.case_id);
                if let (EmbeddingKind::Image, Some(image)) = (space.kind, row.image) {
                    found.image.insert(id, image);
                }
                best.push((id, cosines.get(&row.row).copied().unwrap_or_default()));
            }
            if best.len() >= self.depth() || hits.len() < wanted {
                let ranked = best.into_iter().map(|(id, score)| Ranked { id, score });
                return Ok(ranked.take(self.depth()).collect());
            }
            wanted *= 2;
        }
        Ok(Vec::new())
    }
}
