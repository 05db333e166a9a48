//! `lucency eval retrieval`: whether a pack's images find their reports, and reports their images.

use std::path::{Path, PathBuf};

use clap::Args;
use lucency_assistant::csv;
use lucency_assistant::dto::TrainingColumns;
use lucency_assistant::evaluate::{PairRanks, RetrievalPair, RetrievalReport, evaluate_retrieval};
use lucency_assistant::finetune::{Table, image_below, parse_columns};
use lucency_assistant::{Interrupt, Progress};
use lucency_train::statistics::{Estimate, Retrieval};

use super::assist::PackChoice;
use super::table::beside;

use crate::output::{CommandError, Output, counted};

/// `lucency eval retrieval --data DIR --table FILE.csv --columns image=COL,report=COL,patient=COL`
#[derive(Args)]
pub struct RetrievalOf {
    /// Folder that the table's image names start from
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Table with a row for each image, comma-separated, with column names in the first line; a path, or a name in that folder
    #[arg(long, value_name = "FILE.csv")]
    table: PathBuf,
    /// Which columns hold the image's name, its report and, if there is one, the patient;
    /// without a patient every row counts as one of its own
    #[arg(
        long,
        value_name = "image=COL,report=COL,patient=COL",
        default_value = "image=image,report=report"
    )]
    columns: String,
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
        let pairs = self.pairs()?;
        let assistant = self.pack.open()?;
        let measured = evaluate_retrieval(&assistant, &pairs, stop, report)?;
        if let Some(path) = &self.scores {
            std::fs::write(path, scores(&measured.ranks, measured.n))
                .map_err(|e| CommandError::new("io", format!("{}: {e}", path.display())))?;
        }
        output.print(&measured, text)
    }

    fn pairs(&self) -> Result<Vec<RetrievalPair>, CommandError> {
        let columns = parse_columns(&self.columns)?;
        pairs(
            &Table::read(&beside(&self.data, &self.table))?,
            &columns,
            &self.data,
        )
    }
}

/// A row whose patient is not known is a patient of its own.
fn pairs(
    table: &Table,
    columns: &TrainingColumns,
    data: &Path,
) -> Result<Vec<RetrievalPair>, CommandError> {
    let Some(report) = &columns.report else {
        let message = "--columns: report=COLUMN is missing".to_string();
        return Err(CommandError::new("bad_columns", message));
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
            return Err(CommandError::new("bad_table", message));
        }
        Ok(RetrievalPair {
            image: image_below(data, Path::new(&image)),
            report,
            patient: match patient.is_empty() {
                true => format!("\u{0}row {i}"),
                false => patient,
            },
        })
    })
    .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, columns: &str) -> Result<Vec<RetrievalPair>, CommandError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        pairs(
            &Table::read(&path)?,
            &parse_columns(columns)?,
            Path::new("d"),
        )
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
        let says = |text: &str, columns: &str| read(text, columns).unwrap_err().message;
        assert!(says("file,words\na,b\n", "image=file").contains("report=COLUMN"));
        assert!(says("file,text\na,b\n", "image=file,report=words").contains("`words`"));
        assert!(says("file,words\na\n", "image=file,report=words").contains("row 1"));
        assert!(says("file,words\n,b\n", "image=file,report=words").contains("no image"));
    }
}
