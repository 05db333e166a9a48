//! `lucency library import`

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;
use lucency_library::import::{
    Columns, Format, Identifying, ImportPlan, ImportProgress, ImportReport, Policy, import,
};

use super::{error, open};
use crate::output::{CommandError, Output};

/// `lucency library import FORMAT --data DIR`
#[derive(Args)]
pub struct Import {
    /// vqa-rad, slake, vqa-med-2019, roco, medicat, chexpert, rsna, embed, melinda, classes (a folder per class), table
    /// (any CSV or JSON), dicom, reports (text or PDF beside images)
    format: String,
    /// The data set's folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The table, where the format does not know its name
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Which column says what, for tables: image=COL,patient=COL,report=COL,label=COL,view=COL,sex=COL,age=COL,…
    #[arg(long, value_name = "ROLE=COLUMN,…", default_value = "")]
    columns: String,
    /// What becomes of CheXpert's uncertain labels: keep, ones, zeros, ignore
    #[arg(long, default_value = "keep")]
    policy: String,
    /// The split of rows that name none
    #[arg(long)]
    split: Option<String>,
    /// Modality of cases that name none, such as DX
    #[arg(long)]
    modality: Option<String>,
    /// Body part of cases that name none, such as CHEST
    #[arg(long)]
    body_part: Option<String>,
    /// Only questions in this language, such as en
    #[arg(long)]
    language: Option<String>,
    /// Name of the source in the library
    #[arg(long)]
    source: Option<String>,
    /// Encoding of tables and texts, such as latin1 or gbk
    #[arg(long)]
    encoding: Option<String>,
    /// What becomes of reports with a line such as "Patient Name: …"
    #[arg(long, value_name = "redact|refuse", default_value = "redact")]
    identifying: String,
    /// Whose patient identifiers these are: sources of one domain share patients
    #[arg(long)]
    patient_domain: Option<String>,
}

impl Import {
    /// Imports and prints what was taken and what was not.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let plan = self.plan()?;
        let store = open()?;
        let mut line = progress_line();
        let report = import(&store, &plan, &|| false, &mut line).map_err(error)?;
        output.print(&report, text)
    }

    fn plan(&self) -> Result<ImportPlan, CommandError> {
        let format: Format = self.format.parse().map_err(error)?;
        let columns: Columns = self.columns.parse().map_err(error)?;
        let policy: Policy = self.policy.parse().map_err(error)?;
        let identifying = match self.identifying.as_str() {
            "redact" => Identifying::Redact,
            "refuse" => Identifying::Refuse,
            other => {
                let message = format!("{other:?} is neither redact nor refuse");
                return Err(CommandError::new("bad_request", message));
            }
        };
        Ok(ImportPlan {
            table: self.table.clone(),
            columns,
            policy,
            split: self.split.clone(),
            modality: self.modality.clone(),
            body_part: self.body_part.clone(),
            language: self.language.clone(),
            source: self.source.clone(),
            encoding: self.encoding.clone(),
            identifying,
            patient_domain: self.patient_domain.clone(),
            ..ImportPlan::new(format, &self.data)
        })
    }
}

/// Rows done, on a terminal.
fn progress_line() -> impl FnMut(ImportProgress) {
    let terminal = std::io::stderr().is_terminal();
    move |progress| {
        if terminal {
            let total = progress
                .total
                .map_or(String::new(), |total| format!(" of {total}"));
            eprint!(
                "\r{}{total} rows, {} refused ",
                progress.rows, progress.rejected
            );
        }
    }
}

fn text(r: &ImportReport) -> String {
    let mut text = format!(
        "{}: {} rows: {} new cases, {} rows about cases that were there, {} refused\n",
        r.source, r.rows, r.taken, r.joined, r.rejected
    );
    for cause in &r.causes {
        let _ = writeln!(text, "refused       {:6} {}", cause.rows, cause.code);
    }
    for reject in r.rejects.iter().take(10) {
        let _ = writeln!(text, "  row {}: {}", reject.row, reject.reason);
    }
    if r.redacted > 0 {
        let _ = writeln!(
            text,
            "redacted      {:6} lines that name a patient",
            r.redacted
        );
    }
    if r.began_with > 1 {
        let _ = writeln!(text, "went on with row {}", r.began_with);
    }
    let leaks = &r.leaks;
    let pairs = [
        ("same image", &leaks.same_image),
        ("images alike", &leaks.near_image),
    ];
    for (name, pairs) in pairs {
        if pairs.count > 0 {
            let (count, across) = (pairs.count, pairs.across_splits);
            let _ = writeln!(
                text,
                "LEAK          {count:6} pairs with the {name}, {across} across splits"
            );
        }
    }
    let counts = [
        (
            "cases with questions in two splits",
            leaks.images_with_questions_in_two_splits,
        ),
        ("patients in two splits", leaks.patients_in_two_splits),
    ];
    for (name, count) in counts {
        if count > 0 {
            let _ = writeln!(text, "LEAK          {count:6} {name}");
        }
    }
    let _ = write!(text, "{:.1} s", r.elapsed_s);
    text
}
