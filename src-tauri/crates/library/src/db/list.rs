//! Lists and counts.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::connection::Sql;
use super::filter;
use super::read::{FACTS, facts, meta};
use crate::records::{CaseSummary, Count, Filter, Page, Stats};

/// Most labels and other properties in the statistics.
const MAX_COUNTS: usize = 100;

/// Cases in the order in which they came.
pub(super) fn cases(connection: &Connection, filter: &Filter, page: Page) -> Sql<Vec<CaseSummary>> {
    let (condition, mut values) = filter::condition(filter, "cases");
    let sql = format!(
        "SELECT cases.id, sources.name, patient,
            (SELECT count(*) FROM images WHERE case_row = cases.row),
            (SELECT count(*) FROM texts WHERE case_row = cases.row AND kind <> 'question'),
            (SELECT count(*) FROM texts WHERE case_row = cases.row AND kind = 'question'),
            (SELECT json_group_array(DISTINCT labels.name) FROM labels WHERE case_row = cases.row AND value = 1),
            {FACTS}
         FROM cases JOIN sources ON sources.row = cases.source {condition}
         ORDER BY cases.row LIMIT ? OFFSET ?"
    );
    let bounded = |n: u64| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
    values.extend([bounded(page.limit), bounded(page.offset)]);
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| {
        let labels: String = row.get(6)?;
        Ok(CaseSummary {
            id: row.get(0)?,
            source: row.get(1)?,
            patient: row.get(2)?,
            images: count_in(row, 3)?,
            texts: count_in(row, 4)?,
            questions: count_in(row, 5)?,
            labels: serde_json::from_str(&labels).unwrap_or_default(),
            facts: facts(row, 7)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn count_in(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|n| n.max(0) as u64)
}

/// How many cases a filter lets through.
pub(super) fn count(connection: &Connection, filter: &Filter) -> Sql<u64> {
    let (condition, values) = filter::condition(filter, "cases");
    let sql = format!("SELECT count(*) FROM cases {condition}");
    Ok(connection.query_row(&sql, params_from_iter(values), |row| count_in(row, 0))?)
}

/// How much there is; the database's size is for the caller to add.
pub(super) fn stats(connection: &Connection) -> Sql<Stats> {
    let one = |sql: &str| connection.query_row(sql, [], |row| count_in(row, 0));
    Ok(Stats {
        cases: one("SELECT count(*) FROM cases")?,
        patients: one("SELECT count(DISTINCT patient) FROM cases")?,
        images: one("SELECT count(*) FROM images")?,
        texts: one("SELECT count(*) FROM reports")?,
        questions: one("SELECT count(*) FROM questions")?,
        regions: one("SELECT count(*) FROM boxes")?,
        embeddings: one("SELECT count(*) FROM embeddings")?,
        sources: counts(
            connection,
            "SELECT name, count(cases.row) FROM sources JOIN cases ON source = sources.row
             GROUP BY name ORDER BY 2 DESC, 1",
        )?,
        modalities: counts(
            connection,
            "SELECT ifnull(modality, ''), count(*) FROM cases GROUP BY 1 ORDER BY 2 DESC, 1",
        )?,
        splits: counts(
            connection,
            "SELECT ifnull(split, ''), count(*) FROM cases GROUP BY 1 ORDER BY 2 DESC, 1",
        )?,
        labels: counts(
            connection,
            "SELECT name, count(DISTINCT case_row) FROM labels WHERE value = 1 GROUP BY name ORDER BY 2 DESC, 1",
        )?,
        readers: counts(
            connection,
            "SELECT reader, count(DISTINCT case_row) FROM labels WHERE reader <> '' GROUP BY reader ORDER BY 2 DESC, 1",
        )?,
        bytes: 0,
        generation: generation(connection)?,
    })
}

fn counts(connection: &Connection, sql: &str) -> Sql<Vec<Count>> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(Count {
            name: row.get(0)?,
            cases: count_in(row, 1)?,
        })
    })?;
    Ok(rows.take(MAX_COUNTS).collect::<rusqlite::Result<_>>()?)
}

/// See [`Storage::generation`](crate::Storage::generation).
pub(super) fn generation(connection: &Connection) -> Sql<u64> {
    let value = meta(connection, "generation")?;
    Ok(value.and_then(|value| value.parse().ok()).unwrap_or(0))
}
