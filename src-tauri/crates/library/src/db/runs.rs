//! The record of runs on the library's cases and of the adapters that are there.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::SqliteStore;
use super::connection::Sql;
use crate::error::{LibraryError, Result};
use crate::records::{AdapterRecord, CasePart, Run, RunKind, RunRecord, SeenBy};
use crate::storage::Ledger;

impl Ledger for SqliteStore {
    fn put_run(&self, run: &Run, cases: &[(String, CasePart)]) -> Result<u64> {
        self.write(|transaction| {
            let row = put(transaction, run)?;
            link(transaction, row, cases)
        })
    }

    fn forget_run(&self, path: &str) -> Result<bool> {
        self.write(|transaction| {
            let sql = "UPDATE runs SET path = NULL WHERE path = ?1";
            Ok(transaction.execute(sql, [path])? > 0)
        })
    }

    fn runs(&self, limit: u64) -> Result<Vec<RunRecord>> {
        self.read(|connection| runs(connection, limit))
    }

    fn put_adapter(&self, adapter: &AdapterRecord) -> Result<()> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO adapters (name, pack, path, sha256, created) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (name) DO UPDATE SET pack = excluded.pack, path = excluded.path,
                     sha256 = excluded.sha256, created = excluded.created",
                (
                    &adapter.name,
                    &adapter.pack,
                    &adapter.path,
                    &adapter.sha256,
                    &adapter.created,
                ),
            )?;
            Ok(())
        })
    }

    fn forget_adapter(&self, name: &str) -> Result<bool> {
        self.write(|transaction| {
            let sql = "DELETE FROM adapters WHERE name = ?1";
            Ok(transaction.execute(sql, [name])? > 0)
        })
    }

    fn adapters(&self) -> Result<Vec<AdapterRecord>> {
        self.read(adapters)
    }

    fn seen_by(&self, ids: &[String]) -> Result<Vec<SeenBy>> {
        self.read(|connection| seen_by(connection, ids))
    }
}

/// Writes a run, in place of the one with its folder and its beginning.
fn put(transaction: &Transaction<'_>, run: &Run) -> Sql<i64> {
    let settings = run.settings.to_string();
    let outcome = run.outcome.as_ref().map(ToString::to_string);
    let known: Option<i64> = transaction
        .query_row(
            "SELECT row FROM runs WHERE path = ?1 AND started = ?2",
            (&run.path, &run.started),
            |row| row.get(0),
        )
        .optional()?;
    if let Some(row) = known {
        transaction.execute(
            "UPDATE runs SET pack = ?2, adapter = ?3, finished = ?4, settings = ?5, outcome = ?6 WHERE row = ?1",
            params![row, run.pack, run.adapter, run.finished, settings, outcome],
        )?;
        return Ok(row);
    }
    transaction.execute(
        "INSERT INTO runs (kind, pack, adapter, started, finished, settings, outcome, path)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            run.kind.word(),
            run.pack,
            run.adapter,
            run.started,
            run.finished,
            settings,
            outcome,
            run.path
        ],
    )?;
    Ok(transaction.last_insert_rowid())
}

/// Notes which cases a run saw; returns how many are not there.
fn link(transaction: &Transaction<'_>, run: i64, cases: &[(String, CasePart)]) -> Sql<u64> {
    let mut find = transaction.prepare("SELECT row FROM cases WHERE id = ?1")?;
    let mut note = transaction.prepare(
        "INSERT INTO run_cases (run, case_row, part) VALUES (?1, ?2, ?3)
         ON CONFLICT (run, case_row) DO UPDATE SET part = excluded.part",
    )?;
    let mut missing = 0;
    for (id, part) in cases {
        let row: Option<i64> = find.query_row([id], |row| row.get(0)).optional()?;
        match row {
            Some(row) => {
                note.execute((run, row, part.word()))?;
            }
            None => missing += 1,
        }
    }
    Ok(missing)
}

