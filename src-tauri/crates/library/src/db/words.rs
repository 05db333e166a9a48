//! Words to texts: SQLite's FTS5 with BM25.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::connection::Sql;
use super::filter;
use super::read::{FACTS, facts};
use crate::records::TextKind;
use crate::search::{MARKS, WordHit, WordHits, WordQuery, pieces};

/// Matching texts that are ranked; of more, the latest are.
const MAX_RANKED: i64 = 10_000;
/// Length of an excerpt, words; FTS5 allows 64.
const EXCERPT_WORDS: i64 = 24;

/// The best texts of at most `k` cases.
pub(super) fn search(connection: &Connection, query: &WordQuery) -> Sql<WordHits> {
    let expression = query.expression()?;
    let (condition, filters) = filter::condition(&query.filter, "cases");
    let mut conditions = condition.replacen("WHERE", "AND", 1);
    if !query.kinds.is_empty() {
        let words: Vec<String> = query
            .kinds
            .iter()
            .map(|k| format!("'{}'", k.word()))
            .collect();
        conditions += &format!(" AND texts.kind IN ({})", words.join(", "));
    }
    // Cases are looked up for every match only if a filter asks for them.
    let tables = match conditions.is_empty() {
        true => "words",
        false => {
            "words CROSS JOIN texts ON texts.row = words.rowid CROSS JOIN cases ON cases.row = texts.case_row"
        }
    };
    let k = i64::try_from(query.k).unwrap_or(i64::MAX);
    // A case can have many texts with the words: enough for the best `k` cases almost always.
    let best = k.saturating_mul(8).saturating_add(64);
    // The best text of every case, then the best cases.
    let sql = format!(
        "WITH matches AS MATERIALIZED (
             SELECT words.rowid AS text_row, bm25(words) AS score FROM {tables}
             WHERE words MATCH ? {conditions} ORDER BY words.rowid DESC LIMIT {MAX_RANKED}),
         best AS (SELECT text_row, score FROM matches ORDER BY score, text_row LIMIT {best})
         SELECT text_row, cases.id, patient, texts.kind, min(score), {FACTS}, (SELECT count(*) FROM matches)
         FROM best CROSS JOIN texts ON texts.row = text_row CROSS JOIN cases ON cases.row = texts.case_row
         GROUP BY cases.row ORDER BY min(score), cases.row LIMIT {k}"
    );
    let values = std::iter::once(Value::Text(expression.clone())).chain(filters);
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut hits = Vec::new();
    let mut matches = 0;
    while let Some(row) = rows.next()? {
        let kind: String = row.get(3)?;
        let score: f64 = row.get(4)?;
        matches = row.get(12)?;
        hits.push((
            row.get::<_, i64>(0)?,
            WordHit {
                case_id: row.get(1)?,
                patient: row.get(2)?,
                kind: TextKind::from_word(&kind),
                score: -score,
                excerpt: Vec::new(),
                facts: facts(row, 5)?,
            },
        ));
    }
    Ok(WordHits {
        hits: excerpts(connection, &expression, hits)?,
        only_latest_ranked: matches >= MAX_RANKED,
    })
}

/// Excerpts with the matched words marked, for the hits that are shown alone.
fn excerpts(
    connection: &Connection,
    expression: &str,
    hits: Vec<(i64, WordHit)>,
) -> Sql<Vec<WordHit>> {
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
