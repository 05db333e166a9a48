//! A verdict that stays with an adapter that came without one, so that it may go live by the same gate as any other.

use lucency_nn::{Interrupt, Progress};
use lucency_train::finetune::{
    Adapter, AdapterManifest, Calibration, Calibrator, LabelTable, Method, gate,
};

use super::adapters::{VERDICT, VERDICT_CASES, report_of};
use super::decide::decisions;
use super::divide::Sides;
use super::eval::{EvalReport, EvalRequest, Trial, Verdict, evaluate_adapter};
use super::fit::{counts, json, refuse_contradictions};
use super::forgotten::{ForgottenTask, forgotten};
use super::judge::{details, paths};
use super::page::adapter_report;
use super::refuse;
use super::scored::Scored;
use super::train_report::TrainReport;
use crate::Options;
use crate::dto::{AdapterReport, TrainingData};
use crate::error::Result;

/// What is said before an adapter goes live that nobody can vouch for.
const UNKNOWN: &str = "nothing says whom it was trained on: if patients that judged it were among them, its figures flatter";

/// Seed of a division into who calibrates and who judges, and of the resamples, where nobody chooses one.
const SEED: u64 = 1;

/// Judges an adapter without a report on cases of this site, with the standard calibration, and keeps the verdict with it.
///
/// Errors as [`evaluate_adapter`] does for a verdict that is to be kept; nothing has changed then, nor if it was stopped.
pub fn judge_adapter(
    options: &Options,
    name: &str,
    data: &TrainingData,
    stop: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<AdapterReport> {
    let request = EvalRequest {
        adapter: name,
        pack: None,
        data,
        scores: None,
        seed: SEED,
        verdict: Verdict::Kept(Calibration::Standard),
    };
    evaluate_adapter(options, &request, stop, progress)?;
    adapter_report(options, name)
}

/// Judges an adapter that has no verdict, and keeps the verdict with it.
///
/// Patients are divided first: on some the calibration, the operating points and the limit of not knowing are fitted, on the others it is
/// judged. Who was who is kept beside the verdict.
///
/// Errors if it was trained on reports, if there are too few patients of a class, or if its folder cannot be written; nothing changes then.
/// [`refuse_second`] comes first.
pub(super) fn attach(
    options: &Options,
    mut trial: Trial,
    request: &EvalRequest<'_>,
    how: Calibration,
    stop: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<EvalReport> {
    let name = trial.adapter.manifest.name.clone();
    let Some(table) = trial.table.take() else {
        return Err(refuse(
            "bad_method",
            format!(
                "the adapter `{name}` was trained on reports: train it anew with enough patients to leave some out, since a verdict is kept of adapters on labels alone"
            ),
        ));
    };
    let table = &table;
    refuse_contradictions(&trial.cases, table)?;
    let sides = sides(&trial, table, request.seed)?;
    let mut manifest = trial.adapter.manifest.clone();

    let labels = table.labels.select(&sides.validation);
    let chosen = trial.cases.chosen(&sides.validation);
    let (clip, preprocess) = (&trial.base.clip, trial.base.preprocess());
    let logits = trial
        .scorer
        .logits(clip, preprocess, &chosen, stop, progress)?;
    let calibration = Calibrator::fit(how, &logits, &labels)?;
    manifest.calibration = Some(calibration.clone());
    trial.scorer = trial.scorer.calibrated(Some(calibration));
    let scorer = &trial.scorer;
    manifest.renamed = trial.cases.renamed.clone();
    let calibrated = Scored::of(scorer, &logits).calibrated;
    decisions(&mut manifest, table, &calibrated, &labels);

    let found = trial.judge(table, scorer, &sides.test, request, stop, progress)?;
    let mut verdict = trial.report();
    verdict.kept = true;
    verdict.gate = gate(&found.evaluation);
    verdict.recalibration = Some(found.scored.worth(
        how,
        Some(sides.validation.len()),
        &found.own.labels,
    )?);
    let mut tasks = Vec::new();
    if let Some(towers) = scorer
        .towers()
        .filter(|_| manifest.method != Method::Prompt)
    {
        tasks = forgotten(options, &trial.base, towers, stop, progress)?;
    }
    let warnings = tasks.iter().filter_map(ForgottenTask::warning);
    verdict.gate.warnings.extend(warnings);
    if trial.unknown {
        verdict.gate.warnings.push(UNKNOWN.to_owned());
    }
    let shown = details(
        &found.own,
        &found.scored.calibrated,
        &found.before,
        &paths(&trial.cases, &sides.test),
    )?;
    verdict.evaluation = Some(found.evaluation);
    let report = as_report(&verdict, &manifest, &trial, tasks);
    let record = sides.record(&trial.cases, request.seed);
    let beside = [
        (VERDICT[0], json(&report)?),
        (VERDICT[1], json(&shown)?),
        (VERDICT_CASES, json(&record)?),
    ];
    trial.adapter.amend(manifest, &beside)?;
    Ok(verdict)
}

/// Refuses an adapter that has its verdict: a second one would let one choose.
pub(super) fn refuse_second(adapter: &Adapter) -> Result<()> {
    let before = report_of(adapter).ok();
    if before.is_none_or(|r| r.evaluation.is_none() && r.retrieval.is_none()) {
        return Ok(());
    }
    Err(refuse(
        "judged_already",
        format!(
            "the adapter `{}` has its verdict, which stays; judge it without --attach to see figures on other cases",
            adapter.manifest.name
        ),
    ))
}

/// Who calibrates and who judges.
fn sides(trial: &Trial, table: &LabelTable, seed: u64) -> Result<Sides> {
    let strata: Vec<Vec<usize>> = (0..table.labels.len())
        .map(|i| table.labels.strata(i))
        .collect();
    let rows: Vec<usize> = (0..strata.len())
        .filter(|i| !strata[*i].is_empty())
        .collect();
    let counts = counts(table, &trial.groups);
    let fewest = counts.iter().map(|c| c.patients).min().unwrap_or(0);
    Sides::to_judge(&trial.cases, &trial.groups, &rows, &strata, fewest, seed)
}

fn as_report(
    verdict: &EvalReport,
    manifest: &AdapterManifest,
    trial: &Trial,
    forgotten: Vec<ForgottenTask>,
) -> TrainReport {
    let how = match (trial.cases.parts.is_some(), trial.unknown) {
        (true, true) => "the table's test cases, after training elsewhere",
        (true, false) => "the table's test cases, later",
        (false, true) => "three fifths of the patients given, after training elsewhere",
        (false, false) => "three fifths of the patients given, later",
    };
    TrainReport {
        adapter: verdict.adapter.clone(),
        method: verdict.method,
        pack: verdict.pack.clone(),
        trained_cases: manifest.cases,
        trained_patients: manifest.patients,
        labels: Vec::new(),
        features: manifest.features,
        strength: None,
        choices: Vec::new(),
        steps: None,
        judged_on: how.into(),
        evaluation: verdict.evaluation.clone(),
        recalibration: verdict.recalibration,
        retrieval: None,
        forgotten,
        gate: verdict.gate.clone(),
        trained_rows: None,
    }
}
