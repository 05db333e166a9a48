//! `lucency runs list|show|report|resume|pause|cancel|remove`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use lucency_assistant::Options;
use lucency_assistant::dto::{TrainingRun, TrainingRunDetail, TrainingState};
use lucency_assistant::finetune::{
    Background, cancel_run, pause_run, remove_run, report_pdf, run_detail, runs, take_up_run,
};
use serde::Serialize;

use super::options;
use super::tune::go_on;
use crate::output::{CommandError, Output};

/// What to do with runs.
#[derive(Subcommand)]
pub enum Runs {
    /// All runs, newest first
    List,
    /// A run with its curve
    Show {
        /// Name of the run
        name: String,
    },
    /// Write the report of a run, or of an adapter that came from elsewhere, as a PDF file
    Report {
        /// Name of the run or adapter
        name: String,
        /// File to write; nothing may be there
        #[arg(long, value_name = "FILE.pdf")]
        pdf: PathBuf,
    },
    /// Go on with a run that was paused or killed, or that failed
    Resume {
        /// Name of the run
        name: String,
    },
    /// Stop a run at its next step; it can go on later
    Pause {
        /// Name of the run
        name: String,
    },
    /// End a run for good
    Cancel {
        /// Name of the run
        name: String,
    },
    /// Delete a run's folder; its adapter stays
    Remove {
        /// Name of the run
        name: String,
    },
}

#[derive(Serialize)]
struct List {
    runs: Vec<TrainingRun>,
}

#[derive(Serialize)]
struct Removed<'a> {
    removed: &'a str,
}

#[derive(Serialize)]
struct Written {
    file: String,
    pages: usize,
}

impl Runs {
    /// Runs the command.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let options = options()?;
        match self {
            Self::List => {
                let runs = runs(&options)?;
                output.print(&List { runs }, |list| {
                    let lines: Vec<String> = list.runs.iter().map(line).collect();
                    match lines.is_empty() {
                        true => "no runs yet".to_owned(),
                        false => lines.join("\n"),
                    }
                })
            }
            Self::Show { name } => output.print(&run_detail(&options, name)?, detail),
            Self::Report { name, pdf } => write_report(&options, name, pdf, output),
            Self::Resume { name } => {
                let run = take_up_run(&options, name)?;
                go_on(&options, &run, &Background::default(), output)
            }
            Self::Pause { name } => output.print(&pause_run(&options, name)?, line),
            Self::Cancel { name } => output.print(&cancel_run(&options, name)?, line),
            Self::Remove { name } => {
                remove_run(&options, name)?;
                output.print(&Removed { removed: name }, |r| {
                    format!("removed {}", r.removed)
                })
            }
        }
    }
}

fn write_report(
    options: &Options,
    name: &str,
    pdf: &Path,
    output: Output,
) -> Result<(), CommandError> {
    let place = pdf.display().to_string();
    if pdf.exists() {
        let message = format!("{place} is there already; remove it or choose another name");
        return Err(CommandError::new("exists", message));
    }
    let (bytes, pages) = report_pdf(options, name)?;
    std::fs::write(pdf, &bytes).map_err(|e| CommandError::new("io", format!("{place}: {e}")))?;
    let written = Written { file: place, pages };
    output.print(&written, |w| {
        format!("{} pages written to {}", w.pages, w.file)
    })
}

fn line(run: &TrainingRun) -> String {
    let state = format!("{:?}", run.state).to_lowercase();
    let mut text = format!("{:24} {:10} {:12}", run.name, state, run.preset);
    if run.total > 0 && run.state != TrainingState::Finished {
        text.push_str(&format!(" {} {}/{}", run.stage, run.done, run.total));
    }
    if let Some(error) = &run.error {
        text.push_str(&format!(" {}", error.message));
    }
    text
}

fn detail(found: &TrainingRunDetail) -> String {
    let mut lines = vec![line(&found.run)];
    lines.extend(found.curve.iter().map(|point| {
        let figure = point
            .figure
            .map(|value| format!("  {} {value:.4}", found.figure))
            .unwrap_or_default();
        format!("{:>6}  loss {:.4}{figure}", point.step, point.loss)
    }));
    lines.join("\n")
}
