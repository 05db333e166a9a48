//! A run as a folder: what was asked for, how far it is, and who works on it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use lucency_train::finetune::{Adapter, adapter_folder};
use serde::{Deserialize, Serialize};

use super::preset::refuse_narrow;
use super::start::{ended, entry};
use super::{numbers, refuse};
use crate::dto::{
    CurvePoint, ErrorDto, TrainingMethod, TrainingRequest, TrainingRun, TrainingRunDetail,
    TrainingState,
};
use crate::error::{AssistantError, Result};
use crate::ledger;
use crate::{DEFAULT_PACK, Options};

const REQUEST: &str = "request.json";
const STATE: &str = "state.json";
const LOCK: &str = "lock";
const CONTROL: &str = "control";
/// How often and how long a lock that is looked at is tried again.
const LOOKS: usize = 10;
const LOOK: std::time::Duration = std::time::Duration::from_millis(10);
/// Points of a curve at most.
const POINTS: usize = 400;

/// A run's folder, `LUCENCY_HOME/runs/NAME`.
#[derive(Clone, Debug)]
pub struct RunFolder {
    /// Where it lies.
    pub dir: PathBuf,
    /// What was asked for.
    pub request: TrainingRequest,
}

/// What is kept about a run's progress.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub state: TrainingState,
    pub stage: String,
    pub done: u64,
    pub total: u64,
    pub eta_s: Option<f64>,
    pub error: Option<ErrorDto>,
    pub created: String,
    pub cases: usize,
    pub adapter: Option<String>,
}

/// What somebody outside wants of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Pause,
    Cancel,
}

/// Proof that nobody else works on the run; held as long as the work goes on, released by the system if the program dies.
pub(super) struct Lock {
    _file: fs::File,
}

fn folder(options: &Options, name: &str) -> Result<PathBuf> {
    adapter_folder(&options.home, name)?; // the same rule for names
    Ok(options.home.join("runs").join(name))
}

fn io(what: &str) -> impl FnOnce(std::io::Error) -> AssistantError + use<'_> {
    move |source| AssistantError::Io {
        what: what.to_owned(),
        source,
    }
}

impl RunFolder {
    /// Opens a run's folder.
    ///
    /// Errors if there is none of this name, or it is damaged.
    pub fn open(options: &Options, name: &str) -> Result<Self> {
        let dir = folder(options, name)?;
        let text = fs::read_to_string(dir.join(REQUEST)).map_err(|_| {
            refuse(
                "no_run",
                format!("there is no run `{name}`; `lucency runs list` shows which there are"),
            )
        })?;
        let request = serde_json::from_str(&text)
            .map_err(|e| refuse("bad_run", format!("the run `{name}` is damaged: {e}")))?;
        Ok(Self { dir, request })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.request.name
    }

    /// Takes the work on.
    ///
    /// Errors with `run_busy` if another program works on it.
    pub(super) fn lock(&self) -> Result<Lock> {
        let file = self.lock_file()?;
        for _ in 0..LOOKS {
            if file.try_lock().is_ok() {
                return Ok(Lock { _file: file });
            }
            std::thread::sleep(LOOK); // somebody may only be looking
        }
        Err(refuse(
            "run_busy",
            format!("the run `{}` is being worked on already", self.name()),
        ))
    }

    fn lock_file(&self) -> Result<fs::File> {
        let mut how = fs::OpenOptions::new();
        let file = how.read(true).write(true).create(true).truncate(false);
        file.open(self.dir.join(LOCK)).map_err(io("the run's lock"))
    }

    fn is_worked_on(&self) -> bool {
        self.lock_file()
            .is_ok_and(|file| file.try_lock_shared().is_err())
    }

    pub(super) fn state(&self) -> Result<State> {
        let text = fs::read_to_string(self.dir.join(STATE)).map_err(io("the run's state"))?;
        serde_json::from_str(&text).map_err(|e| {
            refuse(
                "bad_run",
                format!("the run `{}` is damaged: {e}", self.name()),
            )
        })
    }

    /// Replaces the state; readers see the old one or the new one.
    pub(super) fn keep(&self, state: &State) -> Result<()> {
        write_json(&self.dir, STATE, state)
    }

