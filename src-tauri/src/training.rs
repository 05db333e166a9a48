//! Runs of fine-tuning that this window works on: one at a time, on a thread of its own, out of the reader's way.

use std::sync::{Arc, Mutex, PoisonError};

use lucency_assistant::Interrupt;
use lucency_assistant::dto::TrainingRun;
use lucency_assistant::finetune::{Background, RunFolder, carry_out};

use crate::error::{Reply, error, of_assistant};
use crate::state::AppState;

/// The run that is being worked on, if there is one.
#[derive(Default)]
pub struct Training(Mutex<Option<(String, Interrupt)>>);

impl Training {
    /// Takes the one place.
    ///
    /// Errors with `training_busy` if another run has it.
    fn begin(&self, name: &str) -> Reply<Interrupt> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((other, _)) = &*place {
            let message = format!("the run `{other}` is being worked on; pause it first");
            return Err(error("training_busy", message));
        }
        let stop = Interrupt::new();
        *place = Some((name.to_owned(), stop.clone()));
        Ok(stop)
    }

    fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Asks the run to keep what it has and stop: the application is being closed.
    pub fn stop(&self) {
        if let Some((_, stop)) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
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
        // How it went is in the run's folder, where the window looks.
        let work = || carry_out(&app.options, &run, &background, &stop, &mut |_| {});
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        app.training.end();
    });
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_is_worked_on_at_a_time() {
        let training = Training::default();
        let stop = training.begin("a").expect("the place is free");
        let refused = training.begin("b").err().map(|e| e.code);
        assert_eq!(refused.as_deref(), Some("training_busy"));
        training.stop();
        assert!(stop.is_stopped());
        training.end();
        assert!(training.begin("b").is_ok());
    }
}
