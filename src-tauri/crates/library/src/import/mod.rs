//! Importing published data sets, tables, folders and archives of reports.
//!
//! ```text
//! format ──► rows (drafts, one at a time) ──► images probed in parallel ──► one transaction a batch
//!                                                                        └► checkpoint with the batch
//! ```
//!
//! An import that is stopped in any way, also by a loss of power, goes on at the row after its last batch.

mod columns;
mod document;
mod draft;
mod formats;
mod image;
mod json;
mod phi;
mod plan;
mod preview;
mod roles;
mod rows;
mod run;
mod table;
mod words;
mod work;

use serde::Serialize;

pub use columns::{Columns, Role};
pub use phi::Identifying;
pub use plan::{Format, ImportPlan, Policy};
pub use preview::{ColumnSeen, Preview, RowSeen, preview};
pub(crate) use words::date;

pub use run::{Cause, ImportProgress, ImportReport, import};

/// The domain of the department's own patient identifiers.
pub const SITE: &str = "site";

/// A patient's identifier together with whose identifiers these are: the same number in two data sets is two persons.
pub fn patient_in(domain: &str, patient: &str) -> String {
    format!("{domain}\u{1f}{}", patient.trim())
}

/// What makes two imports of a source the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportKey {
    /// Digest of the format, tables, columns and policies.
    pub settings: String,
    /// Digest of the state of the data: sizes and times of the tables, or the list of files.
    pub state: String,
}

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    /// The import in its library.
    #[serde(skip)]
    pub import: i64,
    /// The row to go on with, counted from 1.
    pub next_row: u64,
    /// Cases that were new.
    pub taken: u64,
    /// Rows that said more about a case that was there.
    pub joined: u64,
    /// Rows that were refused.
    pub rejected: u64,
    /// Lines of reports that were taken out because they named a patient.
    pub redacted: u64,
    /// True when the last row was reached.
    pub finished: bool,
}

/// A row that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reject {
    /// The row, counted from 1; in a folder the file's place in the sorted list.
    pub row: u64,
    /// Stable, snake_case word for the cause.
    pub code: String,
    /// The cause in words, without patient data.
    pub reason: String,
}

/// Two cases that share an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// The earlier case.
    pub first: String,
    /// The later case.
    pub second: String,
    /// True if they are in different splits.
    pub across_splits: bool,
}

/// Pairs, counted, with examples.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pairs {
    /// How many pairs.
    pub count: u64,
    /// How many of them lie in different splits.
    pub across_splits: u64,
    /// The first of them.
    pub examples: Vec<Pair>,
}

impl Pairs {
    pub(crate) fn add(&mut self, pair: Pair, most: usize) {
        self.count += 1;
        self.across_splits += u64::from(pair.across_splits);
        if self.examples.len() < most {
            self.examples.push(pair);
        }
    }
}

/// What would let a test see what training saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Leaks {
    /// The same image file in two cases.
    pub same_image: Pairs,
    /// Different image files that look the same: a hash of 256 bits differs in at most 12.
    pub near_image: Pairs,
    /// Cases with questions in more than one split.
    pub images_with_questions_in_two_splits: u64,
    /// Patients with cases in more than one split.
    pub patients_in_two_splits: u64,
    /// Pseudonyms of the first of them.
    pub patients: Vec<String>,
}
