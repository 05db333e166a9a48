//! `lucency library import`

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;
use lucency_assistant::Interrupt;
use lucency_assistant::cases;
use lucency_assistant::dto::{EmbedOutcome, ImportPreview, PreviewRow};
use lucency_library::Storage;
use lucency_library::import::{
    Columns, Format, Identifying, ImportPlan, ImportProgress, ImportReport, Policy,
};
use serde::Serialize;

use super::embed::{embed, text as embed_text};
use super::{error, library};
use crate::commands::assist::PackChoice;
use crate::output::{CommandError, Output, counted};

/// A data set and how it is read.
#[derive(Args)]
struct DataSet {
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

/// `lucency library import FORMAT --data DIR`
#[derive(Args)]
pub struct Import {
    #[command(flatten)]
    data_set: DataSet,
    /// Embed the images and reports that came in
    #[arg(long)]
    embed: bool,
    #[command(flatten)]
    pack: PackChoice,
}

/// `lucency library preview FORMAT --data DIR`
#[derive(Args)]
pub struct Preview {
    #[command(flatten)]
    data_set: DataSet,
}

/// What an import did, and the embedding after it.
#[derive(Serialize)]
struct Imported {
    #[serde(flatten)]
    report: ImportReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedded: Option<EmbedOutcome>,
}

impl Import {
    /// Imports and prints what was taken and what was not.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let plan = self.data_set.plan()?;
        let report = library()?.take_in(&plan, &Interrupt::new(), &mut progress_line())?;
        let embedded = match self.embed {
            true => Some(embed(&self.pack)?),
            false => None,
        };
        output.print(&Imported { report, embedded }, |done| {
            let embedded = done.embedded.as_ref().map(embed_text);
            let lines = std::iter::once(text(&done.report)).chain(embedded);
            lines.collect::<Vec<_>>().join("\n")
        })
    }
}

impl Preview {
    /// Looks and prints; nothing is written.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let plan = self.data_set.plan()?;
        let library = library()?;
        let store = library.store()?;
        let storage = store.as_deref().map(|store| store as &dyn Storage);
        output.print(&cases::preview(storage, &plan)?, preview_text)
    }
}

impl DataSet {
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
        "{}: {}: {}, {} about cases that were there, {} refused\n",
        r.source,
        counted(r.rows, "row"),
        counted(r.taken, "new case"),
        counted(r.joined, "row"),
        r.rejected
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
                "LEAK          {count:6} {} with the {name}, {across} across splits",
                if count == 1 { "pair" } else { "pairs" }
            );
        }
    }
    let counts = [
        (
            "case with questions in two splits",
            leaks.images_with_questions_in_two_splits,
        ),
        ("patient in two splits", leaks.patients_in_two_splits),
    ];
    for (name, count) in counts {
        if count > 0 {
            let name = match count {
                1 => name.to_owned(),
                _ => name.replacen(' ', "s ", 1),
            };
            let _ = writeln!(text, "LEAK          {count:6} {name}");
        }
    }
    let _ = write!(text, "{:.1} s", r.elapsed_s);
    text
}

fn preview_text(preview: &ImportPreview) -> String {
    let mut lines = Vec::new();
    for column in &preview.columns {
        let role = column.suggested.as_deref().unwrap_or("-");
        lines.push(format!(
            "column        {role:12} {}: {}",
            column.name,
            column.examples.join(" | ")
        ));
    }
    lines.extend(preview.rows.iter().map(row_text));
    if let Some(total) = preview.total {
        lines.push(format!("{total} rows"));
    }
    if preview.resumes {
        lines.push("an earlier import was interrupted: this one would go on where it was".into());
    }
    if let Some(problem) = &preview.problem {
        lines.push(format!("this cannot be imported as it stands: {problem}"));
    }
    lines.join("\n")
}

fn row_text(row: &PreviewRow) -> String {
    if let Some(why) = &row.refused {
        return format!("row {:6}    refused: {why}", row.row);
    }
    let labels: Vec<String> = row
        .labels
        .iter()
        .map(|label| format!("{}={}", label.name, label.value))
        .collect();
    format!(
        "row {:6}    {}, {}  {}  {}",
        row.row,
        counted(row.images, "image"),
        counted(row.questions, "question"),
        labels.join(" "),
        row.text
    )
}
