//! Tables that describe images, and which of their columns says what.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::csv;
use crate::output::CommandError;

/// A folder of images and the table that describes them.
#[derive(Args, Clone)]
pub struct DataArgs {
    /// Folder with the images; the table's image column holds paths below it
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Table with a header line
    #[arg(long, value_name = "FILE.csv")]
    pub table: PathBuf,
    /// What its columns are: image=COL,patient=COL,label=COL, and report=COL, split=COL if there are such; several findings: label=A+B+C
    #[arg(long, value_name = "image=COL,…")]
    pub columns: String,
    /// Read a label as another one; may be given several times
    #[arg(long, value_name = "FROM=TO")]
    pub map: Vec<String>,
}

/// Column names by what they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// Path of the image.
    pub image: String,
    /// Key of the patient.
    pub patient: Option<String>,
    /// Report text.
    pub report: Option<String>,
    /// Class names, or one column a finding.
    pub labels: Vec<String>,
    /// `train`, `validation` or `test`.
    pub split: Option<String>,
}

impl Columns {
    /// Reads `image=COL,patient=COL,…`.
    ///
    /// Errors if a part is no assignment, unknown, named twice, or `image` is missing.
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        let bad = |message: String| CommandError::new("bad_columns", message);
        let mut columns = Self::default();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (what, column) = part
                .split_once('=')
                .map(|(w, c)| (w.trim(), c.trim()))
                .filter(|(_, c)| !c.is_empty())
                .ok_or_else(|| {
                    bad(format!(
                        "--columns: `{part}` is not of the form what=COLUMN"
                    ))
                })?;
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
                    return Err(bad(format!(
                        "--columns: `{other}` is not one of image, patient, report, label, split"
                    )));
                }
            };
            if before {
                return Err(bad(format!("--columns: `{what}` is named twice")));
            }
        }
        if columns.image.is_empty() {
            return Err(bad("--columns: image=COLUMN is missing".into()));
        }
        Ok(columns)
    }
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
    pub fn read(path: &Path) -> Result<Self, CommandError> {
        let bad = |message: String| {
            CommandError::new("bad_table", format!("{}: {message}", path.display()))
        };
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

    /// The values of a column. Errors with the columns that there are.
    pub fn column(&self, name: &str) -> Result<Vec<String>, CommandError> {
        let index = self.header.iter().position(|h| h == name).ok_or_else(|| {
            CommandError::new(
                "bad_columns",
                format!(
                    "the table has no column `{name}`; it has {}",
                    self.header.join(", ")
                ),
            )
        })?;
        Ok(self.records.iter().map(|r| r[index].clone()).collect())
    }
}

/// Reads `FROM=TO` pairs.
///
/// Errors if one has no `=`.
pub fn renamings(map: &[String]) -> Result<Vec<(String, String)>, CommandError> {
    map.iter()
        .map(|pair| {
            pair.split_once('=')
                .map(|(from, to)| (from.trim().to_owned(), to.trim().to_owned()))
                .ok_or_else(|| {
                    CommandError::new("bad_arguments", format!("--map: `{pair}` is not FROM=TO"))
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_and_mistakes_named() {
        let columns = Columns::parse("image=file, patient=id,label=edema+mass").unwrap();
        assert_eq!(columns.image, "file");
        assert_eq!(columns.patient.as_deref(), Some("id"));
        assert_eq!(columns.labels, ["edema", "mass"]);
        for (text, word) in [
            ("patient=id", "image=COLUMN is missing"),
            ("image=a,image=b", "twice"),
            ("image=a,finding=b", "not one of"),
            ("image", "what=COLUMN"),
        ] {
            let message = Columns::parse(text).unwrap_err().message;
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}
