//! What an import would do: columns with what they probably say, and the first rows as they would be taken.

use super::columns::{Columns, Role};
use super::draft::Taken;
use super::plan::{Format, ImportPlan};
use super::run::{key, settled};
use super::table::{self, Fields};
use super::work::Work;
use super::{Reject, formats, roles};
use crate::error::{LibraryError, Result};
use crate::records::NewRecord;
use crate::storage::Storage;

/// Rows from which roles of columns are guessed.
const GUESSED_FROM: usize = 50;
/// Values of a column that are shown.
const EXAMPLES: usize = 3;
/// Tables up to this length are counted, bytes.
const COUNTED: u64 = 64 << 20;

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSeen {
    /// Its name.
    pub name: String,
    /// What it probably says.
    pub suggested: Option<Role>,
    /// Its first values that are not empty.
    pub examples: Vec<String>,
}

/// A row as it would be taken or refused.
#[derive(Debug, Clone, PartialEq)]
pub enum RowSeen {
    /// Number of the row, from 1, and what it would bring.
    Taken(u64, Box<NewRecord>),
    /// Why it would be refused.
    Refused(Reject),
}

/// What an import would do; nothing is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Preview {
    /// Columns of the table, for [`Format::Table`].
    pub columns: Vec<ColumnSeen>,
    /// The first rows.
    pub rows: Vec<RowSeen>,
    /// Rows in all, where that is known.
    pub total: Option<u64>,
    /// True if an earlier import of the same data was interrupted and would go on.
    pub resumes: bool,
    /// Why it cannot be imported as it stands.
    pub problem: Option<String>,
}

/// Looks at a data set without taking anything in.
///
/// A table without a map of its columns is read with the map that is suggested.
///
/// - `storage`: the library that it would go into; none if there is none yet
/// - `most`: rows to look at
///
/// Errors if files cannot be read; a data set that is not laid out as it should be is a [`Preview::problem`].
pub fn preview(storage: Option<&dyn Storage>, plan: &ImportPlan, most: usize) -> Result<Preview> {
    let mut seen = Preview::default();
    match look(storage, plan, most, &mut seen) {
        Err(LibraryError::Layout { message, .. } | LibraryError::Request(message)) => {
            seen.problem = Some(message);
            Ok(seen)
        }
        Err(error) => Err(error),
        Ok(()) => Ok(seen),
    }
}

fn look(
    storage: Option<&dyn Storage>,
    plan: &ImportPlan,
    most: usize,
    seen: &mut Preview,
) -> Result<()> {
    let given = settled(plan)?;
    let mut plan = given.clone();
    if plan.format == Format::Table {
        seen.columns = columns(&plan)?;
        if plan.columns.is_empty() {
            plan.columns = suggested(&seen.columns)?;
        }
        if let Some(problem) = lacking(&plan.columns) {
            seen.problem = Some(problem.into());
            return Ok(());
        }
        seen.total = count(&plan)?;
    }
    let charset = table::charset(plan.encoding.as_deref())?;
    let rows = formats::rows(&plan)?;
    let source = plan.source_name();
    if let Some(storage) = storage {
        seen.resumes = storage
            .interrupted_import(&source, &key(&plan, &rows))?
            .is_some();
    }
    seen.total = seen.total.or(rows.total);
    let drafts = rows.drafts.take(most).collect::<Result<Vec<Taken<_>>>>()?;
    let work = Work {
        known: &|path| match storage {
            Some(storage) => storage.known_image(&source, path),
            None => Ok(None),
        },
        root: plan.data.clone(),
        plan: &plan,
        charset,
    };
    for (row, record) in (1..).zip(work.records(drafts)?) {
        seen.rows.push(match record {
            Ok((record, _)) => RowSeen::Taken(row, Box::new(record)),
            Err(refusal) => RowSeen::Refused(Reject {
                row,
                code: refusal.code.into(),
                reason: refusal.reason,
            }),
        });
    }
    Ok(())
}

/// Columns of a table, with roles guessed from the first rows.
fn columns(plan: &ImportPlan) -> Result<Vec<ColumnSeen>> {
    let records = records(plan)?.take(GUESSED_FROM);
    let mut columns: Vec<(String, Vec<String>)> = Vec::new();
    for record in records {
        // A row that cannot be read says nothing of columns; it is shown among the rows.
        let Ok(fields) = record? else { continue };
        for name in fields.names() {
            let value = fields.get(&name);
            match columns.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.extend(value),
                None => columns.push((name, value.into_iter().collect())),
            }
        }
    }
    let roles = roles::suggest(&columns);
    Ok(columns
        .into_iter()
        .zip(roles)
        .map(|((name, mut examples), suggested)| {
            examples.dedup();
            examples.truncate(EXAMPLES);
            ColumnSeen {
                name,
                suggested,
                examples,
            }
        })
        .collect())
}

fn records(plan: &ImportPlan) -> Result<impl Iterator<Item = Result<Taken<Fields>>>> {
    let charset = table::charset(plan.encoding.as_deref())?;
    let part = formats::table_part(plan)?;
    table::open(&part.path, &part.shape, charset)
}

fn suggested(columns: &[ColumnSeen]) -> Result<Columns> {
    let pairs = columns.iter().filter_map(|column| {
        let role = column.suggested?;
        Some((role, column.name.clone()))
    });
    Columns::new(pairs)
}

/// What a map of columns lacks so that rows would say something.
fn lacking(columns: &Columns) -> Option<&'static str> {
    let has = |role| columns.of(role).next().is_some();
    let says = [Role::Image, Role::Report, Role::Caption, Role::Question];
    match says.into_iter().any(has) {
        true => None,
        false => Some("choose the column that names the image, or the one with the report"),
    }
}

/// Rows of a table that is not too long to count them.
fn count(plan: &ImportPlan) -> Result<Option<u64>> {
    let path = formats::table_part(plan)?.path;
    let length = std::fs::metadata(&path).map_err(LibraryError::io(&path))?;
    if length.len() > COUNTED {
        return Ok(None);
    }
    let mut rows = 0;
    for record in records(plan)? {
        let _ = record?;
        rows += 1;
    }
    Ok(Some(rows))
}
