//! The import itself: rows to drafts to records, batch by batch.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;

use super::draft::{Draft, Refusal, Taken};
use super::phi::{self, Identifying};
use super::plan::ImportPlan;
use super::rows::Rows;
use super::table::{self, Charset};
use super::{Checkpoint, ImportKey, Leaks, Reject, document, formats, image, words};
use crate::error::{LibraryError, Result};
use crate::records::{ImageReference, NewRecord, Source, Text, TextKind};
use crate::storage::{Batch, Storage};

/// Rows of one transaction.
const BATCH: usize = 200;
/// Rejects that a report lists; the library keeps all of them.
const LISTED: usize = 100;
/// Rejects that are counted by cause.
const COUNTED: usize = 1_000_000;

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ImportProgress {
    /// Rows done.
    pub rows: u64,
    /// Rows in all, where that is known.
    pub total: Option<u64>,
    /// Rows that were refused.
    pub rejected: u64,
}

/// How many rows were refused for one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The reject's word.
    pub code: String,
    /// Rows.
    pub rows: u64,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImportReport {
    /// Name of the source in the library.
    pub source: String,
    /// The format's word.
    pub format: String,
    /// Rows read.
    pub rows: u64,
    /// Cases that were new.
    pub taken: u64,
    /// Rows that said more, or the same again, about a case that was there.
    pub joined: u64,
    /// Rows that were refused.
    pub rejected: u64,
    /// Causes, the most frequent first.
    pub causes: Vec<Cause>,
    /// The first refused rows.
    pub rejects: Vec<Reject>,
    /// Lines of reports that were taken out because they named a patient.
    pub redacted: u64,
    /// The row that this run began with: more than 1 if it went on with an earlier one.
    pub began_with: u64,
    /// True if `stop` ended the import before the last row.
    pub cancelled: bool,
    /// What would let a test see what training saw.
    pub leaks: Leaks,
    /// Time of this run, seconds.
    pub elapsed_s: f64,
}

/// Imports a data set.
///
/// Rows that are not as they should be are refused, counted and listed; the rest is taken. What was there already is
/// joined, not doubled. An import that was stopped goes on where it was.
///
/// - `stop`: asked between batches; `true` ends the import, keeping what was done
/// - `report`: told after every batch
///
/// Errors if the data set is not laid out as its format says, or if the library cannot be written; what was reported
/// until then is kept.
pub fn import(
    storage: &dyn Storage,
    plan: &ImportPlan,
    stop: &dyn Fn() -> bool,
    report: &mut dyn FnMut(ImportProgress),
) -> Result<ImportReport> {
    let begin = Instant::now();
    let plan = settled(plan)?;
    let root = plan.data.clone();
    let rows = formats::rows(&plan)?;
    let source = Source {
        name: plan.source_name(),
        format: plan.format.word().into(),
        root: root.to_string_lossy().into_owned(),
    };
    let key = key(&plan, &rows);
    let checkpoint = storage.open_import(&source, &key)?;
    let charset = table::charset(plan.encoding.as_deref())?;
    let work = Work {
        known: &|path| storage.known_image(&source.name, path),
        plan: &plan,
        root,
        charset,
    };
    let writer = Writer {
        work,
        storage,
        source: &source,
    };
    let (done, cancelled) = writer.run(rows, checkpoint, stop, report)?;
    let all = storage.rejects(&done, COUNTED)?;
    Ok(ImportReport {
        source: source.name.clone(),
        format: source.format.clone(),
        rows: done.next_row - 1,
        taken: done.taken,
        joined: done.joined,
        rejected: done.rejected,
        causes: causes(&all),
        rejects: all.into_iter().take(LISTED).collect(),
        redacted: done.redacted,
        began_with: checkpoint.next_row,
        cancelled,
        leaks: storage.leaks(&source.name)?,
        elapsed_s: begin.elapsed().as_secs_f64(),
    })
}

/// The plan with its folder as the system knows it.
///
/// Errors if that is no folder.
pub(super) fn settled(plan: &ImportPlan) -> Result<ImportPlan> {
    let root = plan
        .data
        .canonicalize()
        .map_err(LibraryError::io(&plan.data))?;
    match root.is_dir() {
        true => Ok(ImportPlan {
            data: root,
            ..plan.clone()
        }),
        false => Err(LibraryError::Layout {
            path: plan.data.clone(),
            message: "this is no folder; give the data set's folder with --data".into(),
        }),
    }
}

/// What makes an import the same one as an earlier one.
pub(super) fn key(plan: &ImportPlan, rows: &Rows) -> ImportKey {
    ImportKey {
        settings: plan.settings(),
        state: rows.state.clone(),
    }
}

