//! Pairs of images and reports: of a table, and of the department's library.

use std::path::Path;

use lucency_nn::{Interrupt, Progress};
use serde_json::json;

use super::retrieval::{RetrievalPair, RetrievalReport, evaluate_retrieval};
use crate::assistant::Assistant;
use crate::dto::TrainingData;
use crate::error::{AssistantError, Result};
use crate::finetune::{Table, image_below, library_pairs};
use crate::ledger;

/// The pairs of a table. A row whose patient is not known is a patient of its own.
///
/// Errors if the table or its map of columns cannot be read, or a row names no image.
pub fn pairs_of(data: &TrainingData) -> Result<Vec<RetrievalPair>> {
    let refuse = |code, message| AssistantError::Training { code, message };
    let table = Table::read(Path::new(&data.table))?;
    let columns = &data.columns;
    let Some(report) = &columns.report else {
        let message = "--columns: report=COLUMN is missing".to_owned();
        return Err(refuse("bad_columns", message));
    };
    let images = table.column(&columns.image)?;
    let reports = table.column(report)?;
    let patients = match &columns.patient {
        Some(column) => table.column(column)?,
        None => vec![String::new(); images.len()],
    };
    let rows = images.into_iter().zip(reports).zip(patients).enumerate();
    rows.map(|(i, ((image, report), patient))| {
        if image.is_empty() {
            let message = format!("row {} names no image", i + 1);
            return Err(refuse("bad_table", message));
        }
        Ok(RetrievalPair {
            image: image_below(Path::new(&data.folder), Path::new(&image)),
            report,
            patient: match patient.is_empty() {
                true => format!("\u{0}row {i}"),
                false => patient,
            },
        })
    })
    .collect()
}

/// As [`evaluate_retrieval`], on the library's cases that meet every condition; the library's record names the run.
///
/// - `conditions`: `KEY=VALUE` as `lucency library list --filter` takes them, or `all`
///
/// Errors also if there is no library, a condition cannot be read, or no case has an image.
pub fn evaluate_library_retrieval(
    assistant: &Assistant,
    conditions: &[String],
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<RetrievalReport> {
    let started = ledger::now();
    let data = library_pairs(assistant.options(), conditions)?;
    let found = evaluate_retrieval(assistant, &pairs_of(&data)?, stop, report)?;
    let outcome = json!({
        "cases": found.n,
        "recall_at_10": [found.image_to_report.recall_at_10.value, found.report_to_image.recall_at_10.value],
    });
    let by = (assistant.pack().hash(), assistant.comparing_name());
    let home = &assistant.options().home;
    ledger::judged(home, &data, by, ("retrieval", started), outcome)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::parse_columns;

    fn read(text: &str, columns: &str) -> Result<Vec<RetrievalPair>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        pairs_of(&TrainingData {
            folder: "d".into(),
            table: path.to_string_lossy().into_owned(),
            columns: parse_columns(columns)?,
            renamed: Vec::new(),
            left_out: 0,
        })
    }

    #[test]
    fn a_table_becomes_pairs_through_the_column_map() {
        let text = "who,file,words\n7,a.png,\"one, two\"\n,b.png,\n";
        let found = read(text, "image=file,report=words,patient=who").unwrap();
        assert_eq!(found[0].image, Path::new("d/a.png"));
        assert_eq!(
            (found[0].report.as_str(), found[0].patient.as_str()),
            ("one, two", "7")
        );
        assert_eq!(found[1].report, "", "left out later, and counted");
        assert_ne!(found[1].patient, "", "a patient of its own");
    }

    #[test]
    fn a_wrong_map_or_table_says_what_is_wrong() {
        let says = |text: &str, columns: &str| read(text, columns).unwrap_err().to_string();
        assert!(says("file,words\na,b\n", "image=file").contains("report=COLUMN"));
        assert!(says("file,text\na,b\n", "image=file,report=words").contains("`words`"));
        assert!(says("file,words\na\n", "image=file,report=words").contains("row 1"));
        assert!(says("file,words\n,b\n", "image=file,report=words").contains("no image"));
    }
}
