//! What an adapter's report page shows.

use lucency_train::finetune::{ClassReport, Evaluation, MacroReport, Recalibration};

use super::ForgottenTask;
use super::adapters::{details_of, read, report_of, summary_now};
use super::pairs::{PairsReport, Recall};
use crate::Options;
use crate::dto::{
    AdapterReport, ClassFigures, FigureInterval, ForgottenRow, RecalibrationRow, RecallRow,
    ReportRow,
};
use crate::error::Result;

/// What an adapter's report page shows.
///
/// Errors if there is no such adapter, or it has no report.
pub fn adapter_report(options: &Options, name: &str) -> Result<AdapterReport> {
    let adapter = read(options, name)?;
    let report = report_of(&adapter)?;
    let details = details_of(&adapter).unwrap_or_default();
    let (evaluation, retrieval) = (report.evaluation.as_ref(), report.retrieval.as_ref());
    let value = |after: Option<f64>, before: Option<f64>| Some(after? - before?);
    let gain = match (evaluation, retrieval) {
        (Some(e), _) => FigureInterval {
            value: value(e.adapted.overall.auroc, e.base.overall.auroc),
            low: e.gain.map(|g| g.low),
            high: e.gain.map(|g| g.high),
        },
        (None, Some(r)) => FigureInterval {
            value: Some(r.recall_at_5 - r.base_recall_at_5),
            low: r.gain.map(|g| g.low),
            high: r.gain.map(|g| g.high),
        },
        (None, None) => FigureInterval::default(),
    };
    Ok(AdapterReport {
        adapter: summary_now(options, &adapter)?,
        judged_on: report.judged_on.clone(),
        cases: evaluation.map_or(retrieval.map_or(0, |r| r.pairs), |e| e.n),
        patients: evaluation.map_or(retrieval.map_or(0, |r| r.pair_patients), |e| e.patients),
        trained: report.labels.clone(),
        rows: evaluation.map(rows).unwrap_or_default(),
        gain,
        accuracy: evaluation.and_then(|e| e.adapted.overall.accuracy),
        base_accuracy: evaluation.and_then(|e| e.base.overall.accuracy),
        recalibration: report.recalibration.map(recalibration_row),
        plots: details.plots,
        confusion: details.confusion,
        worst: details.worst,
        retrieval: retrieval.map(recall_rows).unwrap_or_default(),
        forgotten: report.forgotten.iter().map(forgotten_row).collect(),
    })
}

fn recalibration_row(r: Recalibration) -> RecalibrationRow {
    RecalibrationRow {
        method: r.method.name().into(),
        cases: r.fitted_on,
        ece_before: r.ece_before,
        ece_after: r.ece_after,
        brier_before: r.brier_before,
        brier_after: r.brier_after,
    }
}

fn forgotten_row(task: &ForgottenTask) -> ForgottenRow {
    ForgottenRow {
        name: task.name.clone(),
        measure: task.measure.clone(),
        cases: task.cases,
        before: task.base,
        after: task.adapted,
        low: task.low,
        high: task.high,
        forgotten: task.is_forgotten(),
    }
}

fn rows(e: &Evaluation) -> Vec<ReportRow> {
    let none = ClassReport::default();
    let mut rows: Vec<ReportRow> = e
        .adapted
        .per_class
        .iter()
        .map(|(name, after)| ReportRow {
            name: name.clone(),
            n: after.n,
            positives: after.positives,
            after: class_figures(after),
            before: class_figures(e.base.per_class.get(name).unwrap_or(&none)),
            delong_p: after.delong_p,
        })
        .collect();
    rows.push(ReportRow {
        name: "macro".into(),
        n: e.n,
        positives: 0,
        after: macro_figures(&e.adapted.overall),
        before: macro_figures(&e.base.overall),
        delong_p: None,
    });
    rows
}

fn class_figures(r: &ClassReport) -> ClassFigures {
    ClassFigures {
        auroc: FigureInterval {
            value: r.auroc,
            low: r.auroc_low,
            high: r.auroc_high,
        },
        auprc: r.auprc,
        sensitivity_at_90_specificity: r.sensitivity_at_90_specificity,
        ece: r.ece,
        brier: r.brier,
    }
}

fn macro_figures(r: &MacroReport) -> ClassFigures {
    ClassFigures {
        auroc: FigureInterval {
            value: r.auroc,
            low: r.auroc_low,
            high: r.auroc_high,
        },
        auprc: r.auprc,
        sensitivity_at_90_specificity: None,
        ece: r.ece,
        brier: r.brier,
    }
}

fn recall_rows(r: &PairsReport) -> Vec<RecallRow> {
    let figure = |r: &Recall| FigureInterval {
        value: Some(r.value),
        low: r.low,
        high: r.high,
    };
    [
        ("image to report", &r.image_to_report),
        ("report to image", &r.report_to_image),
    ]
    .into_iter()
    .flat_map(|(direction, both)| {
        let pairs = both.adapted.iter().zip(&both.base);
        pairs.map(move |(after, before)| RecallRow {
            direction: direction.to_owned(),
            k: after.k,
            after: figure(after),
            before: figure(before),
        })
    })
    .collect()
}
