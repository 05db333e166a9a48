//! How far imports have come, and the rows that they refused.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction};

use super::connection::Sql;
use super::write;
use crate::import::{Checkpoint, ImportKey, Reject};
use crate::records::Source;
use crate::storage::Written;

const CHECKPOINT: &str = "imports.row, next_row, taken, joined, rejected, redacted, finished";

fn checkpoint(row: &Row<'_>) -> rusqlite::Result<Checkpoint> {
    let number = |i| row.get::<_, i64>(i).map(|n| n.max(0) as u64);
    Ok(Checkpoint {
        import: row.get(0)?,
        next_row: number(1)?,
        taken: number(2)?,
        joined: number(3)?,
        rejected: number(4)?,
        redacted: number(5)?,
        finished: row.get(6)?,
    })
}

/// The checkpoint of an import that was interrupted and would go on.
pub(super) fn interrupted(
    connection: &Connection,
    source: &str,
    key: &ImportKey,
) -> Sql<Option<Checkpoint>> {
    let found = connection
        .query_row(
            &format!(
                "SELECT {CHECKPOINT} FROM imports JOIN sources ON sources.row = imports.source
                 WHERE name = ?1 AND settings = ?2 AND state = ?3 AND finished = 0 AND next_row > 1"
            ),
            (source, &key.settings, &key.state),
            checkpoint,
        )
        .optional()?;
    Ok(found)
}

/// The checkpoint of an import.
///
/// An import that stopped goes on where it was if neither its settings nor its data changed. One that was finished, or
/// whose data changed, begins again with its first row; what is there already is joined, not doubled.
pub(super) fn open(
    transaction: &Transaction<'_>,
    source: &Source,
    key: &ImportKey,
) -> Sql<Checkpoint> {
    let source = write::put_source(transaction, source)?;
    transaction.execute(
        "INSERT INTO imports (source, settings, state, next_row, taken, joined, rejected, redacted, finished)
         VALUES (?1, ?2, ?3, 1, 0, 0, 0, 0, 0)
         ON CONFLICT (source, settings) DO UPDATE SET
             state = excluded.state, next_row = 1, taken = 0, joined = 0, rejected = 0, redacted = 0, finished = 0
             WHERE finished = 1 OR state <> excluded.state",
        (source, &key.settings, &key.state),
    )?;
    let checkpoint = transaction.query_row(
        &format!("SELECT {CHECKPOINT} FROM imports WHERE source = ?1 AND settings = ?2"),
        (source, &key.settings),
        checkpoint,
    )?;
    if checkpoint.next_row == 1 {
        transaction.execute(
            "DELETE FROM rejects WHERE import_row = ?1",
            [checkpoint.import],
        )?;
    }
    Ok(checkpoint)
}

/// Stores a checkpoint, with what its batch wrote added, and the rejects of its batch.
pub(super) fn save(
    transaction: &Transaction<'_>,
    checkpoint: &Checkpoint,
    written: Written,
    rejects: &[Reject],
) -> Sql<()> {
    let n = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let c = checkpoint;
    transaction.execute(
        "UPDATE imports SET next_row = ?2, taken = ?3, joined = ?4, rejected = ?5, redacted = ?6, finished = ?7
         WHERE row = ?1",
        (
            c.import,
            n(c.next_row),
            n(c.taken + written.new_cases),
            n(c.joined + written.joined),
            n(c.rejected),
            n(c.redacted),
            c.finished,
        ),
    )?;
    let mut insert = transaction.prepare(
        "INSERT OR REPLACE INTO rejects (import_row, number, code, reason) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for reject in rejects {
        insert.execute((c.import, n(reject.row), &reject.code, &reject.reason))?;
    }
    Ok(())
}

/// Rows that an import refused, in order.
pub(super) fn rejects(connection: &Connection, import: i64, limit: usize) -> Sql<Vec<Reject>> {
    let mut statement = connection.prepare(
        "SELECT number, code, reason FROM rejects WHERE import_row = ?1 ORDER BY number LIMIT ?2",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((import, limit), |row| {
        Ok(Reject {
            row: row.get::<_, i64>(0)?.max(0) as u64,
            code: row.get(1)?,
            reason: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
