//! `lucency eval finetune`: an adapter and its base pack on cases that were not trained on.

use std::path::PathBuf;

use clap::Args;
use lucency_assistant::dto::CalibrationMethod;
use lucency_assistant::finetune::{EvalReport, EvalRequest, Verdict, evaluate_adapter};
use lucency_assistant::{Interrupt, Progress};

use lucency_train::finetune::Calibration;

use super::super::table::DataArgs;
use super::{CalibrationChoice, options, text};
use crate::output::{CommandError, Output};

/// `lucency eval finetune --adapter NAME --data DIR --table FILE.csv --columns image=COL,patient=COL,label=COL`
#[derive(Args)]
pub struct FinetuneEval {
    /// Name of the adapter
    #[arg(long, value_name = "NAME")]
    adapter: String,
    #[command(flatten)]
    data: DataArgs,
    /// Table of every case's probabilities, with and without the adapter
    #[arg(long, value_name = "OUT.csv")]
    scores: Option<PathBuf>,
    /// Name or folder of the model pack [default: the one the adapter was made on]
    #[arg(long, value_name = "PACK")]
    pack: Option<String>,
    /// Seed of the resamples behind the intervals, and of --attach's division
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the report with an adapter that has none, which may then go live if the gate lets it: two fifths of the patients (or the
    /// table's other rows than `test`) calibrate it, the others judge it
    #[arg(long)]
    attach: bool,
    /// With --attach: how logits become probabilities [default: a temperature and an offset a class; Platt for findings]
    #[arg(long, value_enum, requires = "attach")]
    calibration: Option<CalibrationChoice>,
}

impl FinetuneEval {
    /// Judges and prints.
    pub fn run(
        &self,
        output: Output,
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), CommandError> {
        let options = options()?;
        let data = self.data.data(&options)?;
        let verdict = match (self.attach, self.calibration) {
            (false, _) => Verdict::Told,
            (true, None) => Verdict::Kept(Calibration::Standard),
            (true, Some(choice)) => Verdict::Kept(CalibrationMethod::from(choice).into()),
        };
        let request = EvalRequest {
            adapter: &self.adapter,
            pack: self.pack.as_deref(),
            data: &data,
            scores: self.scores.as_deref(),
            seed: self.seed,
            verdict,
        };
        let report = evaluate_adapter(&options, &request, stop, progress)?;
        if report.trained_on_unknown {
            eprintln!(
                "warning: nothing says whom the adapter was trained on; if these cases are among them, the figures flatter"
            );
        }
        if let Some(first) = report.first_near_duplicate {
            eprintln!(
                "warning: {} cases look like a case trained on (first: row {first}); if they are, the figures flatter",
                report.near_duplicates
            );
        }
        output.print(&report, eval_text)
    }
}

fn eval_text(report: &EvalReport) -> String {
    let mut lines = vec![format!(
        "adapter {} ({}) on {}",
        report.adapter,
        report.method.name(),
        report.pack
    )];
    if let Some(e) = &report.evaluation {
        lines.push(format!("{} cases of {} patients", e.n, e.patients));
        lines.extend(text::table(e));
    }
    lines.extend(report.recalibration.iter().map(text::recalibration_line));
    lines.extend(report.retrieval.iter().map(|r| {
        format!(
            "recall@5 {:.3} after {:.3}, {} pairs of {} patients",
            r.recall_at_5, r.base_recall_at_5, r.pairs, r.pair_patients
        )
    }));
    lines.extend(text::gate_lines(&report.gate));
    if report.kept {
        lines.push("The report is kept with the adapter.".to_owned());
    }
    lines.join("\n")
}
