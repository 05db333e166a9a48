//! Versions of the schema: `PRAGMA user_version` counts the migrations that were applied.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use super::connection::{Place, sql_error};
use super::maintain;
use crate::error::{LibraryError, Result};

/// Marks the file as a case library, `PRAGMA application_id`: the letters `LUCY`.
pub(crate) const APPLICATION_ID: i64 = 0x4C55_4359;

/// One step from each version to the next, in order.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
];

/// Brings a database to the newest schema, after a backup of what was there.
///
/// - returns the backup, if one was made
///
/// Errors, changing nothing, if the database is another program's or a newer version's.
pub(crate) fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &[&str],
) -> Result<Option<PathBuf>> {
    let newest = migrations.len() as i64;
    let found = version(connection, path)?;
    if found == newest {
        return Ok(None);
    }
    let backup = match found {
        0 => None,
        _ => {
            let backup = path.with_extension(format!("schema{found}.backup"));
            maintain::copy(connection, path, &backup)?;
            Some(backup)
        }
    };
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .at(path)?;
    // Another program may have been faster between the two looks.
    let found = pragma(&transaction, "user_version").at(path)?;
    for migration in &migrations[(found as usize).min(migrations.len())..] {
        transaction.execute_batch(migration).at(path)?;
    }
    transaction
        .pragma_update(None, "application_id", APPLICATION_ID)
        .at(path)?;
    transaction
        .pragma_update(None, "user_version", newest)
        .at(path)?;
    transaction.commit().at(path)?;
    Ok(backup)
}

/// The database's schema version; 0 for an empty one.
///
/// Errors if it is another program's database or a newer version's.
pub(crate) fn version(connection: &Connection, path: &Path) -> Result<i64> {
    let found = pragma(connection, "user_version").at(path)?;
    let application = pragma(connection, "application_id").at(path)?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|e| sql_error(e, path))?;
    if application != APPLICATION_ID && (application != 0 || tables > 0) {
        return Err(LibraryError::Damaged {
            path: path.into(),
            message: "this is another program's database, not a case library".into(),
        });
    }
    let supported = MIGRATIONS.len() as i64;
    if found > supported {
        return Err(LibraryError::NewerLibrary {
            path: path.into(),
            found,
            supported,
        });
    }
    Ok(found)
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}
