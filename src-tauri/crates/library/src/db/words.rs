//! Words to texts: BM25 over SQLite's full-text index.
//!
//! Whole words and phrases are ranked among all texts from the index's own lists (`postings`, `bm25`). Beginnings of words
//! (`lung*`), and an index that is not as it is described, are left to FTS5, which ranks one text at a time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::blocks::{self, Column};
use super::bm25::{Occurrences, Ranked, Ranking};
use super::connection::Sql;
use super::postings::{Doclist, Doclists, WordIndex};
use super::read::{FACTS, facts};
use super::{filter, list};
use crate::records::{Filter, TextKind};
use crate::search::{MARKS, Term, Terms, WordHit, WordHits, WordQuery, pieces};

/// Texts that FTS5 ranks; of more, the latest are.
const MAX_RANKED: i64 = 10_000;
/// Length of an excerpt, words; FTS5 allows 64.
const EXCERPT_WORDS: i64 = 24;
/// The best texts that are tried before a filter is asked for all that it lets through.
const TRIED: usize = 1024;

/// The best texts of at most `query.k` cases.
///
/// - `cut`: the words of each term as the tokenizer writes them, those that are wanted first
/// - `last`: what an earlier search found out about the same filter
pub(super) fn search(
    connection: &Connection,
    query: &WordQuery,
    terms: &Terms,
    cut: &[Vec<String>],
    last: &LastFilter,
) -> Sql<WordHits> {
    let begins = terms.wanted.iter().chain(&terms.unwanted);
    let whole =
        begins.clone().all(|term| !term.prefix) && cut.iter().all(|words| !words.is_empty());
    let ranking = match whole {
        true => ranking(connection, terms.wanted.len(), cut)?,
        false => None,
    };
    let expression = terms.expression();
    let (hits, only_latest_ranked) = match ranking {
        Some(ranking) => (of_ranking(connection, query, &ranking, last)?, false),
        None => of_fts5(connection, query, &expression)?,
    };
    Ok(WordHits {
        hits: excerpts(connection, &expression, hits)?,
        only_latest_ranked,
    })
}

/// Cuts the terms of a query as the index cuts texts. Nothing of it reaches the disk.
pub(super) fn cut(connection: &Connection, terms: &Terms) -> Sql<Vec<Vec<String>>> {
    connection.execute_batch(
        "CREATE VIRTUAL TABLE IF NOT EXISTS temp.query_terms USING fts5(
             body, content = '', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2');
         CREATE VIRTUAL TABLE IF NOT EXISTS temp.query_words USING fts5vocab('query_terms', 'instance');
         INSERT INTO temp.query_terms (query_terms) VALUES ('delete-all');",
    )?;
    let all: Vec<&Term> = terms.wanted.iter().chain(&terms.unwanted).collect();
    let mut insert =
        connection.prepare("INSERT INTO temp.query_terms (rowid, body) VALUES (?1, ?2)")?;
    for (place, term) in all.iter().enumerate() {
        insert.execute((place as i64 + 1, &term.text))?;
    }
    let mut cut = vec![Vec::new(); all.len()];
    let mut words =
        connection.prepare("SELECT doc, term FROM temp.query_words ORDER BY doc, offset")?;
    let mut rows = words.query([])?;
    while let Some(row) = rows.next()? {
        let place: i64 = row.get(0)?;
        if let Some(words) = cut.get_mut(place as usize - 1) {
            words.push(row.get(1)?);
        }
    }
    Ok(cut)
}

/// Counts the words in all texts; none if FTS5 has to be asked.
fn ranking(connection: &Connection, wanted: usize, cut: &[Vec<String>]) -> Sql<Option<Ranking>> {
    let Some(mut index) = WordIndex::open(connection)? else {
        return Ok(None);
    };
    let rows = blocks::rows(connection)?;
    let mut phrases: Vec<Vec<Vec<Doclist>>> = Vec::with_capacity(cut.len());
    for words in cut {
        let mut lists = Vec::with_capacity(words.len());
        for word in words {
            match index.doclists(word)? {
                Doclists::Read(found) => lists.push(found),
                Doclists::Unreadable => return Ok(None),
            }
        }
        phrases.push(lists);
    }
    let counted: Option<Vec<Occurrences>> = phrases
        .into_par_iter()
        .map(|words| Occurrences::of(&words, rows))
        .collect();
    let Some(mut wanted_counts) = counted else {
        return Ok(None);
    };
    let unwanted = wanted_counts.split_off(wanted);
    let lengths = |texts: &[u32]| Column::Lengths.of(connection, texts, rows);
    let library = [index.texts, index.words];
    Ranking::new(wanted_counts, &unwanted, library, lengths).map(Some)
}