    /// Leaves a wish for whoever works on the run.
    fn wish(&self, wish: Wish) -> Result<()> {
        let word = match wish {
            Wish::Pause => "pause",
            Wish::Cancel => "cancel",
        };
        fs::write(self.dir.join(CONTROL), word).map_err(io("the run's folder"))
    }

    /// What is wished, if something is.
    pub(super) fn wished(&self) -> Option<Wish> {
        match &*fs::read_to_string(self.dir.join(CONTROL)).ok()? {
            "cancel" => Some(Wish::Cancel),
            _ => Some(Wish::Pause),
        }
    }

    pub(super) fn forget_wishes(&self) {
        // That there is none is the usual case.
        let _ = fs::remove_file(self.dir.join(CONTROL));
    }

    /// Gives back what only going on needs.
    pub(super) fn drop_checkpoints(&self) {
        for name in ["checkpoint", "checkpoint.old", "checkpoint.new"] {
            let _ = fs::remove_dir_all(self.dir.join(name)); // it is there or it is not
        }
        let _ = fs::remove_file(self.dir.join("best.safetensors"));
    }

    fn log(&self) -> Vec<Line> {
        let text = fs::read_to_string(self.dir.join("log.jsonl")).unwrap_or_default();
        // The last line may be half written.
        let lines = text.lines().map(serde_json::from_str);
        lines.filter_map(std::result::Result::ok).collect()
    }

    /// How it is now. A run that says that it works while nobody works on it was killed: it is paused.
    pub fn status(&self) -> Result<TrainingRun> {
        let kept = self.state()?;
        let (method, _) = numbers(&self.request.preset, &self.request.options)?;
        let state = match kept.state {
            TrainingState::Running if !self.is_worked_on() => TrainingState::Paused,
            state => state,
        };
        let works = state == TrainingState::Running;
        Ok(TrainingRun {
            name: self.name().to_owned(),
            method,
            preset: self.request.preset.clone(),
            pack: self.request.pack.clone().unwrap_or(DEFAULT_PACK.into()),
            state,
            stage: if works { kept.stage } else { String::new() },
            done: kept.done,
            total: kept.total,
            eta_s: kept.eta_s.filter(|_| works),
            cases_per_s: match works {
                true => self.log().last().map(|line| line.samples_per_s),
                false => None,
            },
            error: kept.error,
            created: kept.created,
            cases: kept.cases,
            adapter: kept.adapter,
        })
    }
}

/// What the curve needs of a line of the log.
#[derive(Deserialize)]
struct Line {
    step: u64,
    loss: f64,
    samples_per_s: f64,
    #[serde(default)]
    figures: std::collections::BTreeMap<String, f64>,
}

fn write_json<T: Serialize>(dir: &Path, name: &str, value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| refuse("json", e.to_string()))?;
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(io("the run's folder"))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.as_file().sync_data())
        .map_err(io("the run's folder"))?;
    let kept = file.persist(dir.join(name));
    kept.map(|_| ())
        .map_err(|e| io("the run's folder")(e.error))
}

/// Makes a run's folder; nothing is trained yet.
///
/// - `created`: RFC 3339, UTC
///
/// Errors if the name is taken or no name, the preset or its numbers cannot be used, or the pack is not there.
pub fn start_run(options: &Options, request: &TrainingRequest, created: &str) -> Result<RunFolder> {
    let dir = folder(options, &request.name)?;
    numbers(&request.preset, &request.options)?;
    refuse_narrow(&request.options, &options.compute)?;
    options
        .store()
        .locate(request.pack.as_deref().unwrap_or(DEFAULT_PACK))?;
    let adapter = adapter_folder(&options.home, &request.name)?;
    if dir.exists() || Adapter::read(&adapter).is_ok() {
        return Err(refuse(
            "name_taken",
            format!(
                "there is a run or an adapter `{}` already; choose another name",
                request.name
            ),
        ));
    }
    let runs = options.home.join("runs");
    fs::create_dir_all(&runs).map_err(io("the folder of runs"))?;
    let fresh = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(&runs)
        .map_err(io("the folder of runs"))?;
    write_json(fresh.path(), REQUEST, request)?;
    let state = State {
        state: TrainingState::Paused,
        stage: String::new(),
        done: 0,
        total: 0,
        eta_s: None,
        error: None,
        created: created.to_owned(),
        cases: 0,
        adapter: None,
    };
    write_json(fresh.path(), STATE, &state)?;
    fs::rename(fresh.path(), &dir).map_err(io("the folder of runs"))?;
    let _ = fresh.keep(); // it has its name now
    RunFolder::open(options, &request.name)
}

