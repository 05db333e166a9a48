//! Reading whole cases.

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::connection::Sql;
use crate::error::LibraryError;
use crate::records::{
    CaseRecord, Facts, ImageReference, Label, LabelValue, Question, Region, Source, Text, TextKind,
};

/// A value of the table `meta`.
pub(super) fn meta(connection: &Connection, key: &str) -> Sql<Option<String>> {
    let value = connection
        .query_row(
            "SELECT CAST(value AS TEXT) FROM meta WHERE key = ?1",
            [key],
            |row| row.get(0),
        )
        .optional()?;
    Ok(value)
}

/// The columns of [`facts`], in order.
pub(super) const FACTS: &str = "modality, body_part, view, sex, age, date, split";

/// Reads [`FACTS`] from the column `first` on.
pub(super) fn facts(row: &Row<'_>, first: usize) -> rusqlite::Result<Facts> {
    Ok(Facts {
        modality: row.get(first)?,
        body_part: row.get(first + 1)?,
        view: row.get(first + 2)?,
        sex: row.get(first + 3)?,
        age: row.get(first + 4)?,
        date: row.get(first + 5)?,
        split: row.get(first + 6)?,
    })
}

const IMAGE: &str =
    "path, bytes, modified_ns, sha256, perceptual, width, height, frames, images.view";

fn image(row: &Row<'_>) -> rusqlite::Result<ImageReference> {
    let bytes: i64 = row.get(1)?;
    Ok(ImageReference {
        path: row.get(0)?,
        bytes: bytes.max(0) as u64,
        modified_ns: row.get(2)?,
        sha256: row.get(3)?,
        perceptual: row.get(4)?,
        width: row.get(5)?,
        height: row.get(6)?,
        frames: row.get(7)?,
        view: row.get(8)?,
    })
}

/// Reads a case with everything that belongs to it.
pub(super) fn case(connection: &Connection, id: &str) -> Sql<CaseRecord> {
    let sql = format!(
        "SELECT cases.row, id, patient, name, format, root, {FACTS}
         FROM cases JOIN sources ON sources.row = cases.source WHERE id = ?1"
    );
    let found = connection
        .query_row(&sql, [id], |row| {
            let record = CaseRecord {
                id: row.get(1)?,
                patient: row.get(2)?,
                source: Source {
                    name: row.get(3)?,
                    format: row.get(4)?,
                    root: row.get(5)?,
                },
                facts: facts(row, 6)?,
                images: Vec::new(),
                texts: Vec::new(),
                labels: Vec::new(),
                questions: Vec::new(),
                regions: Vec::new(),
            };
            Ok((row.get::<_, i64>(0)?, record))
        })
        .optional()?;
    let (row, mut record) = found.ok_or_else(|| LibraryError::NoCase { id: id.into() })?;
    record.images = images(connection, row)?;
    (record.texts, record.questions) = texts(connection, row)?;
    record.labels = labels(connection, row)?;
    record.regions = regions(connection, row)?;
    Ok(record)
}

fn images(connection: &Connection, case: i64) -> Sql<Vec<ImageReference>> {
    let sql = format!("SELECT {IMAGE} FROM images WHERE case_row = ?1 ORDER BY row");
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([case], image)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn texts(connection: &Connection, case: i64) -> Sql<(Vec<Text>, Vec<Question>)> {
    let mut statement = connection.prepare(
        "SELECT kind, body, answer, answer_type, question_type, language, reference, split
         FROM texts LEFT JOIN questions ON text_row = row WHERE case_row = ?1 ORDER BY row",
    )?;
    let mut rows = statement.query([case])?;
    let (mut texts, mut questions) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let word: String = row.get(0)?;
        let body = row.get(1)?;
        match TextKind::from_word(&word) {
            TextKind::Question => questions.push(Question {
                question: body,
                answer: row.get(2)?,
                answer_type: row.get(3)?,
                question_type: row.get(4)?,
                language: row.get(5)?,
                reference: row.get(6)?,
                split: row.get(7)?,
            }),
            kind => texts.push(Text { kind, body }),
        }
    }
    Ok((texts, questions))
}

fn labels(connection: &Connection, case: i64) -> Sql<Vec<Label>> {
    let mut statement = connection.prepare(
        "SELECT name, value, reader, at FROM labels WHERE case_row = ?1 ORDER BY name, reader",
    )?;
    let rows = statement.query_map([case], |row| label(row, 0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Reads `name, value, reader, at` from the column `first` on.
pub(super) fn label(row: &Row<'_>, first: usize) -> rusqlite::Result<Label> {
    let reader: String = row.get(first + 2)?;
    Ok(Label {
        name: row.get(first)?,
        value: LabelValue::from_number(row.get(first + 1)?),
        reader: Some(reader).filter(|reader| !reader.is_empty()),
        at: row.get(first + 3)?,
    })
}

fn regions(connection: &Connection, case: i64) -> Sql<Vec<Region>> {
    let mut statement = connection.prepare(
        "SELECT (SELECT count(*) FROM images AS before
                 WHERE before.case_row = boxes.case_row AND before.row < image_row),
                label, x, y, width, height
         FROM boxes WHERE case_row = ?1 ORDER BY row",
    )?;
    let rows = statement.query_map([case], |row| {
        let image: i64 = row.get(0)?;
        Ok(Region {
            image: image as usize,
            label: row.get(1)?,
            x: row.get(2)?,
            y: row.get(3)?,
            width: row.get(4)?,
            height: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// An image of a source as it was when it was imported.
pub(super) fn known_image(
    connection: &Connection,
    source: &str,
    path: &str,
) -> Sql<Option<ImageReference>> {
    let sql = format!(
        "SELECT {IMAGE} FROM images JOIN cases ON cases.row = case_row
         WHERE path = ?1 AND source = (SELECT row FROM sources WHERE name = ?2) LIMIT 1"
    );
    Ok(connection
        .query_row(&sql, (path, source), image)
        .optional()?)
}

/// Cases that have an image, told by its file's or its pixels' hash.
pub(super) fn cases_with_image(
    connection: &Connection,
    file: Option<&[u8; 32]>,
    pixels: Option<&[u8; 32]>,
) -> Sql<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT id FROM cases WHERE row IN (
             SELECT case_row FROM images WHERE sha256 = ?1
             UNION SELECT case_row FROM images WHERE pixels = ?2) ORDER BY row",
    )?;
    let bytes = |hash: Option<&[u8; 32]>| hash.map(|hash| hash.to_vec());
    let rows = statement.query_map((bytes(file), bytes(pixels)), |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
