//! `lucency eval retrieval`: whether a pack's images find their reports, and reports their images.

use std::path::PathBuf;

use clap::Args;
use lucency_assistant::csv;
use lucency_assistant::dto::TrainingData;
use lucency_assistant::evaluate::{
    PairRanks, RetrievalReport, evaluate_library_retrieval, evaluate_retrieval, pairs_of,
};
use lucency_assistant::finetune::parse_columns;
use lucency_assistant::{Interrupt, Progress};
use lucency_train::statistics::{Estimate, Retrieval};

use super::assist::PackChoice;
use super::table::beside;

use crate::output::{CommandError, Output, counted};

/// `lucency eval retrieval --data DIR --table FILE.csv --columns image=COL,report=COL,patient=COL`, or `--library all`
#[derive(Args)]
pub struct RetrievalOf {
    /// Folder that the table's image names start from
    #[arg(long, value_name = "DIR", required_unless_present = "library")]
    data: Option<PathBuf>,
    /// Table with a row for each image, comma-separated, with column names in the first line; a path, or a name in that folder
    #[arg(
        long,
        value_name = "FILE.csv",
        required_unless_present = "library",
        requires = "data"
    )]
    table: Option<PathBuf>,
    /// Which columns hold the image's name, its report and, if there is one, the patient;
    /// without a patient every row counts as one of its own
    #[arg(
        long,
        value_name = "image=COL,report=COL,patient=COL",
        default_value = "image=image,report=report"
    )]
    columns: String,
    /// In place of a folder: the library's cases that meet this condition, as `library list --filter` takes it, or all; may be given
    /// several times
    #[arg(long, value_name = "KEY=VALUE|all", conflicts_with_all = ["data", "table", "columns"])]
    library: Vec<String>,
    /// Where to write the rank of every pair's report and image, as CSV without text or patient
    #[arg(long, value_name = "OUT.csv")]
    scores: Option<PathBuf>,
    #[command(flatten)]
    pack: PackChoice,
}

impl RetrievalOf {
    /// Measures and prints.
    pub fn run(
        &self,
        output: Output,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<(), CommandError> {
        let assistant = self.pack.open()?;
        let measured = match (&self.data, &self.table) {
            (Some(data), Some(table)) => {
                let pairs = pairs_of(&TrainingData {
                    folder: data.to_string_lossy().into_owned(),
                    table: beside(data, table).to_string_lossy().into_owned(),
                    columns: parse_columns(&self.columns)?,
                    renamed: Vec::new(),
                    left_out: 0,
                })?;
                evaluate_retrieval(&assistant, &pairs, stop, report)?
            }
            _ => evaluate_library_retrieval(&assistant, &self.library, stop, report)?,
        };
        if let Some(path) = &self.scores {
            std::fs::write(path, scores(&measured.ranks, measured.n))
                .map_err(|e| CommandError::new("io", format!("{}: {e}", path.display())))?;
        }
        output.print(&measured, text)
    }
}

fn scores(ranks: &[PairRanks], pool: usize) -> String {
    let names = ["direction", "row", "rank", "pool", "cosine", "best_cosine"];
    let mut text = csv::record(names);
    for pair in ranks {
        for (direction, ranked) in [
            ("image_to_report", pair.report),
            ("report_to_image", pair.image),
        ] {
            let fields = [
                direction.to_owned(),
                (pair.row + 1).to_string(),
                ranked.rank.to_string(),
                pool.to_string(),
                format!("{:.6}", ranked.cosine),
                format!("{:.6}", ranked.best),
            ];
            text += &csv::record(fields.iter().map(String::as_str));
        }
    }
    text
}

fn text(r: &RetrievalReport) -> String {
    let mut lines = vec![format!(
        "{} of {} with {}",
        counted(r.n, "pair"),
        counted(r.patients, "patient"),
        counted(r.reports, "different report")
    )];
    for (count, what) in [
        (r.without_report, "without a report"),
        (r.unreadable, "unreadable"),
    ] {
        if count > 0 {
            lines.push(format!("{count} {what}, left out"));
        }
    }
    for (title, measured) in [
        ("image → its report", &r.image_to_report),
        ("report → its image", &r.report_to_image),
        (
            "image → any report of the patient",
            &r.image_to_patients_reports,
        ),
        (
            "report → any image of the patient",
            &r.report_to_patients_images,
        ),
    ] {
        lines.push(title.to_owned());
        lines.extend(figures(measured));
    }
    lines.push(format!(
        "intervals: 95 %, {} draws of patients",
        r.resamples
    ));
    lines.join("\n")
}

fn figures(r: &Retrieval) -> [String; 5] {
    let share = |name: &str, e: &Estimate| {
        let [value, low, high] = [e.value, e.low, e.high].map(|v| 100.0 * v);
        format!("  {name:12} {value:6.2} % ({low:.2} to {high:.2})")
    };
    let rank = &r.median_rank;
    [
        share("recall@1", &r.recall_at_1),
        share("recall@5", &r.recall_at_5),
        share("recall@10", &r.recall_at_10),
        format!(
            "  {:12} {:6.1}   ({:.1} to {:.1})",
            "median rank", rank.value, rank.low, rank.high
        ),
        format!("  {:12} {:6.2} %", "chance@10", 100.0 * r.chance_at_10),
    ]
}
