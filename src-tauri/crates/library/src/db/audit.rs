//! The append-only record of what was done to the library.

use rusqlite::Connection;
use serde::Serialize;

use super::SqliteStore;
use super::connection::Sql;
use crate::error::Result;

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// When, UTC, RFC 3339.
    pub at: String,
    /// What: `import`, `delete`, `backup`, `restore`, `migrate`.
    pub action: String,
    /// Numbers and names of sources as JSON; never patient data.
    pub detail: serde_json::Value,
}

/// This moment, UTC, to the second.
pub(super) fn now() -> String {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Second).unwrap_or(now).to_string()
}

/// Adds a line.
pub(super) fn append(connection: &Connection, action: &str, detail: &serde_json::Value) -> Sql<()> {
    connection.execute(
        "INSERT INTO audit (at, action, detail) VALUES (?1, ?2, ?3)",
        (now(), action, detail.to_string()),
    )?;
    Ok(())
}

impl SqliteStore {
    /// Adds a line to the audit log.
    pub(crate) fn note(&self, action: &str, detail: &serde_json::Value) -> Result<()> {
        self.write(|transaction| append(transaction, action, detail))
    }

    /// The last lines of the audit log, the newest first.
    pub fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>> {
        self.read(|connection| {
            let mut statement = connection
                .prepare("SELECT at, action, detail FROM audit ORDER BY row DESC LIMIT ?1")?;
            let rows = statement.query_map([limit as i64], |row| {
                let detail: String = row.get(2)?;
                Ok(AuditEntry {
                    at: row.get(0)?,
                    action: row.get(1)?,
                    detail: serde_json::from_str(&detail).unwrap_or_default(),
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}
