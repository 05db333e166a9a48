//! Tables that describe images, and which of their columns says what.

use std::path::Path;

use super::refuse;
use crate::csv;
use crate::dto::{TrainingColumns, TrainingTable};
use crate::error::Result;

/// Reads `image=COL,patient=COL,report=COL,label=A+B,split=COL`.
///
/// Errors if a part is no assignment, unknown, named twice, or `image` is missing.
pub fn parse_columns(text: &str) -> Result<TrainingColumns> {
    let bad = |message: String| Err(refuse("bad_columns", format!("--columns: {message}")));
    let mut columns = TrainingColumns::default();
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let parts = part.split_once('=').map(|(w, c)| (w.trim(), c.trim()));
        let Some((what, column)) = parts.filter(|(_, c)| !c.is_empty()) else {
            return bad(format!("`{part}` is not of the form what=COLUMN"));
        };
        let column = column.to_owned();
        let before = match what {
            "image" => (!columns.image.is_empty(), columns.image = column).0,
            "patient" => columns.patient.replace(column).is_some(),
            "report" => columns.report.replace(column).is_some(),
            "split" => columns.split.replace(column).is_some(),
            "label" => {
                let before = !columns.labels.is_empty();
                let names = column.split('+').map(|c| c.trim().to_owned());
                columns.labels.extend(names);
                before
            }
            other => {
                return bad(format!(
                    "`{other}` is not one of image, patient, report, label, split"
                ));
            }
        };
        if before {
            return bad(format!("`{what}` is named twice"));
        }
    }
    match columns.image.is_empty() {
        true => bad("image=COLUMN is missing".into()),
        false => Ok(columns),
    }
}

/// Reads `FROM=TO` pairs.
///
/// Errors if one has no `=`.
pub fn parse_renamings(map: &[String]) -> Result<Vec<(String, String)>> {
    map.iter()
        .map(|pair| match pair.split_once('=') {
            Some((from, to)) => Ok((from.trim().to_owned(), to.trim().to_owned())),
            None => Err(refuse(
                "bad_arguments",
                format!("--map: `{pair}` is not FROM=TO"),
            )),
        })
        .collect()
}

/// A table with a header.
pub struct Table {
    header: Vec<String>,
    records: Vec<Vec<String>>,
}

impl Table {
    /// Reads a table.
    ///
    /// Errors if it is no UTF-8 text, has no row, or a row with another number of fields than the header.
    pub fn read(path: &Path) -> Result<Self> {
        let bad = |message: String| refuse("bad_table", format!("{}: {message}", path.display()));
        let bytes = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| bad("it is not UTF-8 text".into()))?;
        let mut records = csv::parse(&text).map_err(bad)?;
        if records.len() < 2 {
            return Err(bad("it has no case below its header".into()));
        }
        let header = records.remove(0);
        if let Some(row) = records.iter().position(|r| r.len() != header.len()) {
            return Err(bad(format!(
                "row {} has {} fields, the header {}",
                row + 1,
                records[row].len(),
                header.len()
            )));
        }
        Ok(Self { header, records })
    }

    /// Rows below the header.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True without rows, which [`Table::read`] refuses.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The values of a column. Errors with the columns that there are.
    pub fn column(&self, name: &str) -> Result<Vec<String>> {
        let Some(index) = self.header.iter().position(|h| h == name) else {
            let there = self.header.join(", ");
            return Err(refuse(
                "bad_columns",
                format!("the table has no column `{name}`; it has {there}"),
            ));
        };
        Ok(self.records.iter().map(|r| r[index].clone()).collect())
    }
}

/// A table's columns, and which is probably what.
///
/// Errors as [`Table::read`].
pub fn read_table(path: &Path) -> Result<TrainingTable> {
    let table = Table::read(path)?;
    Ok(TrainingTable {
        guess: guess(&table.header),
        rows: table.len(),
        columns: table.header,
    })
}

fn guess(header: &[String]) -> TrainingColumns {
    let find = |words: &[&str]| {
        let like = |h: &&String| words.iter().any(|w| h.to_lowercase().contains(w));
        header.iter().find(like).cloned()
    };
    TrainingColumns {
        image: find(&["image", "file", "path", "dicom"]).unwrap_or_default(),
        patient: find(&["patient", "subject"]),
        report: find(&["report", "note", "caption", "text"]),
        labels: find(&["label", "class", "finding", "diagnosis"])
            .into_iter()
            .collect(),
        split: find(&["split", "fold"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_and_mistakes_named() {
        let columns = parse_columns("image=file, patient=id,label=edema+mass").unwrap();
        assert_eq!(columns.image, "file");
        assert_eq!(columns.patient.as_deref(), Some("id"));
        assert_eq!(columns.labels, ["edema", "mass"]);
        for (text, word) in [
            ("patient=id", "image=COLUMN is missing"),
            ("image=a,image=b", "twice"),
            ("image=a,finding=b", "not one of"),
            ("image", "what=COLUMN"),
        ] {
            let message = parse_columns(text).unwrap_err().to_string();
            assert!(message.contains(word), "{text}: {message}");
        }
    }

    #[test]
    fn columns_are_guessed_by_their_names() {
        let header = ["patient_id", "filename", "view", "Findings", "note"].map(String::from);
        let found = guess(&header);
        assert_eq!(found.image, "filename");
        assert_eq!(found.patient.as_deref(), Some("patient_id"));
        assert_eq!(found.labels, ["Findings"]);
        assert_eq!((found.report.as_deref(), found.split), (Some("note"), None));
    }
}