fn runs(connection: &Connection, limit: u64) -> Sql<Vec<RunRecord>> {
    let mut statement = connection.prepare(
        "SELECT kind, pack, adapter, started, finished, settings, outcome, path, deleted,
            (SELECT count(*) FROM run_cases WHERE run = runs.row AND part = 'trained'),
            (SELECT count(*) FROM run_cases WHERE run = runs.row AND part = 'judged')
         FROM runs ORDER BY row DESC LIMIT ?1",
    )?;
    let rows = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], record)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn record(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    let json = |text: String| serde_json::from_str(&text).unwrap_or_default();
    let count = |column: usize| row.get::<_, i64>(column).map(|n| n.max(0) as u64);
    Ok(RunRecord {
        run: Run {
            kind: RunKind::from_word(&row.get::<_, String>(0)?),
            pack: row.get(1)?,
            adapter: row.get(2)?,
            started: row.get(3)?,
            finished: row.get(4)?,
            settings: json(row.get(5)?),
            outcome: row.get::<_, Option<String>>(6)?.map(json),
            path: row.get(7)?,
        },
        deleted: count(8)?,
        trained: count(9)?,
        judged: count(10)?,
    })
}

fn adapters(connection: &Connection) -> Sql<Vec<AdapterRecord>> {
    let mut statement = connection
        .prepare("SELECT name, pack, path, sha256, created FROM adapters ORDER BY name")?;
    let rows = statement.query_map([], |row| {
        Ok(AdapterRecord {
            name: row.get(0)?,
            pack: row.get(1)?,
            path: row.get(2)?,
            sha256: row.get(3)?,
            created: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Runs that saw one of the cases, the latest first.
fn seen_by(connection: &Connection, ids: &[String]) -> Sql<Vec<SeenBy>> {
    let mut case = connection.prepare("SELECT row FROM cases WHERE id = ?1")?;
    let mut of_case = connection.prepare("SELECT run, part FROM run_cases WHERE case_row = ?1")?;
    let mut counts: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    for id in ids {
        let row: Option<i64> = case.query_row([id], |row| row.get(0)).optional()?;
        let row = row.ok_or_else(|| LibraryError::NoCase { id: id.clone() })?;
        let mut parts = of_case.query([row])?;
        while let Some(part) = parts.next()? {
            let (trained, judged) = counts.entry(part.get(0)?).or_default();
            match CasePart::from_word(&part.get::<_, String>(1)?) {
                CasePart::Trained => *trained += 1,
                CasePart::Judged => *judged += 1,
            }
        }
    }
    let mut run = connection.prepare(
        "SELECT kind, started, finished IS NOT NULL, path, adapter,
            EXISTS (SELECT 1 FROM adapters
                WHERE name = adapter AND (kind <> 'training' OR adapters.created = runs.started))
         FROM runs WHERE row = ?1",
    )?;
    let known = counts.into_iter().rev().map(|(row, (trained, judged))| {
        run.query_row([row], |row| {
            Ok(SeenBy {
                kind: RunKind::from_word(&row.get::<_, String>(0)?),
                started: row.get(1)?,
                finished: row.get(2)?,
                path: row.get(3)?,
                adapter: row.get(4)?,
                adapter_there: row.get(5)?,
                trained,
                judged,
            })
        })
    });
    Ok(known.collect::<rusqlite::Result<_>>()?)
}

/// Folders that the record names and that are not there, as sentences.
///
/// - `home`: the folder that paths of the record begin at
pub(super) fn missing_folders(connection: &Connection, home: &Path) -> Sql<Vec<String>> {
    let mut missing: Vec<String> = adapters(connection)?
        .into_iter()
        .filter(|adapter| !home.join(&adapter.path).is_dir())
        .map(|adapter| {
            format!(
                "the folder {} of the adapter {} is missing; put it back, or remove the adapter",
                adapter.path, adapter.name
            )
        })
        .collect();
    let mut paths = connection.prepare("SELECT DISTINCT path FROM runs WHERE path IS NOT NULL")?;
    let paths: Vec<String> = paths
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let gone = paths.into_iter().filter(|path| !home.join(path).is_dir());
    missing.extend(
        gone.map(|path| {
            format!("the run's folder {path} is missing; put it back, or remove the run")
        }),
    );
    Ok(missing)
}
