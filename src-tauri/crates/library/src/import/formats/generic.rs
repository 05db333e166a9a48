//! Any table, CSV or JSON, with a map of its columns.

use super::super::columns::{Columns, Role};
use super::super::draft::{Draft, DraftImage, Refusal, Taken};
use super::super::plan::ImportPlan;
use super::super::rows::{Rows, of_tables};
use super::super::table::{self, Fields, Part};
use super::super::words;
use super::{endings, table_path, with_endings};
use crate::error::{LibraryError, Result};
use crate::records::{Facts, Label, Question, Text, TextKind};

pub(super) fn rows(plan: &ImportPlan) -> Result<Rows> {
    let part = part(plan)?;
    if plan.columns.is_empty() {
        return Err(LibraryError::Request(
            "the format table needs a map of its columns, such as --columns image=filename,patient=patientid,report=notes"
                .into(),
        ));
    }
    check_columns(plan, &part)?;
    let columns = plan.columns.clone();
    let mut number = 0_u64;
    of_tables(plan, vec![part], "there is no table", move |fields, _| {
        number += 1;
        draft(&columns, fields, number)
    })
}

/// The table. Errors if none was given.
pub(super) fn part(plan: &ImportPlan) -> Result<Part> {
    let table = plan.table.as_ref().ok_or_else(|| {
        LibraryError::Request(
            "the format table needs the table's file; give it with --table".into(),
        )
    })?;
    Ok(Part::any(table_path(plan, table), None, ""))
}

/// Every column that is named must be there: a misspelt one would be missing from every row.
fn check_columns(plan: &ImportPlan, part: &Part) -> Result<()> {
    let charset = table::charset(plan.encoding.as_deref())?;
    let mut records = table::open(&part.path, &part.shape, charset)?;
    let Some(Ok(Ok(fields))) = records.next() else {
        return Ok(());
    };
    // JSON records need not all have the same fields.
    let Fields::Table { header, .. } = &fields else {
        return Ok(());
    };
    match plan.columns.names().find(|name| !fields.has(name)) {
        None => Ok(()),
        Some(name) => Err(LibraryError::Layout {
            path: part.path.clone(),
            message: format!(
                "there is no column {name:?}; the columns are {}",
                header.join(", ")
            ),
        }),
    }
}

fn draft(columns: &Columns, fields: &Fields, number: u64) -> Taken<Draft> {
    let one = |role| {
        columns
            .of(role)
            .next()
            .and_then(|column| fields.get(column))
    };
    let image = one(Role::Image);
    if columns.of(Role::Image).next().is_some() && image.is_none() {
        return Err(Refusal::new("missing_field", "the row names no image"));
    }
    let text = |role, kind| {
        let bodies = columns.of(role).filter_map(|column| fields.get(column));
        bodies
            .map(move |body| Text { kind, body })
            .collect::<Vec<_>>()
    };
    let mut texts = text(Role::Report, TextKind::Report);
    texts.extend(text(Role::Caption, TextKind::Caption));
    let question = one(Role::Question).map(|question| Question {
        question,
        answer: one(Role::Answer),
        answer_type: one(Role::AnswerType).map(|kind| kind.to_uppercase()),
        question_type: one(Role::QuestionType),
        language: one(Role::Language),
        reference: None,
        split: one(Role::Split),
    });
    let key = one(Role::Id).or_else(|| image.clone());
    Ok(Draft {
        key: key.unwrap_or_else(|| format!("row {number}")),
        patient: one(Role::Patient),
        facts: Facts {
            modality: one(Role::Modality).as_deref().and_then(words::modality),
            body_part: one(Role::BodyPart).as_deref().and_then(words::body_part),
            view: one(Role::View).as_deref().and_then(words::upper),
            sex: one(Role::Sex).as_deref().and_then(words::sex),
            age: one(Role::Age).as_deref().and_then(words::age),
            date: one(Role::Date).as_deref().and_then(words::date),
            split: one(Role::Split),
        },
        images: image.iter().map(|image| draft_image(image)).collect(),
        texts,
        labels: labels(columns, fields),
        questions: question.into_iter().collect(),
        ..Draft::default()
    })
}

fn draft_image(path: &str) -> DraftImage {
    let path = path.replace('\\', "/");
    // A path of another machine: its ending may be below the folder.
    let paths = match path.starts_with('/') || path.contains(":/") {
        true => std::iter::once(path.clone())
            .chain(endings(&path))
            .collect(),
        false => vec![path],
    };
    DraftImage::at(paths.iter().flat_map(|path| {
        with_endings(path)
            .into_iter()
            .flat_map(|path| [path.clone(), format!("images/{path}")])
    }))
}

/// Labels of a row: a column of 1, 0 and -1 is a label itself, other words are labels, several divided by `|` or `;`.
fn labels(columns: &Columns, fields: &Fields) -> Vec<Label> {
    let mut labels = Vec::new();
    for column in columns.of(Role::Label) {
        let Some(text) = fields.get(column) else {
            continue;
        };
        match words::label_value(&text) {
            Some(value) => labels.push(Label::imported(column, value)),
            None => {
                let names = text.split(['|', ';', '\n']).map(str::trim);
                labels.extend(names.filter(|name| !name.is_empty()).map(Label::present));
            }
        }
    }
    labels
}