/// A text that was found, and its row.
type Found = (i64, WordHit);

/// Which texts a query is about, beyond its words: a condition on `texts` and `cases`, and its parameters.
fn condition(query: &WordQuery) -> (String, Vec<Value>) {
    let (condition, values) = filter::condition(&query.filter, "cases");
    let mut condition = condition.replacen("WHERE", "AND", 1);
    if !query.kinds.is_empty() {
        let words: Vec<String> = query
            .kinds
            .iter()
            .map(|k| format!("'{}'", k.word()))
            .collect();
        condition += &format!(" AND texts.kind IN ({})", words.join(", "));
    }
    (condition, values)
}

/// Cases of the best texts, those that the filter lets through.
fn of_ranking(
    connection: &Connection,
    query: &WordQuery,
    ranking: &Ranking,
    last: &LastFilter,
) -> Sql<Vec<Found>> {
    let (condition, values) = condition(query);
    let sql = format!(
        "SELECT cases.id, patient, texts.kind, {FACTS} FROM texts JOIN cases ON cases.row = texts.case_row
         WHERE texts.row = ? {condition}"
    );
    let mut find = connection.prepare(&sql)?;
    let mut cases_of = |texts: &[Ranked]| -> Sql<Vec<Found>> {
        let (mut hits, mut seen) = (Vec::new(), HashSet::new());
        for text in texts {
            let row = Value::Integer(i64::from(text.row));
            let values = std::iter::once(&row).chain(&values);
            let mut rows = find.query(params_from_iter(values))?;
            if let Some(row) = rows.next()? {
                let hit = hit(row, text.score)?;
                if seen.insert(hit.case_id.clone()) {
                    hits.push((i64::from(text.row), hit));
                }
            }
            if hits.len() == query.k {
                break;
            }
        }
        Ok(hits)
    };
    let filtered = !condition.is_empty();
    // A case can have many texts with the words: enough for the best `k` cases almost always.
    let mut most = query.k.saturating_mul(8).saturating_add(64);
    let generation = list::generation(connection)?;
    let mut allowed = match last.get(generation, &query.filter) {
        Some(cases) if filtered => Some(Allowed::of(connection, cases)?),
        _ => None,
    };
    if filtered && allowed.is_none() {
        most = most.max(TRIED);
    }
    loop {
        let best = match &allowed {
            None => ranking.best(most, &|_| true),
            Some(allowed) => ranking.best(most, &|text| allowed.has(text)),
        };
        let hits = cases_of(&best)?;
        if hits.len() == query.k || best.len() < most {
            return Ok(hits);
        }
        if filtered && allowed.is_none() {
            let cases = Arc::new(cases(connection, &query.filter)?);
            last.set(generation, &query.filter, cases.clone());
            allowed = Some(Allowed::of(connection, cases)?);
        }
        most = most.saturating_mul(8);
    }
}

/// Which cases the last filter let through, at a generation of the library.
#[derive(Debug, Default)]
pub(super) struct LastFilter(Mutex<Option<Filtered>>);

#[derive(Debug)]
struct Filtered {
    generation: u64,
    filter: Filter,
    /// By the rows of the cases.
    cases: Arc<Vec<bool>>,
}

impl LastFilter {
    fn get(&self, generation: u64, filter: &Filter) -> Option<Arc<Vec<bool>>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |of: &&Filtered| of.generation == generation && of.filter == *filter;
        last.as_ref().filter(same).map(|of| of.cases.clone())
    }

    fn set(&self, generation: u64, filter: &Filter, cases: Arc<Vec<bool>>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(Filtered {
            generation,
            filter: filter.clone(),
            cases,
        });
    }
}

