//! What a run will cost, from some of its own steps.

use std::path::Path;
use std::time::Instant;

use lucency_nn::{Interrupt, Progress};

use super::fit::{Job, fit};
use super::learn::FOLDS;
use super::pool::in_pool;
use super::preset::refuse_narrow;
use super::{Numbers, numbers};
use crate::Options;
use crate::dto::{TrainingEstimate, TrainingRequest};
use crate::error::{AssistantError, Result};

/// Steps that are measured, after a first one that is not.
const STEPS: u64 = 3;
/// Evaluations of a run, and what a forward pass costs beside a step.
const EVALUATIONS: f64 = 15.0;
const FORWARD: f64 = 0.35;

/// Measures some steps of a run in a folder that is deleted, on the threads that the run would have.
///
/// A probe has no steps: its images are counted as steps.
///
/// Errors as the run itself would, and with [`AssistantError::Stopped`] if stopped.
pub fn estimate(
    options: &Options,
    request: &TrainingRequest,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<TrainingEstimate> {
    let (_, numbers) = numbers(&request.preset, &request.options)?;
    refuse_narrow(&request.options, &options.compute)?;
    let home = tempfile::tempdir().map_err(|source| AssistantError::Io {
        what: "a folder for the trial".into(),
        source,
    })?;
    // The trial's adapter, if it comes to one, lies in the trial's home; packs are found where they are.
    let pack = options
        .store()
        .locate(request.pack.as_deref().unwrap_or(crate::DEFAULT_PACK))?;
    let trial = TrainingRequest {
        pack: Some(pack.to_string_lossy().into_owned()),
        ..request.clone()
    };
    let own = Options {
        home: home.path().to_path_buf(),
        ..options.clone()
    };
    let job = Job {
        options: &own,
        request: &trial,
        numbers,
        sets: &[lucency_train::finetune::FeatureSet::Texture],
        run: &home.path().join("run"),
        created: String::new(),
    };
    let before = memory_mib("VmRSS:");
    forget_peak();
    let (inner, mut watch) = (Interrupt::new(), Watch::default());
    let looks = matches!(job.numbers, Numbers::Probe(_));
    let trial = |tell: &(dyn Fn(Progress) + Sync)| {
        fit(&job, &inner, &mut |progress| {
            if stop.is_stopped() || watch.enough(&progress, looks) {
                inner.stop();
            }
            tell(progress);
        })
    };
    let outcome = in_pool(request.cores, false, trial, report);
    match outcome {
        _ if stop.is_stopped() => return Err(AssistantError::Stopped),
        Ok(_) | Err(AssistantError::Stopped) => {}
        Err(error) => return Err(error),
    }
    let step_s = watch.step_s();
    // Heads look at the images once for each fold that judges them, and once more.
    let passes = match &job.numbers {
        Numbers::Tune(plan) if plan.report_heads => 1.0 + FOLDS as f64,
        _ => 1.0,
    };
    let judging = EVALUATIONS * FORWARD * 0.3 * watch.per_epoch(&job.numbers, watch.total);
    Ok(TrainingEstimate {
        steps: watch.total,
        step_s,
        total_s: passes * step_s * (watch.total as f64 + if looks { 0.0 } else { judging }),
        memory_mib: (memory_mib("VmHWM:") - before).max(0.0),
        disk_bytes: 2 * size_of(home.path()),
    })
}

/// The clock of a trial.
#[derive(Default)]
struct Watch {
    first: Option<(Instant, u64)>,
    last: Option<(Instant, u64)>,
    total: u64,
}

impl Watch {
    /// Takes a look; true when enough was seen.
    fn enough(&mut self, progress: &Progress, looks: bool) -> bool {
        let stage = if looks {
            "looking at images"
        } else {
            "training"
        };
        if progress.stage != stage {
            return looks && self.last.is_some();
        }
        self.total = progress.total;
        let now = (Instant::now(), progress.done);
        if self.first.is_none() {
            self.first = Some(now);
            return false;
        }
        self.last = Some(now);
        !looks && progress.done > STEPS
    }

    fn step_s(&self) -> f64 {
        let (Some((begun, from)), Some((ended, to))) = (self.first, self.last) else {
            return 0.0;
        };
        (ended - begun).as_secs_f64() / (to - from).max(1) as f64
    }

    /// Steps of one pass over the cases.
    fn per_epoch(&self, numbers: &Numbers, total: u64) -> f64 {
        match numbers {
            Numbers::Probe(_) => 0.0,
            Numbers::Tune(plan) => total as f64 / plan.epochs.max(1) as f64,
        }
    }
}

/// A line of this process's status in MiB; 0 where the system does not say.
fn memory_mib(line: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|l| l.strip_prefix(line));
    let kib = found.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// Lets Linux measure the peak anew. Where it cannot, the peak is the program's so far, and the estimate too small.
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn size_of(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size_of(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