/// A run that can go on.
///
/// Errors if it is finished, cancelled, or being worked on.
pub fn take_up_run(options: &Options, name: &str) -> Result<RunFolder> {
    let run = RunFolder::open(options, name)?;
    let refused = |code, why: &str| Err(refuse(code, format!("the run `{name}` {why}")));
    match run.status()?.state {
        TrainingState::Running => refused("run_busy", "is being worked on already"),
        TrainingState::Finished => refused("run_finished", "is finished; its adapter is there"),
        TrainingState::Cancelled => refused("run_cancelled", "was cancelled; start a new one"),
        TrainingState::Paused | TrainingState::Failed => Ok(run),
    }
}

/// All runs, newest first; folders that are damaged are left out.
pub fn runs(options: &Options) -> Result<Vec<TrainingRun>> {
    let Ok(entries) = fs::read_dir(options.home.join("runs")) else {
        return Ok(Vec::new());
    };
    let mut found: Vec<TrainingRun> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            RunFolder::open(options, &name).ok()?.status().ok()
        })
        .collect();
    found.sort_by(|a, b| (&b.created, &a.name).cmp(&(&a.created, &b.name)));
    Ok(found)
}

/// A run with its curve.
///
/// Errors if there is no such run.
pub fn run_detail(options: &Options, name: &str) -> Result<TrainingRunDetail> {
    let folder = RunFolder::open(options, name)?;
    let run = folder.status()?;
    let figure = match run.method {
        TrainingMethod::Contrastive => "recall@5",
        _ => "auroc",
    };
    let lines = folder.log();
    let every = lines.len().div_ceil(POINTS).max(1);
    let curve = lines
        .iter()
        .enumerate()
        .filter(|(i, line)| i % every == 0 || !line.figures.is_empty() || i + 1 == lines.len())
        .map(|(_, line)| CurvePoint {
            step: line.step,
            loss: line.loss,
            figure: line.figures.get(figure).copied(),
        })
        .collect();
    Ok(TrainingRunDetail {
        run,
        curve,
        figure: figure.to_owned(),
        request: folder.request,
    })
}

/// Asks a run to stop at its next step and keep what it has.
///
/// Errors if there is no such run.
pub fn pause_run(options: &Options, name: &str) -> Result<TrainingRun> {
    let run = RunFolder::open(options, name)?;
    if run.status()?.state == TrainingState::Running {
        run.wish(Wish::Pause)?;
    }
    run.status()
}

/// Ends a run for good; a finished one stays finished.
///
/// Errors if there is no such run.
pub fn cancel_run(options: &Options, name: &str) -> Result<TrainingRun> {
    let run = RunFolder::open(options, name)?;
    match run.status()?.state {
        TrainingState::Running => run.wish(Wish::Cancel)?,
        TrainingState::Paused | TrainingState::Failed => {
            let _lock = run.lock()?;
            let mut state = run.state()?;
            state.state = TrainingState::Cancelled;
            run.keep(&state)?;
            // A pack that is gone meanwhile is no reason to keep the run.
            if let Ok(Some(entry)) = entry(options, &run, &state) {
                ended(&entry, &state)?;
            }
            run.drop_checkpoints();
        }
        TrainingState::Finished | TrainingState::Cancelled => {}
    }
    run.status()
}

/// Deletes a run's folder; its adapter stays, and so does what the library's record says of it.
///
/// Errors if there is no such run, or it is being worked on.
pub fn remove_run(options: &Options, name: &str) -> Result<()> {
    let run = match RunFolder::open(options, name) {
        Ok(run) => run,
        // Somebody removed the folder by hand: the record still names it.
        Err(error) => match ledger::forget_run(&options.home, name)? {
            true => return Ok(()),
            false => return Err(error),
        },
    };
    let _lock = run.lock()?;
    fs::remove_dir_all(&run.dir).map_err(io("the run's folder"))?;
    ledger::forget_run(&options.home, name).map(|_| ())
}