/// Which cases a filter lets through, by row.
fn cases(connection: &Connection, filter: &Filter) -> Sql<Vec<bool>> {
    let (condition, values) = filter::condition(filter, "cases");
    let highest: i64 =
        connection.query_row("SELECT ifnull(max(row), 0) FROM cases", [], |row| {
            row.get(0)
        })?;
    let mut cases = vec![false; highest as usize + 1];
    let mut statement = connection.prepare(&format!("SELECT row FROM cases {condition}"))?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        cases[row.get::<_, i64>(0)? as usize] = true;
    }
    Ok(cases)
}

/// Which texts a filter lets through; their kinds are not looked at.
struct Allowed {
    /// By the rows of the cases.
    cases: Arc<Vec<bool>>,
    /// The case of each text.
    case_of: Vec<u32>,
}

impl Allowed {
    fn of(connection: &Connection, cases: Arc<Vec<bool>>) -> Sql<Self> {
        let case_of = Column::Cases.all(connection, blocks::rows(connection)?)?;
        Ok(Self { cases, case_of })
    }

    fn has(&self, text: u32) -> bool {
        let case = self.case_of.get(text as usize);
        case.is_some_and(|case| self.cases.get(*case as usize).copied().unwrap_or(false))
    }
}

fn hit(row: &Row<'_>, score: f64) -> Sql<WordHit> {
    let kind: String = row.get(2)?;
    Ok(WordHit {
        case_id: row.get(0)?,
        patient: row.get(1)?,
        kind: TextKind::from_word(&kind),
        score,
        excerpt: Vec::new(),
        facts: facts(row, 3)?,
    })
}

/// Cases of the best of the latest texts, and whether there were too many to rank them all.
fn of_fts5(
    connection: &Connection,
    query: &WordQuery,
    expression: &str,
) -> Sql<(Vec<Found>, bool)> {
    let (conditions, filters) = condition(query);
    // Cases are looked up for every match only if a filter asks for them.
    let tables = match conditions.is_empty() {
        true => "words",
        false => {
            "words CROSS JOIN texts ON texts.row = words.rowid CROSS JOIN cases ON cases.row = texts.case_row"
        }
    };
    let k = i64::try_from(query.k).unwrap_or(i64::MAX);
    let best = k.saturating_mul(8).saturating_add(64);
    // The best text of every case, then the best cases.
    let sql = format!(
        "WITH matches AS MATERIALIZED (
             SELECT words.rowid AS text_row, bm25(words) AS score FROM {tables}
             WHERE words MATCH ? {conditions} ORDER BY words.rowid DESC LIMIT {MAX_RANKED}),
         best AS (SELECT text_row, score FROM matches ORDER BY score, text_row LIMIT {best})
         SELECT cases.id, patient, texts.kind, {FACTS}, text_row, min(score), (SELECT count(*) FROM matches)
         FROM best CROSS JOIN texts ON texts.row = text_row CROSS JOIN cases ON cases.row = texts.case_row
         GROUP BY cases.row ORDER BY min(score), cases.row LIMIT {k}"
    );
    let values = std::iter::once(Value::Text(expression.to_owned())).chain(filters);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut hits = Vec::new();
    let mut matches = 0;
    while let Some(row) = rows.next()? {
        let score: f64 = row.get(11)?;
        matches = row.get(12)?;
        hits.push((row.get::<_, i64>(10)?, hit(row, -score)?));
    }
    Ok((hits, matches >= MAX_RANKED))
}

/// Excerpts with the matched words marked, for the hits that are shown alone.
fn excerpts(connection: &Connection, expression: &str, hits: Vec<Found>) -> Sql<Vec<WordHit>> {
    let [start, end] = MARKS;
    let sql = format!(
        "SELECT snippet(words, -1, '{start}', '{end}', '…', {EXCERPT_WORDS})
         FROM words WHERE words MATCH ?1 AND rowid = ?2"
    );
    let mut statement = connection.prepare(&sql)?;
    hits.into_iter()
        .map(|(row, mut hit)| {
            let marked: String = statement.query_row((expression, row), |row| row.get(0))?;
            hit.excerpt = pieces(&marked);
            Ok(hit)
        })
        .collect()
}
