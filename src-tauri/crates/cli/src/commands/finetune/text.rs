//! Reports of fine-tuning for people.

use lucency_assistant::finetune::TrainReport;
use lucency_train::finetune::{Evaluation, Gate, Recalibration};

/// What a run left.
pub fn train_report(report: &TrainReport) -> String {
    let mut lines = vec![
        format!("adapter    {} ({})", report.adapter, report.method.name()),
        format!(
            "cases      {} of {} patients",
            report.trained_cases, report.trained_patients
        ),
    ];
    if let (Some(features), Some(strength)) = (report.features, report.strength) {
        lines.push(format!("features   {features:?}, C {strength}"));
    }
    if let Some(steps) = report.steps {
        lines.push(format!("steps      {steps}"));
    }
    lines.push(format!("judged on  {}", report.judged_on));
    lines.extend(report.evaluation.iter().flat_map(table));
    lines.extend(report.recalibration.iter().map(recalibration_line));
    lines.extend(report.retrieval.iter().map(|r| {
        format!(
            "recall@5   {:.3} after {:.3}, {} pairs",
            r.recall_at_5, r.base_recall_at_5, r.pairs
        )
    }));
    lines.extend(report.forgotten.iter().map(|task| {
        let forgotten = if task.is_forgotten() {
            ", forgotten"
        } else {
            ""
        };
        format!(
            "demo cases {} ({}): {:.3} after {:.3}{forgotten}",
            task.name, task.measure, task.adapted, task.base
        )
    }));
    lines.extend(gate_lines(&report.gate));
    lines.join("\n")
}

/// What recalibration was worth.
pub fn recalibration_line(r: &Recalibration) -> String {
    let on = r.fitted_on.map(|n| format!(", on {n} cases"));
    format!(
        "calibrated ({}{}): ECE {:.3} after {:.3} without, Brier score {:.3} after {:.3}",
        r.method.name(),
        on.unwrap_or_default(),
        r.ece_after,
        r.ece_before,
        r.brier_after,
        r.brier_before
    )
}

/// Before and after, a line a class.
pub fn table(evaluation: &Evaluation) -> Vec<String> {
    let number = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{v:.3}"));
    let mut lines = vec![format!(
        "{:24} {:>21} {:>7} {:>7} {:>7}   before",
        "", "AUROC", "AUPRC", "ECE", "Brier"
    )];
    for (name, after) in &evaluation.adapted.per_class {
        let before = &evaluation.base.per_class[name];
        lines.push(format!(
            "{name:24} {:>5} ({:>5} to {:>5}) {:>7} {:>7.3} {:>7.3}   {} {:.3} {:.3}",
            number(after.auroc),
            number(after.auroc_low),
            number(after.auroc_high),
            number(after.auprc),
            after.ece,
            after.brier,
            number(before.auroc),
            before.ece,
            before.brier
        ));
    }
    let (after, before) = (&evaluation.adapted.overall, &evaluation.base.overall);
    lines.push(format!(
        "{:24} {:>5} ({:>5} to {:>5}) {:>7} {:>7.3} {:>7.3}   {} {:.3} {:.3}",
        "macro",
        number(after.auroc),
        number(after.auroc_low),
        number(after.auroc_high),
        number(after.auprc),
        after.ece,
        after.brier,
        number(before.auroc),
        before.ece,
        before.brier
    ));
    lines
}

/// Whether it may go live.
pub fn gate_lines(gate: &Gate) -> Vec<String> {
    let mut lines = match gate.passes {
        true => vec!["It may go live.".to_owned()],
        false => {
            let mut lines = vec!["It may not go live:".to_owned()];
            lines.extend(gate.reasons.iter().map(|r| format!("  {r}")));
            lines
        }
    };
    lines.extend(gate.warnings.iter().map(|w| format!("warning: {w}")));
    lines
}
