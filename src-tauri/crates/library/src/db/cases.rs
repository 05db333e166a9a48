//! Deleting cases.

use rusqlite::{OptionalExtension as _, Transaction};
use serde_json::json;

use super::audit;
use super::blocks;
use super::connection::Sql;
use crate::error::LibraryError;
use crate::files::{digest, hex};

/// Deletes cases; foreign keys and triggers take images, texts, words, labels, boxes and embeddings along.
///
/// The audit log keeps a digest of each identifier: who knows one can see that it was deleted, and nothing else.
///
/// - returns how many there were, and whether one had an embedding
pub(super) fn delete(transaction: &Transaction<'_>, ids: &[String]) -> Sql<(u64, bool)> {
    let mut embedded =
        transaction.prepare("SELECT EXISTS (SELECT 1 FROM embeddings WHERE case_row = ?1)")?;
    let mut find = transaction.prepare("SELECT row FROM cases WHERE id = ?1")?;
    let mut remove = transaction.prepare("DELETE FROM cases WHERE row = ?1")?;
    let (mut deleted, mut had_embeddings) = (0, false);
    for id in ids {
        let row: Option<i64> = find.query_row([id], |row| row.get(0)).optional()?;
        let row = row.ok_or_else(|| LibraryError::NoCase { id: id.clone() })?;
        had_embeddings |= embedded.query_row([row], |row| row.get::<_, bool>(0))?;
        blocks::forget(transaction, row)?;
        deleted += remove.execute([row])? as u64;
        let detail = json!({ "case_sha256": hex(&digest(id.as_bytes())[..8]) });
        audit::append(transaction, "delete", &detail)?;
    }
    Ok((deleted, had_embeddings))
}
