//! The work of a run: on threads of its own, out of the reader's way, taken up again where it stopped.

use std::time::{Duration, Instant};

use lucency_nn::{Interrupt, Progress};
use lucency_train::finetune::{Adapter, FeatureSet, adapter_folder};

use super::fit::{Job, TrainReport, fit};
use super::pool::in_pool;
use super::run::{RunFolder, State, Wish};
use super::{Courtesy, Numbers, numbers};
use crate::Options;
use crate::dto::TrainingState;
use crate::error::{AssistantError, Result};

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
    if let Some(report) = left_before(options, run, &state)? {
        return finished(run, state, report);
    }
    (state.state, state.error) = (TrainingState::Running, None);
    run.keep(&state)?;
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
    let outcome = work_on(&job, run, background, stop, &mut state, report);
    match outcome {
        Ok(report) => finished(run, state, report),
        Err(error) => {
            state.state = match (&error, run.wished()) {
                (AssistantError::Stopped, Some(Wish::Cancel)) => TrainingState::Cancelled,
                (AssistantError::Stopped, _) => TrainingState::Paused,
                _ => TrainingState::Failed,
            };
            if state.state == TrainingState::Failed {
                state.error = Some(error.to_dto());
            }
            // On a full disk the state cannot be written; the cause matters more.
            let _ = run.keep(&state);
            if state.state == TrainingState::Cancelled {
                run.drop_checkpoints();
            }
            run.forget_wishes();
            Err(error)
        }
    }
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

fn finished(run: &RunFolder, mut state: State, report: TrainReport) -> Result<TrainReport> {
    state.state = TrainingState::Finished;
    state.adapter = Some(report.adapter.clone());
    state.cases = report.trained_cases;
    (state.done, state.total) = (state.total.max(1), state.total.max(1));
    run.keep(&state)?;
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
