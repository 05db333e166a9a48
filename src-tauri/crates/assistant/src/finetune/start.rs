//! The work of a run: on threads of its own, out of the reader's way, taken up again where it stopped.

use std::time::{Duration, Instant};

use lucency_library::{CasePart, RunKind};
use lucency_nn::{Interrupt, Progress};
use lucency_train::finetune::{Adapter, FeatureSet, adapter_folder};
use serde_json::{Value, json};

use super::fit::{Job, fit};
use super::pool::in_pool;
use super::run::{RunFolder, State, Wish};
use super::train_report::TrainReport;
use super::{Courtesy, Numbers, numbers};
use crate::Options;
use crate::dto::TrainingState;
use crate::error::{AssistantError, Result};
use crate::ledger::{self, Entry, Task};

/// How often the state on disk follows the progress, at most.
const KEEP_EVERY: Duration = Duration::from_millis(300);

/// How the work is done.
#[derive(Default)]
pub struct Background<'a> {
    /// Cores at most; none for half of them.
    pub cores: Option<usize>,
    /// When to rest; none for never.
    pub courtesy: Option<&'a Courtesy>,
    /// Whether other programs go first.
    pub low_priority: bool,
    /// Numbers of a probe, and what it may read, in place of the preset's.
    pub probe: Option<(lucency_train::probe::ProbePlan, Vec<FeatureSet>)>,
}

/// Carries a run out, or goes on with it.
///
/// - returns the report of its adapter; with [`AssistantError::Stopped`] the run is paused, or cancelled if that was wished
///
/// Errors as the work does; the state on disk then says why, and the last checkpoint is kept.
pub fn carry_out(
    options: &Options,
    run: &RunFolder,
    background: &Background<'_>,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<TrainReport> {
    let _lock = run.lock()?;
    run.forget_wishes();
    let mut state = run.state()?;
    let outcome = attempt(options, run, background, stop, &mut state, report);
    if let Err(error) = &outcome {
        state.state = match (error, run.wished()) {
            (AssistantError::Stopped, Some(Wish::Cancel)) => TrainingState::Cancelled,
            (AssistantError::Stopped, _) => TrainingState::Paused,
            _ => TrainingState::Failed,
        };
        if state.state == TrainingState::Failed {
            state.error = Some(error.to_dto());
        }
        // On a full disk the state cannot be written, nor can the library; the cause matters more.
        let _ = run.keep(&state);
        if let Ok(Some(entry)) = entry(options, run, &state) {
            let _ = ended(&entry, &state);
        }
        if state.state == TrainingState::Cancelled {
            run.drop_checkpoints();
        }
        run.forget_wishes();
    }
    outcome
}

/// The work from its entry in the library to the finished state.
fn attempt(
    options: &Options,
    run: &RunFolder,
    background: &Background<'_>,
    stop: &Interrupt,
    state: &mut State,
    report: &mut dyn FnMut(Progress),
) -> Result<TrainReport> {
    let entry = entry(options, run, state)?;
    if let Some(report) = left_before(options, run, state)? {
        return finished(options, run, state, report, entry.as_ref());
    }
    if let Some(entry) = &entry {
        entry.begin()?;
    }
    (state.state, state.error) = (TrainingState::Running, None);
    run.keep(state)?;
    let (numbers, sets) = match &background.probe {
        Some((plan, sets)) => (Numbers::Probe(plan.clone()), sets.clone()),
        None => (
            numbers(&run.request.preset, &run.request.options)?.1,
            FeatureSet::ALL.to_vec(),
        ),
    };
    let job = Job {
        options,
        request: &run.request,
        numbers,
        sets: &sets,
        run: &run.dir,
        created: state.created.clone(),
    };
    let report = work_on(&job, run, background, stop, state, report)?;
    finished(options, run, state, report, entry.as_ref())
}

/// The report of an adapter that this run wrote just before it was killed.
fn left_before(options: &Options, run: &RunFolder, state: &State) -> Result<Option<TrainReport>> {
    let Ok(adapter) = Adapter::read(&adapter_folder(&options.home, run.name())?) else {
        return Ok(None);
    };
    if adapter.manifest.created != state.created {
        return Ok(None); // another run's: the work will say that the name is taken
    }
    super::adapters::report_of(&adapter).map(Some)
}

