//! The import itself: batch by batch, from rows to what the library has written.

use std::collections::HashMap;
use std::time::Instant;

use serde::Serialize;

use super::draft::{Draft, Taken};
use super::plan::ImportPlan;
use super::rows::Rows;
use super::work::Work;
use super::{Checkpoint, ImportKey, Leaks, Reject, formats, table};
use crate::error::{LibraryError, Result};
use crate::records::Source;
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
