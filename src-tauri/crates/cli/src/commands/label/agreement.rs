//! `lucency label agreement`

use clap::Args;
use lucency_assistant::dto::{AgreementRow, LabelAgreement};

use crate::commands::library::library;
use crate::output::{CommandError, Output};

/// `lucency label agreement`
#[derive(Args)]
pub struct Agreement {
    /// Name of the set of labels
    #[arg(long, value_name = "NAME")]
    set: String,
    /// One reader
    #[arg(long, value_name = "NAME")]
    first: String,
    /// The other reader
    #[arg(long, value_name = "NAME")]
    second: String,
}

impl Agreement {
    /// Compares the readers.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let found = library()?.label_agreement(&self.set, &self.first, &self.second)?;
        output.print(&found, text)
    }
}

fn text(found: &LabelAgreement) -> String {
    let mut lines = vec![format!(
        "{} read {} cases, {} {}; both {}",
        found.first, found.first_cases, found.second, found.second_cases, found.both
    )];
    lines.extend(found.rows.iter().map(row));
    lines.extend(
        found
            .disagreements
            .iter()
            .map(|d| format!("{}  {}: {} / {}", d.case_id, d.name, d.first, d.second)),
    );
    lines.join("\n")
}

fn row(row: &AgreementRow) -> String {
    let kappa = match (row.kappa, row.low, row.high) {
        (Some(kappa), Some(low), Some(high)) => {
            format!("kappa {kappa:.3} [{low:.3}, {high:.3}], {}", row.words)
        }
        (Some(kappa), ..) => format!("kappa {kappa:.3}, {}", row.words),
        (None, ..) => row.words.clone(),
    };
    format!(
        "{:24} {} cases, {:.1} % the same, {kappa}",
        row.name,
        row.cases,
        100.0 * row.agreement
    )
}
