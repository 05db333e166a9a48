//! Runs of fine-tuning that this window works on: one at a time, on a thread of its own, out of the reader's way.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lucency_assistant::AssistantError;
use lucency_assistant::Interrupt;
use lucency_assistant::dto::{ErrorDto, TrainingRun, TrainingState};
use lucency_assistant::finetune::{Background, RunFolder, carry_out};

use crate::error::{Reply, error, of_assistant};
use crate::state::AppState;

/// What this window works on, and what went wrong.
#[derive(Default)]
pub struct Training(Mutex<Place>);

#[derive(Default)]
struct Place {
    /// The run that is being worked on, if there is one.
    taken: Option<(String, Interrupt)>,
    /// Why runs ended by name: on a full disk their own folders cannot say so.
    failures: HashMap<String, ErrorDto>,
}

impl Training {
    /// Takes the one place.
    ///
    /// Errors with `training_busy` if another run has it.
    fn begin(&self, name: &str) -> Reply<Interrupt> {
        let mut place = self.place();
        if let Some((other, _)) = &place.taken {
            let message = format!("the run `{other}` is being worked on; pause it first");
            return Err(error("training_busy", message));
        }
        let stop = Interrupt::new();
        place.failures.remove(name);
        place.taken = Some((name.to_owned(), stop.clone()));
        Ok(stop)
    }

    fn end(&self, name: &str, failure: Option<ErrorDto>) {
        let mut place = self.place();
        place.taken = None;
        place
            .failures
            .extend(failure.map(|why| (name.to_owned(), why)));
    }

    /// A run that seems to be paused, though its work ended with an error that could not be written down, says so.
    pub fn explain(&self, mut run: TrainingRun) -> TrainingRun {
        if run.state == TrainingState::Paused
            && let Some(why) = self.place().failures.get(&run.name)
        {
            run.state = TrainingState::Failed;
            run.error = Some(why.clone());
        }
        run
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the run to keep what it has and stop: the application is being closed.
    pub fn stop(&self) {
        if let Some((_, stop)) = &self.place().taken {
            stop.stop();
        }
    }
}

/// Works on a run in the background; returns at once.
///
/// Errors with `training_busy` if another run is worked on; this one then waits as a paused one.
pub fn work_on(app: &Arc<AppState>, run: RunFolder) -> Reply<TrainingRun> {
    let stop = app.training.begin(run.name())?;
    let mut now = run.status().map_err(|e| of_assistant(&e))?;
    now.state = lucency_assistant::dto::TrainingState::Running;
    let app = app.clone();
    std::thread::spawn(move || {
        let background = Background {
            cores: run.request.cores,
            courtesy: Some(&app.courtesy),
            low_priority: true,
            ..Background::default()
        };
        // How it went is in the run's folder, where the window looks, if it could be written there.
        let work = || carry_out(&app.options, &run, &background, &stop, &mut |_| {});
        let failure = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(_) | Err(AssistantError::Stopped)) => None,
            Ok(Err(error)) => Some(error.to_dto()),
            Err(_) => Some(ErrorDto {
                code: "internal".into(),
                message: "the work on the run broke off; resume it from its last checkpoint".into(),
            }),
        };
        app.training.end(run.name(), failure);
    });
    Ok(now)
}

#[cfg(test)]
mod tests {
    use lucency_assistant::dto::TrainingMethod;

    use super::*;

    #[test]
    fn one_run_is_worked_on_at_a_time() {
        let training = Training::default();
        let stop = training.begin("a").expect("the place is free");
        let refused = training.begin("b").err().map(|e| e.code);
        assert_eq!(refused.as_deref(), Some("training_busy"));
        training.stop();
        assert!(stop.is_stopped());
        training.end("a", None);
        assert!(training.begin("b").is_ok());
    }

    fn paused() -> TrainingRun {
        TrainingRun {
            name: "a".into(),
            method: TrainingMethod::Probe,
            preset: "few_labels".into(),
            pack: "demo".into(),
            state: TrainingState::Paused,
            stage: String::new(),
            done: 0,
            total: 0,
            eta_s: None,
            cases_per_s: None,
            error: None,
            created: String::new(),
            cases: 0,
            adapter: None,
        }
    }

    #[test]
    fn a_run_that_could_not_write_down_its_error_says_it_until_it_is_taken_up_again() {
        let training = Training::default();
        let why = ErrorDto {
            code: "io".into(),
            message: "the disk is full".into(),
        };
        training.end("a", Some(why.clone()));
        let shown = training.explain(paused());
        assert_eq!(
            (shown.state, shown.error),
            (TrainingState::Failed, Some(why))
        );
        training.begin("a").unwrap();
        let shown = training.explain(paused());
        assert_eq!((shown.state, shown.error), (TrainingState::Paused, None));
    }
}