/// The library's entry of a run; none if its cases are not the library's.
pub(super) fn entry(options: &Options, run: &RunFolder, state: &State) -> Result<Option<Entry>> {
    let request = &run.request;
    let mut settings = ledger::table_settings(&request.data);
    settings["preset"] = request.preset.clone().into();
    settings["options"] = serde_json::to_value(&request.options).unwrap_or_default();
    let task = Task {
        kind: RunKind::Training,
        pack: ledger::pack_hash(options, request.pack.as_deref())?,
        adapter: Some(run.name()),
        started: state.created.clone(),
        settings,
        path: Some(ledger::run_path(run.name())),
    };
    Ok(Entry::of(&options.home, &request.data, task))
}

/// Notes in the library how a run ended without an adapter; one that is paused has not ended.
pub(super) fn ended(entry: &Entry, state: &State) -> Result<()> {
    let outcome = match (state.state, &state.error) {
        (TrainingState::Cancelled, _) => json!({ "state": "cancelled" }),
        (TrainingState::Failed, Some(error)) => json!({ "state": "failed", "code": error.code }),
        _ => return Ok(()),
    };
    entry.end(outcome, |_| CasePart::Trained)
}

/// What the library keeps of a report.
fn outcome(report: &TrainReport) -> Value {
    let (evaluation, retrieval) = (report.evaluation.as_ref(), report.retrieval.as_ref());
    json!({
        "state": "finished",
        "trained_cases": report.trained_cases,
        "trained_patients": report.trained_patients,
        "judged_cases": evaluation.map(|e| e.n).or(retrieval.map(|r| r.pairs)),
        "auroc": evaluation.and_then(|e| e.adapted.overall.auroc),
        "base_auroc": evaluation.and_then(|e| e.base.overall.auroc),
        "recall_at_5": retrieval.map(|r| r.recall_at_5),
        "base_recall_at_5": retrieval.map(|r| r.base_recall_at_5),
        "passes": report.gate.passes,
    })
}

/// Notes first in the library and then in the folder that a run is finished: killed between the two, the next call does it again.
fn finished(
    options: &Options,
    run: &RunFolder,
    state: &mut State,
    report: TrainReport,
    entry: Option<&Entry>,
) -> Result<TrainReport> {
    if let Some(entry) = entry {
        let learned = |row: usize| {
            report
                .trained_rows
                .as_ref()
                .is_none_or(|rows| rows.contains(&row))
        };
        entry.end(outcome(&report), |row| match learned(row) {
            true => CasePart::Trained,
            false => CasePart::Judged,
        })?;
    }
    // The adapter is there, whatever state the library is in.
    let _ = ledger::note_adapters(&options.home);
    state.state = TrainingState::Finished;
    state.adapter = Some(report.adapter.clone());
    state.cases = report.trained_cases;
    (state.done, state.total) = (state.total.max(1), state.total.max(1));
    run.keep(state)?;
    run.drop_checkpoints();
    run.forget_wishes();
    Ok(report)
}

/// Works in a pool of its own, and keeps the state on disk up to date.
fn work_on(
    job: &Job<'_>,
    run: &RunFolder,
    background: &Background<'_>,
    stop: &Interrupt,
    state: &mut State,
    report: &mut dyn FnMut(Progress),
) -> Result<TrainReport> {
    let courtesy = background.courtesy;
    let work = |tell: &(dyn Fn(Progress) + Sync)| {
        fit(job, stop, &mut |progress| {
            if run.wished().is_some() {
                stop.stop();
            }
            if let Some(courtesy) = courtesy {
                courtesy.wait(stop, |reason| tell(Progress::new(reason, 0, 0)));
            }
            tell(progress);
        })
    };
    let mut kept: Option<Instant> = None;
    let follow = &mut |progress: Progress| {
        let new = state.stage != progress.stage;
        state.stage.clone_from(&progress.stage);
        (state.done, state.total) = (progress.done, progress.total);
        state.eta_s = progress.eta_s;
        if new || kept.is_none_or(|at| at.elapsed() >= KEEP_EVERY) {
            // A state that could not be written shows in the work itself, which writes more.
            let _ = run.keep(state);
            kept = Some(Instant::now());
        }
        report(progress);
    };
    in_pool(background.cores, background.low_priority, work, follow)
}