fn causes(rejects: &[Reject]) -> Vec<Cause> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for reject in rejects {
        *counts.entry(&reject.code).or_default() += 1;
    }
    let mut causes: Vec<Cause> = counts
        .into_iter()
        .map(|(code, rows)| Cause {
            code: code.into(),
            rows,
        })
        .collect();
    causes.sort_by(|a, b| b.rows.cmp(&a.rows).then(a.code.cmp(&b.code)));
    causes
}

/// What makes drafts records.
pub(super) struct Work<'a> {
    /// What the library knows of an image file below the source's folder.
    pub known: &'a (dyn Fn(&str) -> Result<Option<ImageReference>> + Sync),
    pub plan: &'a ImportPlan,
    pub root: PathBuf,
    pub charset: Charset,
}

/// A record with the number of lines that were taken out of its reports.
pub(super) type Made = (NewRecord, u64);

/// What writes records.
struct Writer<'a> {
    work: Work<'a>,
    storage: &'a dyn Storage,
    source: &'a Source,
}

impl Writer<'_> {
    fn run(
        &self,
        rows: Rows,
        mut checkpoint: Checkpoint,
        stop: &dyn Fn() -> bool,
        report: &mut dyn FnMut(ImportProgress),
    ) -> Result<(Checkpoint, bool)> {
        let total = rows.total;
        let mut drafts = rows.drafts;
        for _ in 1..checkpoint.next_row {
            if drafts.next().transpose()?.is_none() {
                break;
            }
        }
        loop {
            if stop() {
                return Ok((checkpoint, true));
            }
            let (mut batch, mut failed) = (Vec::new(), None);
            for draft in drafts.by_ref().take(BATCH) {
                match draft {
                    Ok(draft) => batch.push(draft),
                    Err(error) => failed = Some(error),
                }
                if failed.is_some() {
                    break;
                }
            }
            let ended = batch.len() < BATCH && failed.is_none();
            self.write(batch, &mut checkpoint, ended)?;
            if let Some(error) = failed {
                return Err(error);
            }
            report(ImportProgress {
                rows: checkpoint.next_row - 1,
                total,
                rejected: checkpoint.rejected,
            });
            if ended {
                return Ok((checkpoint, false));
            }
        }
    }

    /// Looks at the images of a batch and writes it.
    fn write(
        &self,
        drafts: Vec<Taken<Draft>>,
        checkpoint: &mut Checkpoint,
        ended: bool,
    ) -> Result<()> {
        let made = self.work.records(drafts)?;
        let mut batch = Batch::default();
        let mut next = *checkpoint;
        for made in made {
            match made {
                Ok((record, redacted)) => {
                    next.redacted += redacted;
                    batch.records.push(record);
                }
                Err(refusal) => {
                    next.rejected += 1;
                    batch.rejects.push(Reject {
                        row: next.next_row,
                        code: refusal.code.into(),
                        reason: refusal.reason,
                    });
                }
            }
            next.next_row += 1;
        }
        next.finished = ended;
        // Which cases are new is known only inside the transaction, which then writes the checkpoint with the counts.
        batch.checkpoint = Some(next);
        let written = self.storage.put(self.source, &batch)?;
        next.taken += written.new_cases;
        next.joined += written.joined;
        *checkpoint = next;
        Ok(())
    }
}

