//! Embeddings: 16-bit floats, little endian, one row an image or a report.

use half::f16;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params_from_iter};

use super::connection::Sql;
use super::filter;
use crate::error::LibraryError;
use crate::records::{
    Embedded, EmbeddingKind, Filter, NewEmbedding, Space, SpaceState, StoredEmbedding,
};

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
    let mut pixels = transaction.prepare("UPDATE images SET pixels = ?2 WHERE row = ?1")?;
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
        if let (Some(image_row), Some(hash)) = (image_row, &embedding.pixels) {
            pixels.execute((image_row, hash.as_slice()))?;
        }
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

/// The row of a space, which is made if it is new, and the length of its vectors.
pub(super) fn space_row(
    transaction: &Transaction<'_>,
    space: &Space,
    dim: usize,
) -> Sql<(i64, usize)> {
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

/// How many embeddings a space has, and when they last changed.
pub(super) fn state(connection: &Connection, space: &Space) -> Sql<SpaceState> {
    let found = connection
        .query_row(
            "SELECT changed, dim, (SELECT count(*) FROM embeddings WHERE space = spaces.row)
             FROM spaces WHERE pack = ?1 AND kind = ?2",
            (&space.pack, space.kind.word()),
            |row| {
                let number = |i| row.get::<_, i64>(i).map(|n| n.max(0) as u64);
                Ok(SpaceState {
                    changed: number(0)?,
                    dim: number(1)? as usize,
                    count: number(2)?,
                })
            },
        )
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Rows of the embeddings of the cases that a filter lets through, ascending.
///
/// Indexes alone are read: vectors lie in the same pages as their rows and would be read too.
pub(super) fn rows(connection: &Connection, space: &Space, filter: &Filter) -> Sql<Vec<i64>> {
    let space: Option<i64> = connection
        .query_row(
            "SELECT row FROM spaces WHERE pack = ?1 AND kind = ?2",
            (&space.pack, space.kind.word()),
            |row| row.get(0),
        )
        .optional()?;
    let Some(space) = space else {
        return Ok(Vec::new());
    };
    let (condition, filters) = filter::condition(filter, "cases");
    let mut rows = match condition.is_empty() {
        true => numbers(
            connection,
            "SELECT row FROM embeddings INDEXED BY embeddings_space WHERE space = ?",
            params_from_iter([space]),
        )?,
        false => {
            let sql = format!("SELECT row FROM cases {condition}");
            let mut cases = numbers(connection, &sql, params_from_iter(filters))?;
            cases.sort_unstable();
            of_cases(connection, space, &cases)?
        }
    };
    rows.sort_unstable();
    Ok(rows)
}

fn numbers(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> Sql<Vec<i64>> {
    let mut statement = connection.prepare(sql)?;
    let found = statement.query_map(values, |row| row.get(0))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Of so many cases one is looked for by itself; with more, reading all in order is quicker.
const LOOKED_FOR: i64 = 8;

/// Rows of the embeddings of some cases.
///
/// - `cases`: ascending
fn of_cases(connection: &Connection, space: i64, cases: &[i64]) -> Sql<Vec<i64>> {
    let last: Option<i64> =
        connection.query_row("SELECT max(row) FROM cases", [], |row| row.get(0))?;
    let mut found = Vec::with_capacity(cases.len());
    if (cases.len() as i64) < last.unwrap_or(0) / LOOKED_FOR {
        let mut statement = connection.prepare(
            "SELECT row FROM embeddings INDEXED BY embeddings_of WHERE case_row = ?1 AND space = ?2",
        )?;
        for case in cases {
            let mut rows = statement.query((case, space))?;
            while let Some(row) = rows.next()? {
                found.push(row.get(0)?);
            }
        }
        return Ok(found);
    }
    let mut statement = connection.prepare(
        "SELECT case_row, row FROM embeddings INDEXED BY embeddings_of
         WHERE case_row > 0 AND space = ?1 ORDER BY case_row",
    )?;
    let mut rows = statement.query([space])?;
    let mut next = 0;
    while let Some(row) = rows.next()? {
        let case: i64 = row.get(0)?;
        while cases.get(next).is_some_and(|&wanted| wanted < case) {
            next += 1;
        }
        if cases.get(next) == Some(&case) {
            found.push(row.get(1)?);
        }
    }
    Ok(found)
}

/// What rows of embeddings belong to.
pub(super) fn embedded(connection: &Connection, rows: &[i64]) -> Sql<Vec<Embedded>> {
    let mut statement = connection.prepare(
        "SELECT cases.id, image_row IS NOT NULL, (SELECT count(*) FROM images AS before
             WHERE before.case_row = embeddings.case_row AND before.row < image_row)
         FROM embeddings JOIN cases ON cases.row = case_row WHERE embeddings.row = ?1",
    )?;
    let mut found = Vec::with_capacity(rows.len());
    for &row in rows {
        let one = statement
            .query_row([row], |columns| {
                let (of_image, place): (bool, i64) = (columns.get(1)?, columns.get(2)?);
                Ok(Embedded {
                    row,
                    case_id: columns.get(0)?,
                    image: of_image.then_some(place.max(0) as usize),
                })
            })
            .optional()?;
        found.extend(one);
    }
    Ok(found)
}
