//! `lucency eval retrieval`: whether a pack's images find their reports, and reports their images.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args;
use lucency_assistant::evaluate::{PairRanks, RetrievalPair, RetrievalReport, evaluate_retrieval};
use lucency_assistant::{Interrupt, Progress};
use lucency_library::vectors::evaluation::{Estimate, Retrieval};

use super::assist::PackChoice;
use crate::csv;
use crate::output::{CommandError, Output};

/// `lucency eval retrieval --data DIR --table FILE.csv --columns image=COL,report=COL,patient=COL`
#[derive(Args)]
pub struct RetrievalOf {
    /// Folder that the table's image names start from
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Table with a row for each image, comma-separated, with column names in the first line
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
        let wrong = |what: String| {
            CommandError::new("bad_table", format!("{}: {what}", self.table.display()))
        };
        let text = std::fs::read_to_string(&self.table).map_err(|e| wrong(e.to_string()))?;
        let columns = columns(&self.columns)?;
        let records = csv::parse(&text).map_err(wrong)?;
        pairs(&records, &columns, &self.data).map_err(wrong)
    }
}

/// What each field's column is called.
fn columns(text: &str) -> Result<HashMap<&str, &str>, CommandError> {
    let wrong = |what: String| CommandError::new("bad_arguments", format!("--columns: {what}"));
    let mut columns = HashMap::new();
    for part in text.split(',') {
        let (field, column) = part
            .split_once('=')
            .ok_or_else(|| wrong(format!("{part:?} is not FIELD=COLUMN")))?;
        if !["image", "report", "patient"].contains(&field) {
            let message =
                format!("{field:?} is not known; the fields are image, report and patient");
            return Err(wrong(message));
        }
        columns.insert(field, column);
    }
    match columns.contains_key("image") && columns.contains_key("report") {
        true => Ok(columns),
        false => Err(wrong(
            "image=COLUMN and report=COLUMN are both wanted".into(),
        )),
    }
}

fn pairs(
    records: &[Vec<String>],
    columns: &HashMap<&str, &str>,
    data: &Path,
) -> Result<Vec<RetrievalPair>, String> {
    let (names, rows) = records.split_first().ok_or("it has no rows")?;
    let place = |field: &str| {
        let Some(column) = columns.get(field) else {
            return Ok(None);
        };
        match names.iter().position(|name| name == column) {
            Some(place) => Ok(Some(place)),
            None => Err(format!(
                "there is no column {column:?}; there are {}",
                names.join(", ")
            )),
        }
    };
    let (image, report, patient) = (place("image")?, place("report")?, place("patient")?);
    let pair = |(i, row): (usize, &Vec<String>)| {
        let field = |place: Option<usize>| place.and_then(|p| row.get(p)).cloned();
        let name = field(image).unwrap_or_default();
        if row.len() != names.len() || name.is_empty() {
            return Err(format!("row {} is not complete, or names no image", i + 1));
        }
        // A row whose patient is not known is a patient of its own.
        let patient = field(patient).filter(|p| !p.is_empty());
        Ok(RetrievalPair {
            image: data.join(name),
            report: field(report).unwrap_or_default(),
            patient: patient.unwrap_or_else(|| format!("\u{0}row {i}")),
        })
    };
    rows.iter().enumerate().map(pair).collect()
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
        "{} pairs of {} patients with {} different reports",
        r.n, r.patients, r.reports
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

    #[test]
    fn a_table_becomes_pairs_through_the_column_map() {
        let table = csv::parse("who,file,words\n7,a.png,\"one, two\"\n,b.png,\n").unwrap();
        let map = columns("image=file,report=words,patient=who").unwrap();
        let found = pairs(&table, &map, Path::new("d")).unwrap();
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
        assert!(
            columns("image=a")
                .unwrap_err()
                .message
                .contains("report=COLUMN")
        );
        assert!(
            columns("image=a,report=b,age=c")
                .unwrap_err()
                .message
                .contains("\"age\"")
        );
        assert!(
            columns("image")
                .unwrap_err()
                .message
                .contains("FIELD=COLUMN")
        );
        let map = columns("image=file,report=words").unwrap();
        let table = csv::parse("file,text\na,b\n").unwrap();
        assert!(
            pairs(&table, &map, Path::new(""))
                .unwrap_err()
                .contains("\"words\"")
        );
        let table = csv::parse("file,words\na\n").unwrap();
        assert!(
            pairs(&table, &map, Path::new(""))
                .unwrap_err()
                .contains("row 1")
        );
    }
}