impl Work<'_> {
    /// Records of drafts, in their order; their images are looked at, on all threads.
    pub(super) fn records(&self, drafts: Vec<Taken<Draft>>) -> Result<Vec<Taken<Made>>> {
        let images = self.images(&drafts)?;
        Ok(drafts
            .into_par_iter()
            .map(|draft| self.record(draft?, &images))
            .collect())
    }

    /// Probes every image of a batch once.
    fn images(&self, drafts: &[Taken<Draft>]) -> Result<HashMap<String, Taken<ImageReference>>> {
        let mut paths: Vec<String> = drafts
            .par_iter()
            .filter_map(|draft| draft.as_ref().ok())
            .flat_map_iter(|draft| &draft.images)
            .filter_map(|image| image::find(&self.root, &image.candidates).ok())
            .collect();
        paths.sort_unstable();
        paths.dedup();
        let known = paths
            .into_iter()
            .map(|path| {
                let known = (self.known)(&path)?;
                Ok((path, known))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(known
            .into_par_iter()
            .map(|(path, known)| {
                let probed = image::probe(&self.root, &path, known);
                (path, probed)
            })
            .collect())
    }

    fn record(&self, draft: Draft, images: &HashMap<String, Taken<ImageReference>>) -> Taken<Made> {
        let mut record = NewRecord {
            key: draft.key,
            patient: draft.patient,
            facts: draft.facts,
            texts: draft.texts,
            labels: draft.labels,
            questions: draft.questions,
            regions: draft.regions,
            ..NewRecord::default()
        };
        for wanted in &draft.images {
            let path = image::find(&self.root, &wanted.candidates)?;
            let missing = || Refusal::new("missing_image", "the image file is not there");
            let mut reference = images.get(&path).ok_or_else(missing)?.clone()?;
            reference.view.clone_from(&wanted.view);
            if path.to_lowercase().ends_with(".dcm") {
                let origin = image::origin(&self.root.join(&path)).unwrap_or_default();
                reference.view = reference.view.take().or(origin.facts.view.clone());
                record.facts.fill_from(&origin.facts);
            }
            record.images.push(reference);
        }
        if let Some(path) = &draft.dicom_file {
            self.dicom(path, &mut record)?;
        }
        for path in &draft.report_files {
            let body = document::read(path, self.charset)?;
            record.texts.push(Text {
                kind: TextKind::Report,
                body,
            });
        }
        let redacted = self.clean(&mut record)?;
        check_regions(&record)?;
        self.defaults(&mut record);
        if record.images.is_empty()
            && record.texts.is_empty()
            && record.labels.is_empty()
            && record.questions.is_empty()
        {
            return Err(Refusal::new("empty_row", "the row says nothing of a case"));
        }
        Ok((record, redacted))
    }

    /// Takes in a DICOM file: an image, or a structured report.
    fn dicom(&self, path: &Path, record: &mut NewRecord) -> Taken<()> {
        let origin = match image::report(path)? {
            Some((origin, text)) => {
                record.texts.push(text);
                origin
            }
            None => {
                let origin = image::origin(path);
                let below = super::rows::below(&self.root, path);
                if record.images.is_empty() {
                    let known = (self.known)(&below).ok().flatten();
                    let mut reference = image::probe(&self.root, &below, known)?;
                    reference.view = origin.as_ref().and_then(|origin| origin.facts.view.clone());
                    record.images.push(reference);
                }
                origin.unwrap_or_default()
            }
        };
        record.facts.fill_from(&origin.facts);
        record.patient = record.patient.take().or(origin.patient);
        if record.key.is_empty() {
            record.key = match origin.study.is_empty() {
                true => super::rows::below(&self.root, path),
                false => origin.study,
            };
        }
        Ok(())
    }

    /// Takes identifying lines out of reports and counts them.
    fn clean(&self, record: &mut NewRecord) -> Taken<u64> {
        let mut lines = 0;
        for text in &mut record.texts {
            let cleaned = phi::clean(&text.body);
            if cleaned.lines > 0 && self.plan.identifying == Identifying::Refuse {
                return Err(Refusal::new(
                    "identifying",
                    "the report has a line that names a patient; import it with --identifying redact to take such lines out",
                ));
            }
            lines += cleaned.lines;
            text.body = without_controls(cleaned.text);
        }
        for question in &mut record.questions {
            question.question = without_controls(std::mem::take(&mut question.question));
            question.answer = question.answer.take().map(without_controls);
        }
        record.texts.retain(|text| !text.body.is_empty());
        Ok(lines)
    }

    fn defaults(&self, record: &mut NewRecord) {
        let plan = self.plan;
        let facts = &mut record.facts;
        let modality = || plan.modality.as_deref().and_then(words::modality);
        facts.modality = facts.modality.take().or_else(modality);
        let body_part = || plan.body_part.as_deref().and_then(words::body_part);
        facts.body_part = facts.body_part.take().or_else(body_part);
        facts.split = facts.split.take().or_else(|| plan.split.clone());
        let domain = plan.patient_domain.as_deref();
        let domain = domain.unwrap_or_else(|| plan.format.patient_domain());
        let patient = record.patient.take();
        record.patient = patient
            .filter(|patient| !patient.trim().is_empty())
            .map(|patient| super::patient_in(domain, &patient));
    }
}

/// Takes out control characters, which excerpts use as marks, and zero bytes.
fn without_controls(text: String) -> String {
    match text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
        true => text
            .chars()
            .filter(|&c| !c.is_control() || matches!(c, '\n' | '\t'))
            .collect(),
        false => text,
    }
}

/// Rectangles must lie on their images, give or take a pixel of rounding.
fn check_regions(record: &NewRecord) -> Taken<()> {
    for region in &record.regions {
        let outside = || Refusal::new("bad_box", "a rectangle lies outside its image");
        let image = record.images.get(region.image).ok_or_else(outside)?;
        let fits = region.x >= -1.0
            && region.y >= -1.0
            && region.width > 0.0
            && region.height > 0.0
            && region.x + region.width <= f64::from(image.width) + 1.0
            && region.y + region.height <= f64::from(image.height) + 1.0;
        if !fits {
            return Err(outside());
        }
    }
    Ok(())
}
