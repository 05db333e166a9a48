//! Writing cases: one batch, one transaction.

use std::collections::HashMap;

use rusqlite::{OptionalExtension as _, Statement, Transaction};
use sha2::{Digest, Sha256};

use super::blocks;
use super::connection::Sql;
use super::imports;
use super::key::PatientKey;
use super::read::{FACTS, facts};
use crate::case::is_plain_name;
use crate::error::LibraryError;
use crate::records::{ImageReference, NewRecord, Question, Source, TextKind};
use crate::storage::{Batch, Written};

/// Purposes that keep pseudonyms apart.
pub(super) const PATIENT: &str = "patient";
const CASE: &str = "case";

/// Writes records, rejects and the checkpoint.
pub(super) fn batch(
    transaction: &Transaction<'_>,
    key: &PatientKey,
    source: &Source,
    batch: &Batch,
) -> Sql<Written> {
    let source_row = put_source(transaction, source)?;
    let mut writer = Writer::new(transaction)?;
    let mut written = Written::default();
    for record in &batch.records {
        let scope = format!("{CASE} {}", source.name);
        let id = format!(
            "{}-{}",
            source.name,
            &key.pseudonym(&scope, &record.key)[..16]
        );
        let patient = record.patient.as_deref().map(str::trim);
        let patient = patient
            .filter(|patient| !patient.is_empty())
            .map(|patient| key.pseudonym(PATIENT, patient));
        match writer.record(source_row, &id, patient.as_deref(), record)? {
            true => written.new_cases += 1,
            false => written.joined += 1,
        }
    }
    blocks::keep(transaction)?;
    if let Some(checkpoint) = &batch.checkpoint {
        imports::save(transaction, checkpoint, written, &batch.rejects)?;
    }
    Ok(written)
}

/// The row of a source, which is made if it is new; a folder that moved is noted.
pub(super) fn put_source(transaction: &Transaction<'_>, source: &Source) -> Sql<i64> {
    if !is_plain_name(&source.name) {
        return Err(LibraryError::Request(
            "a source's name may have letters, digits, '-', '_' and '.' only; give one with --source".into(),
        )
        .into());
    }
    let row = transaction.query_row(
        "INSERT INTO sources (name, format, root) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET format = excluded.format, root = excluded.root RETURNING row",
        (&source.name, &source.format, &source.root),
        |row| row.get(0),
    )?;
    Ok(row)
}

/// The statements of one transaction.
struct Writer<'t> {
    find: Statement<'t>,
    insert: Statement<'t>,
    update: Statement<'t>,
    image: Statement<'t>,
    image_row: Statement<'t>,
    text: Statement<'t>,
    text_row: Statement<'t>,
    question: Statement<'t>,
    label: Statement<'t>,
    region: Statement<'t>,
}

