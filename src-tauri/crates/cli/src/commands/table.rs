//! A folder of images and the table that describes them, as commands take them.

use std::path::{Path, PathBuf};

use clap::Args;
use lucency_assistant::dto::TrainingData;
use lucency_assistant::finetune::{parse_columns, parse_renamings};

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

impl DataArgs {
    /// The same with its words read, and paths that hold from any folder.
    ///
    /// Errors if columns or renamings cannot be read.
    pub fn data(&self) -> Result<TrainingData, CommandError> {
        Ok(TrainingData {
            folder: anywhere(&self.data),
            table: anywhere(&self.table),
            columns: parse_columns(&self.columns)?,
            renamed: parse_renamings(&self.map)?,
        })
    }
}

/// An absolute path; one that is not there stays as it is, so that the error names it as it was written.
fn anywhere(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let chosen = if absolute.exists() { &absolute } else { path };
    chosen.to_string_lossy().into_owned()
}
