//! Embeddings: 16-bit floats, little endian, one row an image or a report.

use half::f16;
use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::connection::Sql;
use crate::error::LibraryError;
use crate::records::{EmbeddingKind, NewEmbedding, Space, StoredEmbedding, Unembedded};

/// Stores embeddings, in place of earlier ones of the same images or reports.
pub(super) fn put(
    transaction: &Transaction<'_>,
    space: &Space,
    embeddings: &[NewEmbedding],
) -> Sql<()> {
    let Some(first) = embeddings.first() else {
        return Ok(());
    };
    let (space_row, dim) = space_row(transaction, space, first.vector.len())?;
    let mut case = transaction.prepare("SELECT row FROM cases WHERE id = ?1")?;
    let mut image =
        transaction.prepare("SELECT row FROM images WHERE case_row = ?1 AND path = ?2")?;
    // A new row number rather than a changed row: what is above a reader's last row is new to it.
    let mut remove = transaction.prepare(
        "DELETE FROM embeddings WHERE space = ?1 AND case_row = ?2 AND ifnull(image_row, 0) = ifnull(?3, 0)",
    )?;
    let mut insert = transaction.prepare(
        "INSERT INTO embeddings (space, case_row, image_row, vector) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for embedding in embeddings {
        check(embedding, dim)?;
        let id = &embedding.case_id;
        let case_row: Option<i64> = case.query_row([id], |row| row.get(0)).optional()?;
        let case_row = case_row.ok_or_else(|| LibraryError::NoCase { id: id.clone() })?;
        let image_row: Option<i64> = match (&embedding.image, space.kind) {
            (Some(path), EmbeddingKind::Image) => {
                let row = image.query_row((case_row, path), |row| row.get(0));
                Some(row.optional()?.ok_or_else(|| {
                    LibraryError::Vectors(format!("case {id} has no image of that path"))
                })?)
            }
            (None, EmbeddingKind::Report) => None,
            _ => {
                let wanted = "an embedding of an image names it, one of a report does not";
                return Err(LibraryError::Vectors(wanted.into()).into());
            }
        };
        remove.execute((space_row, case_row, image_row))?;
        let bytes: Vec<u8> = embedding
            .vector
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        insert.execute((space_row, case_row, image_row, bytes))?;
    }
    Ok(())
}

fn check(embedding: &NewEmbedding, dim: usize) -> Result<(), LibraryError> {
    if embedding.vector.len() != dim {
        return Err(LibraryError::Vectors(format!(
            "a vector of {} numbers among vectors of {dim}",
            embedding.vector.len()
        )));
    }
    let usable = embedding.vector.iter().all(|x| x.is_finite())
        && embedding.vector.iter().any(|x| *x != f16::ZERO);
    match usable {
        true => Ok(()),
        false => Err(LibraryError::Vectors(
            "a vector is zero or not finite".into(),
        )),
    }
}

fn space_row(transaction: &Transaction<'_>, space: &Space, dim: usize) -> Sql<(i64, usize)> {
    transaction.execute(
        "INSERT OR IGNORE INTO spaces (pack, kind, dim) VALUES (?1, ?2, ?3)",
        (&space.pack, space.kind.word(), dim as i64),
    )?;
    let (row, dim): (i64, i64) = transaction.query_row(
        "SELECT row, dim FROM spaces WHERE pack = ?1 AND kind = ?2",
        (&space.pack, space.kind.word()),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok((row, dim as usize))
}

/// Embeddings above the row `after`, in the order of rows.
pub(super) fn after(
    connection: &Connection,
    space: &Space,
    after: i64,
    limit: usize,
) -> Sql<Vec<StoredEmbedding>> {
    let mut statement = connection.prepare(
        "SELECT embeddings.row, cases.id, vector FROM embeddings JOIN cases ON cases.row = case_row
         WHERE space = (SELECT row FROM spaces WHERE pack = ?1 AND kind = ?2) AND embeddings.row > ?3
         ORDER BY embeddings.row LIMIT ?4",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((&space.pack, space.kind.word(), after, limit), |row| {
        let bytes = row.get_ref(2)?.as_blob()?;
        let pairs = bytes.as_chunks::<2>().0;
        Ok(StoredEmbedding {
            row: row.get(0)?,
            case_id: row.get(1)?,
            vector: pairs.iter().map(|&pair| f16::from_le_bytes(pair)).collect(),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many embeddings a space has.
pub(super) fn count(connection: &Connection, space: &Space) -> Sql<u64> {
    let n: i64 = connection.query_row(
        "SELECT count(*) FROM embeddings
         WHERE space = (SELECT row FROM spaces WHERE pack = ?1 AND kind = ?2)",
        (&space.pack, space.kind.word()),
        |row| row.get(0),
    )?;
    Ok(n.max(0) as u64)
}

/// Images or reports that have no embedding.
pub(super) fn missing(
    connection: &Connection,
    space: &Space,
    after: i64,
    limit: usize,
) -> Sql<Vec<Unembedded>> {
    let sql = match space.kind {
        EmbeddingKind::Image => {
            "SELECT images.row, cases.id, sources.root, images.path, NULL
             FROM images JOIN cases ON cases.row = images.case_row JOIN sources ON sources.row = cases.source
             WHERE images.row > ?3 AND NOT EXISTS (
                 SELECT 1 FROM embeddings WHERE embeddings.case_row = images.case_row AND image_row = images.row
                 AND space = (SELECT row FROM spaces WHERE pack = ?1 AND kind = ?2))
             ORDER BY images.row LIMIT ?4"
        }
        EmbeddingKind::Report => {
            "SELECT cases.row, cases.id, NULL, NULL,
                 (SELECT group_concat(body, char(10)) FROM reports WHERE case_row = cases.row)
             FROM cases
             WHERE cases.row > ?3 AND EXISTS (SELECT 1 FROM reports WHERE case_row = cases.row)
             AND NOT EXISTS (
                 SELECT 1 FROM embeddings WHERE embeddings.case_row = cases.row
                 AND space = (SELECT row FROM spaces WHERE pack = ?1 AND kind = ?2))
             ORDER BY cases.row LIMIT ?4"
        }
    };
    let mut statement = connection.prepare(sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((&space.pack, space.kind.word(), after, limit), |row| {
        let (root, path): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
        Ok(Unembedded {
            row: row.get(0)?,
            case_id: row.get(1)?,
            image: root.zip(path),
            text: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
