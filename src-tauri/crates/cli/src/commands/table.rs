//! A folder of images and the table that describes them, as commands take them.

use std::path::{Path, PathBuf};

use clap::Args;
use lucency_assistant::Options;
use lucency_assistant::dto::TrainingData;
use lucency_assistant::finetune::{library_data, parse_columns, parse_renamings};

use crate::output::CommandError;

/// A folder of images and the table that describes them, or cases of the department's library.
#[derive(Args, Clone)]
pub struct DataArgs {
    /// Folder with the images; the table's image column holds paths below it
    #[arg(long, value_name = "DIR", required_unless_present = "library")]
    pub data: Option<PathBuf>,
    /// Table with a header line; a path, or a name in that folder
    #[arg(
        long,
        value_name = "FILE.csv",
        required_unless_present = "library",
        requires = "data"
    )]
    pub table: Option<PathBuf>,
    /// What its columns are: image=COL,patient=COL,label=COL, and report=COL, split=COL if there are such; several findings: label=A+B+C.
    /// Of the library: label=A+B of its labels, or label=view, sex, modality, body_part
    #[arg(
        long,
        value_name = "image=COL,…",
        default_value = "",
        hide_default_value = true
    )]
    pub columns: String,
    /// In place of a folder: the library's cases that meet this condition, as `library list --filter` takes it, or all; may be given
    /// several times
    #[arg(long, value_name = "KEY=VALUE|all", conflicts_with_all = ["data", "table"])]
    pub library: Vec<String>,
    /// Read a label as another one; may be given several times
    #[arg(long, value_name = "FROM=TO")]
    pub map: Vec<String>,
}

impl DataArgs {
    /// The same with its words read, and paths that hold from any folder.
    ///
    /// Errors if columns or renamings cannot be read, or the library has no such case.
    pub fn data(&self, options: &Options) -> Result<TrainingData, CommandError> {
        let renamed = parse_renamings(&self.map)?;
        let (Some(data), Some(table)) = (&self.data, &self.table) else {
            let data = library_data(options, &self.library, &self.columns)?;
            if data.left_out > 0 {
                eprintln!(
                    "warning: {} cases are left out, since readers differ on their labels (`lucency label agreement` lists them; \
                     --library reader=NAME takes one reader's)",
                    data.left_out
                );
            }
            return Ok(TrainingData { renamed, ..data });
        };
        Ok(TrainingData {
            folder: anywhere(data),
            table: anywhere(&beside(data, table)),
            columns: parse_columns(&self.columns)?,
            renamed,
            left_out: 0,
        })
    }
}

/// A table or a file of questions: the path itself, or a name in the folder of the images.
pub fn beside(data: &Path, file: &Path) -> PathBuf {
    match file.is_file() {
        true => file.to_path_buf(),
        false => data.join(file),
    }
}

/// An absolute path; one that is not there stays as it is, so that the error names it as it was written.
fn anywhere(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let chosen = if absolute.exists() { &absolute } else { path };
    chosen.to_string_lossy().into_owned()
}
