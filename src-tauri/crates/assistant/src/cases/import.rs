//! Taking cases in: formats, a look at a data set, the import.

use lucency_library::NewRecord;
use lucency_library::Storage;
use lucency_library::import::{
    self, Columns, Format, Identifying, ImportPlan, ImportProgress, ImportReport, Policy, Preview,
    Role, RowSeen,
};
use lucency_nn::{Interrupt, Progress};

use super::{CaseLibrary, describe};
use crate::dto::{
    ImportFormat, ImportOutcome, ImportPreview, ImportRequest, PreviewColumn, PreviewRow,
};
use crate::error::{AssistantError, Result};
use crate::ledger;

/// Rows of a preview.
const ROWS: usize = 20;
/// Characters of a text or an example in a preview.
const BEGINNING: usize = 200;

/// Every layout that can be imported.
pub fn formats() -> Vec<ImportFormat> {
    let format = |(word, format): &(&str, Format)| ImportFormat {
        word: (*word).to_owned(),
        title: format.title().to_owned(),
        needs_table: *format == Format::Table,
    };
    Format::ALL.iter().map(format).collect()
}

/// What an import would do; nothing is written.
///
/// - `storage`: the library that it would go into; none if there is none yet
///
/// Errors if files cannot be read.
pub fn preview(storage: Option<&dyn Storage>, plan: &ImportPlan) -> Result<ImportPreview> {
    Ok(previewed(import::preview(storage, plan, ROWS)?))
}

impl CaseLibrary {
    /// What an import would do; nothing is written, and no library is made.
    ///
    /// Errors if the request has an unknown word or files cannot be read.
    pub fn preview(&self, request: &ImportRequest) -> Result<ImportPreview> {
        let plan = plan(request)?;
        let store = self.store()?;
        let storage = store.as_deref().map(|store| store as &dyn Storage);
        preview(storage, &plan)
    }

    /// Imports. Stopped, it is paused: the same request goes on where it was.
    ///
    /// Errors if the data set is not laid out as its format says, or if the library cannot be written; what was reported
    /// until then is kept.
    pub fn import(
        &self,
        request: &ImportRequest,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<ImportOutcome> {
        let plan = plan(request)?;
        let done = self.take_in(&plan, stop, &mut |at| report(progress(at)))?;
        Ok(describe::outcome(done))
    }

    /// Imports as a plan says; a library is made if there is none, and adapters that are there are written into its record.
    ///
    /// Errors as [`import`](Self::import) does.
    pub fn take_in(
        &self,
        plan: &ImportPlan,
        stop: &Interrupt,
        report: &mut dyn FnMut(ImportProgress),
    ) -> Result<ImportReport> {
        let store = self.own_store()?;
        let done = import::import(&store, plan, &|| stop.is_stopped(), report)?;
        ledger::note_adapters(self.home())?;
        Ok(done)
    }
}

fn progress(at: ImportProgress) -> Progress {
    Progress {
        message: (at.rejected > 0).then(|| format!("{} refused", at.rejected)),
        ..Progress::new("importing", at.rows, at.total.unwrap_or(0))
    }
}

/// The plan of a request. Errors with the words that are known if one is not.
fn plan(request: &ImportRequest) -> Result<ImportPlan> {
    let given = |text: &Option<String>| {
        let text = text.as_deref().map(str::trim);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let format: Format = request.format.parse()?;
    let columns = request.columns.iter().filter(|c| !c.role.is_empty());
    let columns = columns
        .map(|column| Ok((column.role.parse::<Role>()?, column.column.clone())))
        .collect::<Result<Vec<_>>>()?;
    let policy = match given(&request.policy) {
        Some(word) => word.parse()?,
        None => Policy::default(),
    };
    let identifying = match given(&request.identifying).as_deref() {
        None | Some("redact") => Identifying::Redact,
        Some("refuse") => Identifying::Refuse,
        Some(other) => {
            return Err(AssistantError::Data(format!(
                "{other:?} is neither redact nor refuse"
            )));
        }
    };
    Ok(ImportPlan {
        table: given(&request.table).map(Into::into),
        columns: Columns::new(columns)?,
        policy,
        split: given(&request.split),
        modality: given(&request.modality),
        body_part: given(&request.body_part),
        source: given(&request.source),
        encoding: given(&request.encoding),
        identifying,
        ..ImportPlan::new(format, &request.data)
    })
}

fn previewed(seen: Preview) -> ImportPreview {
    let column = |column: import::ColumnSeen| PreviewColumn {
        suggested: column.suggested.map(|role| word(role).to_owned()),
        name: column.name,
        examples: column.examples.iter().map(|e| beginning(e)).collect(),
    };
    ImportPreview {
        columns: seen.columns.into_iter().map(column).collect(),
        roles: Role::ALL.iter().map(|(word, _)| (*word).into()).collect(),
        rows: seen.rows.into_iter().map(row).collect(),
        total: seen.total,
        resumes: seen.resumes,
        problem: seen.problem,
    }
}

fn word(role: Role) -> &'static str {
    let known = Role::ALL.iter().find(|(_, known)| *known == role);
    known.map_or("", |(word, _)| word)
}

fn row(seen: RowSeen) -> PreviewRow {
    match seen {
        RowSeen::Taken(row, record) => taken(row, &record),
        RowSeen::Refused(reject) => PreviewRow {
            refused: Some(reject.reason),
            ..taken(reject.row, &NewRecord::default())
        },
    }
}

fn taken(row: u64, record: &NewRecord) -> PreviewRow {
    PreviewRow {
        row,
        facts: describe::facts(&record.facts),
        images: record.images.len(),
        labels: record.labels.iter().map(describe::label).collect(),
        text: record
            .texts
            .first()
            .map_or_else(String::new, |text| beginning(&text.body)),
        questions: record.questions.len(),
        refused: None,
    }
}

/// The first characters of a text, with an ellipsis if there are more.
pub(super) fn beginning(text: &str) -> String {
    let mut words = text.split_whitespace().peekable();
    let mut shown = String::new();
    while let Some(word) = words.peek() {
        if !shown.is_empty() && shown.chars().count() + word.chars().count() >= BEGINNING {
            return shown + " …";
        }
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
        words.next();
    }
    match shown.chars().count() > 2 * BEGINNING {
        true => shown.chars().take(BEGINNING).chain(['…']).collect(),
        false => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_ends_with_a_whole_word() {
        assert_eq!(beginning("  two\n words "), "two words");
        let long = beginning(&"opacity ".repeat(100));
        assert!(long.ends_with("opacity …") && long.chars().count() <= BEGINNING + 2);
        assert_eq!(beginning(&"肝".repeat(900)).chars().count(), BEGINNING + 1);
    }

    #[test]
    fn unknown_words_of_a_request_are_named() {
        let request = |role: &str, identifying: &str| ImportRequest {
            format: "table".into(),
            columns: vec![crate::dto::ColumnRole {
                column: "a".into(),
                role: role.into(),
            }],
            identifying: Some(identifying.into()),
            ..ImportRequest::default()
        };
        assert!(plan(&request("image", "redact")).is_ok());
        let error = plan(&request("picture", "")).expect_err("no such role");
        assert!(error.to_string().contains("patient"), "{error}");
        assert!(plan(&request("image", "keep")).is_err());
        assert!(plan(&request("", "")).is_ok(), "a column without a role");
    }
}