impl<'t> Writer<'t> {
    fn new(t: &'t Transaction<'_>) -> Sql<Self> {
        Ok(Self {
            find: t.prepare(&format!(
                "SELECT row, patient, {FACTS} FROM cases WHERE id = ?1"
            ))?,
            insert: t.prepare(&format!(
                "INSERT INTO cases (id, source, patient, {FACTS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
            ))?,
            update: t.prepare(
                "UPDATE cases SET patient = ?2, modality = ?3, body_part = ?4, view = ?5, sex = ?6, age = ?7,
                 date = ?8, split = ?9 WHERE row = ?1",
            )?,
            image: t.prepare(
                "INSERT INTO images (case_row, path, bytes, modified_ns, sha256, perceptual, width, height, frames, view)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (case_row, path) DO UPDATE SET
                     bytes = excluded.bytes, modified_ns = excluded.modified_ns, sha256 = excluded.sha256,
                     perceptual = excluded.perceptual, width = excluded.width, height = excluded.height,
                     frames = excluded.frames, view = excluded.view",
            )?,
            image_row: t.prepare("SELECT row FROM images WHERE case_row = ?1 AND path = ?2")?,
            text: t.prepare(
                "INSERT OR IGNORE INTO texts (case_row, kind, body, answer, digest) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            text_row: t.prepare("SELECT row FROM texts WHERE case_row = ?1 AND digest = ?2")?,
            question: t.prepare(
                "INSERT INTO questions (text_row, answer_type, question_type, language, reference, split)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            label: t.prepare(
                "INSERT INTO labels (case_row, name, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (case_row, name, reader) DO UPDATE SET value = excluded.value",
            )?,
            region: t.prepare(
                "INSERT OR IGNORE INTO boxes (case_row, image_row, label, x, y, width, height)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
        })
    }

    /// Writes one record; true if its case is new.
    fn record(
        &mut self,
        source: i64,
        id: &str,
        patient: Option<&str>,
        record: &NewRecord,
    ) -> Sql<bool> {
        let (case, new) = self.case(source, id, patient, record)?;
        let mut rows = HashMap::new();
        for (i, image) in record.images.iter().enumerate() {
            rows.insert(i, self.image(case, image)?);
        }
        for text in &record.texts {
            let digest = content_digest(&[text.kind.word(), &text.body]);
            self.text.execute((
                case,
                text.kind.word(),
                &text.body,
                None::<&str>,
                &digest[..16],
            ))?;
        }
        for question in &record.questions {
            self.question(case, question)?;
        }
        for label in &record.labels {
            self.label
                .execute((case, label.name.trim(), label.value.number()))?;
        }
        for region in &record.regions {
            let image = rows.get(&region.image).ok_or_else(|| {
                LibraryError::Request("a rectangle lies on an image that its record lacks".into())
            })?;
            self.region.execute((
                case,
                image,
                &region.label,
                region.x,
                region.y,
                region.width,
                region.height,
            ))?;
        }
        Ok(new)
    }

    fn case(
        &mut self,
        source: i64,
        id: &str,
        patient: Option<&str>,
        record: &NewRecord,
    ) -> Sql<(i64, bool)> {
        let found = self
            .find
            .query_row([id], |row| {
                let known: (i64, Option<String>) = (row.get(0)?, row.get(1)?);
                Ok((known.0, known.1, facts(row, 2)?))
            })
            .optional()?;
        let f = &record.facts;
        let Some((row, known_patient, known)) = found else {
            let row = self.insert.insert((
                id,
                source,
                patient,
                &f.modality,
                &f.body_part,
                &f.view,
                &f.sex,
                f.age,
                &f.date,
                &f.split,
            ))?;
            return Ok((row, true));
        };
        let mut joined = record.facts.clone();
        joined.fill_from(&known);
        // Of several views the first is the case's; each image has its own.
        joined.view = known.view.clone().or(joined.view);
        if joined != known || (known_patient.is_none() && patient.is_some()) {
            self.update.execute((
                row,
                known_patient.as_deref().or(patient),
                &joined.modality,
                &joined.body_part,
                &joined.view,
                &joined.sex,
                joined.age,
                &joined.date,
                &joined.split,
            ))?;
        }
        Ok((row, false))
    }

    fn image(&mut self, case: i64, image: &ImageReference) -> Sql<i64> {
        let bytes = i64::try_from(image.bytes).unwrap_or(i64::MAX);
        self.image.execute((
            case,
            &image.path,
            bytes,
            image.modified_ns,
            image.sha256.as_slice(),
            image.perceptual.as_ref().map(<[u8; 32]>::as_slice),
            image.width,
            image.height,
            image.frames,
            &image.view,
        ))?;
        Ok(self
            .image_row
            .query_row((case, &image.path), |row| row.get(0))?)
    }

    fn question(&mut self, case: i64, question: &Question) -> Sql<()> {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        let digest = content_digest(&[
            TextKind::Question.word(),
            &question.question,
            &part(&question.answer),
            &part(&question.language),
            &part(&question.reference),
        ]);
        let inserted = self.text.execute((
            case,
            TextKind::Question.word(),
            &question.question,
            &question.answer,
            &digest[..16],
        ))?;
        if inserted == 0 {
            return Ok(());
        }
        let row: i64 = self
            .text_row
            .query_row((case, &digest[..16]), |row| row.get(0))?;
        self.question.execute((
            row,
            &question.answer_type,
            &question.question_type,
            &question.language,
            &question.reference,
            &question.split,
        ))?;
        Ok(())
    }
}

/// Tells contents apart, however their parts are divided.
fn content_digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}
