//! What has an embedding, what has none yet, and what cannot get one.

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::connection::Sql;
use super::embeddings::space_row;
use crate::records::{Coverage, EmbeddingKind, Space, Unembedded, UnembeddedImage, Unreadable};

const SPACE: &str = "(SELECT row FROM spaces WHERE pack = ?1 AND kind = ?2)";

/// How many images or reports have an embedding, and how many could get one.
pub(super) fn coverage(connection: &Connection, space: &Space) -> Sql<Coverage> {
    let of_space = |sql: &str| -> Sql<u64> {
        let sql = format!("SELECT count(*) FROM {sql} WHERE space = {SPACE}");
        let n: i64 =
            connection.query_row(&sql, (&space.pack, space.kind.word()), |row| row.get(0))?;
        Ok(n.max(0) as u64)
    };
    let all = match space.kind {
        EmbeddingKind::Image => "SELECT count(*) FROM images",
        EmbeddingKind::Report => {
            "SELECT count(DISTINCT case_row) FROM texts INDEXED BY texts_reports WHERE kind <> 'question'"
        }
    };
    let all: i64 = connection.query_row(all, [], |row| row.get(0))?;
    let (embedded, unreadable) = (of_space("embeddings")?, of_space("unreadable")?);
    Ok(Coverage {
        embedded,
        missing: (all.max(0) as u64).saturating_sub(embedded + unreadable),
        unreadable,
    })
}

/// Images or reports that have no embedding and can get one.
pub(super) fn missing(
    connection: &Connection,
    space: &Space,
    after: i64,
    limit: usize,
) -> Sql<Vec<Unembedded>> {
    match space.kind {
        EmbeddingKind::Image => images(connection, space, after, limit),
        EmbeddingKind::Report => reports(connection, space, after, limit),
    }
}

fn images(
    connection: &Connection,
    space: &Space,
    after: i64,
    limit: usize,
) -> Sql<Vec<Unembedded>> {
    let mut statement = connection.prepare(&format!(
        "SELECT images.row, cases.id, sources.root, images.path, bytes, modified_ns, sha256
         FROM images JOIN cases ON cases.row = images.case_row JOIN sources ON sources.row = cases.source
         WHERE images.row > ?3
         AND NOT EXISTS (SELECT 1 FROM embeddings WHERE embeddings.case_row = images.case_row
             AND space = {SPACE} AND ifnull(image_row, 0) = images.row)
         AND NOT EXISTS (SELECT 1 FROM unreadable WHERE image_row = images.row AND space = {SPACE})
         ORDER BY images.row LIMIT ?4"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((&space.pack, space.kind.word(), after, limit), |row| {
        let bytes: i64 = row.get(4)?;
        Ok(Unembedded {
            row: row.get(0)?,
            case_id: row.get(1)?,
            image: Some(UnembeddedImage {
                root: row.get(2)?,
                path: row.get(3)?,
                bytes: bytes.max(0) as u64,
                modified_ns: row.get(5)?,
                sha256: row.get(6)?,
            }),
            text: None,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn reports(
    connection: &Connection,
    space: &Space,
    after: i64,
    limit: usize,
) -> Sql<Vec<Unembedded>> {
    let mut statement = connection.prepare(&format!(
        "SELECT cases.row, cases.id,
             (SELECT group_concat(body, char(10)) FROM reports WHERE case_row = cases.row)
         FROM cases
         WHERE cases.row > ?3
         AND EXISTS (SELECT 1 FROM texts WHERE case_row = cases.row AND kind <> 'question')
         AND NOT EXISTS (SELECT 1 FROM embeddings WHERE embeddings.case_row = cases.row
             AND space = {SPACE} AND ifnull(image_row, 0) = 0)
         ORDER BY cases.row LIMIT ?4"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((&space.pack, space.kind.word(), after, limit), |row| {
        Ok(Unembedded {
            row: row.get(0)?,
            case_id: row.get(1)?,
            image: None,
            text: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Notes images that cannot be decoded; those that were deleted meanwhile are passed over.
pub(super) fn put_unreadable(
    transaction: &Transaction<'_>,
    space: &Space,
    dim: usize,
    images: &[Unreadable],
) -> Sql<()> {
    if images.is_empty() {
        return Ok(());
    }
    let (space_row, _) = space_row(transaction, space, dim)?;
    let mut find = transaction.prepare(
        "SELECT images.row FROM images JOIN cases ON cases.row = case_row WHERE cases.id = ?1 AND path = ?2",
    )?;
    let mut insert = transaction.prepare(
        "INSERT OR REPLACE INTO unreadable (space, image_row, code) VALUES (?1, ?2, ?3)",
    )?;
    for image in images {
        let row: Option<i64> = find
            .query_row((&image.case_id, &image.path), |row| row.get(0))
            .optional()?;
        if let Some(row) = row {
            insert.execute((space_row, row, &image.code))?;
        }
    }
    Ok(())
}
