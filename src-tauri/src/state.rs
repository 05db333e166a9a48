//! What the commands share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use lucency_assistant::assets;
use lucency_assistant::cases::CaseLibrary;
use lucency_assistant::dto::AppInfo;
use lucency_assistant::finetune::Courtesy;
use lucency_assistant::{Assistant, AssistantError, Interrupt, Options, Picture, Progress};

use crate::arguments::Arguments;
use crate::error::{Reply, cancelled, of_assistant};
use crate::jobs::Jobs;
use crate::loading::Loading;
use crate::studies::Studies;
use crate::training::Training;

/// The permanent notice of the window.
const NOTICE: &str = "Research use only. Not a medical device.";

/// Everything that lives as long as the application.
pub struct AppState {
    /// Jobs that are running.
    pub jobs: Jobs,
    /// Studies that are open.
    pub studies: Studies,
    /// Where packs, caches and the application's own files are.
    pub options: Options,
    /// What the window was started for.
    pub startup: Startup,
    /// The models.
    pub models: Loading,
    /// The department's cases.
    pub library: CaseLibrary,
    /// The run of fine-tuning that is worked on.
    pub training: Training,
    /// When that run has to rest.
    pub courtesy: Courtesy,
}

impl AppState {
    /// The state at the start; nothing is loaded yet.
    pub fn new(arguments: Arguments, options: Options) -> Self {
        Self {
            jobs: Jobs::default(),
            studies: Studies::default(),
            startup: Startup::new(arguments),
            models: Loading::default(),
            library: CaseLibrary::at(&options.home),
            training: Training::default(),
            courtesy: Courtesy::on_mains_only(),
            options,
        }
    }

    /// What the window needs at its start.
    pub fn info(&self) -> AppInfo {
        let (pack, pack_error) = self.models.summary();
        AppInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pack,
            pack_error,
            demo_available: self.demo_study().is_some(),
            research_notice: NOTICE.to_owned(),
            startup_paths: self.startup.paths(),
            startup_demo: self.startup.demo,
        }
    }

    /// The demo study, if it came with the application.
    pub fn demo_study(&self) -> Option<PathBuf> {
        Some(assets::demo_study(&self.options.assets)).filter(|p| p.is_dir())
    }

    /// The clock.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// The models and one frame as they see it.
    ///
    /// Errors with `cancelled` if the user stops it, and as loading and decoding do.
    pub fn prepare(
        &self,
        series_id: &str,
        index: usize,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Reply<(Arc<Assistant>, Picture)> {
        report(Progress::new("reading the image", 0, 0));
        let handle = self.studies.series(series_id)?;
        let frame = self.studies.frame(&handle, index)?;
        let place = handle.place(index)?;
        let series = handle.series();
        let part = series.body_part.as_deref().unwrap_or_default();
        let picture = Picture::from_frame(&frame, place.frame + 1, &series.modality, part)
            .map_err(|e| of_assistant(&e))?;
        if stop.is_stopped() {
            return Err(cancelled());
        }
        report(Progress::new("loading the models", 0, 0));
        let assistant = self.models.wait(stop)?;
        report(Progress::new("computing", 0, 0));
        Ok((assistant, picture))
    }

    /// A use case's outcome as the window gets it: what was stopped meanwhile is `cancelled`.
    pub fn reply<T>(&self, stop: &Interrupt, outcome: Result<T, AssistantError>) -> Reply<T> {
        if stop.is_stopped() {
            return Err(cancelled());
        }
        outcome.map_err(|e| of_assistant(&e))
    }
}

/// What the window was started for, until its page has asked.
pub struct Startup {
    /// True if the demo study was asked for.
    pub demo: bool,
    paths: Mutex<Vec<PathBuf>>,
    told: AtomicBool,
}

impl Startup {
    fn new(arguments: Arguments) -> Self {
        Self {
            demo: arguments.demo,
            paths: Mutex::new(arguments.paths),
            told: AtomicBool::new(false),
        }
    }

    fn paths(&self) -> Vec<String> {
        let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |p: &PathBuf| p.to_string_lossy().into_owned();
        paths.iter().map(text).collect()
    }

    /// The page has asked what to open: files that come later are for its events.
    pub fn mark_told(&self) {
        self.told.store(true, Ordering::Release);
    }

    /// Keeps the files of a second start for the page, if it has not asked yet; otherwise returns them.
    pub fn keep(&self, more: Vec<PathBuf>) -> Option<Vec<PathBuf>> {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if self.told.load(Ordering::Acquire) {
            return Some(more);
        }
        paths.extend(more);
        None
    }
}
