//! Long work: on a thread of its own, with progress, and stopped by the identifier that the window gave it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lucency_assistant::dto::ProgressDto;
use lucency_assistant::{Interrupt, Progress};
use tauri::async_runtime::spawn_blocking;
use tauri::ipc::Channel;

use crate::error::{Reply, error, of_panic};

/// At most one progress message in this time, but for a new stage and for the last unit.
const PROGRESS_EVERY: Duration = Duration::from_millis(50);

/// How many identifiers are remembered that were stopped before their job began.
const EARLY_STOPS: usize = 64;

/// Jobs that are running.
#[derive(Clone, Default)]
pub struct Jobs(Arc<Mutex<Registry>>);

#[derive(Default)]
struct Registry {
    running: HashMap<String, Interrupt>,
    stopped_early: VecDeque<String>,
}

/// One job's place in the registry; dropping it stops the job.
pub struct Job {
    id: String,
    interrupt: Interrupt,
    jobs: Jobs,
}

impl Jobs {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a job.
    ///
    /// Errors if one with this identifier is running.
    pub fn begin(&self, id: &str) -> Reply<Job> {
        let mut registry = self.registry();
        if registry.running.contains_key(id) {
            return Err(error("job_exists", "a job with this identifier is running"));
        }
        let interrupt = Interrupt::new();
        if let Some(place) = registry.stopped_early.iter().position(|s| s == id) {
            registry.stopped_early.remove(place);
            interrupt.stop();
        }
        registry.running.insert(id.to_owned(), interrupt.clone());
        Ok(Job {
            id: id.to_owned(),
            interrupt,
            jobs: self.clone(),
        })
    }

    /// Stops a job; one that has not begun yet will begin stopped.
    pub fn cancel(&self, id: &str) {
        let mut registry = self.registry();
        if let Some(interrupt) = registry.running.get(id) {
            interrupt.stop();
            return;
        }
        if registry.stopped_early.len() == EARLY_STOPS {
            registry.stopped_early.pop_front();
        }
        registry.stopped_early.push_back(id.to_owned());
    }

    /// Stops every job: the page that asked for them is gone.
    pub fn cancel_all(&self) {
        for interrupt in self.registry().running.values() {
            interrupt.stop();
        }
    }

    /// Runs `work` on a blocking thread under the identifier `id`.
    ///
    /// Errors as `work` does, with `internal` if it panics, and with `job_exists` if the identifier is in use.
    pub async fn run<T: Send + 'static>(
        &self,
        id: &str,
        progress: Channel<ProgressDto>,
        work: impl FnOnce(&Interrupt, &mut (dyn FnMut(Progress) + Send)) -> Reply<T> + Send + 'static,
    ) -> Reply<T> {
        let job = self.begin(id)?;
        let interrupt = job.interrupt.clone();
        blocking(move || work(&interrupt, &mut throttled(progress))).await
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.interrupt.stop();
        self.jobs.registry().running.remove(&self.id);
    }
}

/// Runs `work` on a blocking thread; a panic becomes an error.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Reply<T> + Send + 'static,
) -> Reply<T> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(of_panic()))
}

/// Passes progress on, but no more often than a person can read it.
fn throttled(channel: Channel<ProgressDto>) -> impl FnMut(Progress) {
    let mut last: Option<(Instant, String)> = None;
    move |progress| {
        let now = Instant::now();
        let wait = last.as_ref().is_some_and(|(sent, stage)| {
            now - *sent < PROGRESS_EVERY
                && *stage == progress.stage
                && progress.done < progress.total
        });
        if wait {
            return;
        }
        last = Some((now, progress.stage.clone()));
        // A window that has gone does not listen; its job is stopped elsewhere.
        let _ = channel.send(ProgressDto {
            stage: progress.stage,
            done: progress.done,
            total: progress.total,
            message: progress.message,
            eta_s: progress.eta_s,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_stopped_by_its_identifier() {
        let jobs = Jobs::default();
        let job = jobs.begin("a").expect("the identifier is free");
        assert!(!job.interrupt.is_stopped());
        jobs.cancel("a");
        assert!(job.interrupt.is_stopped());
    }

    #[test]
    fn a_dropped_job_stops_and_frees_its_identifier() {
        let jobs = Jobs::default();
        let job = jobs.begin("a").expect("the identifier is free");
        let interrupt = job.interrupt.clone();
        drop(job);
        assert!(interrupt.is_stopped());
        assert!(jobs.begin("a").is_ok(), "the identifier is free again");
    }

    #[test]
    fn two_jobs_cannot_share_an_identifier() {
        let jobs = Jobs::default();
        let _first = jobs.begin("a").expect("the identifier is free");
        let second = jobs.begin("a").err().map(|e| e.code);
        assert_eq!(second.as_deref(), Some("job_exists"));
    }

    #[test]
    fn a_stop_that_overtakes_its_job_still_counts() {
        let jobs = Jobs::default();
        jobs.cancel("a");
        let job = jobs.begin("a").expect("the identifier is free");
        assert!(job.interrupt.is_stopped());
        drop(job);
        let again = jobs.begin("a").expect("the identifier is free");
        assert!(!again.interrupt.is_stopped(), "a stop counts once");
    }

    #[test]
    fn a_panic_becomes_an_error_and_the_job_ends() {
        let jobs = Jobs::default();
        let outcome = tauri::async_runtime::block_on(jobs.run::<()>(
            "a",
            Channel::new(|_| Ok(())),
            |_, _| panic!("a patient's name"),
        ));
        let failure = outcome.expect_err("a panic is an error");
        assert_eq!(failure.code, "internal");
        assert!(!failure.message.contains("patient's name"));
        assert!(jobs.begin("a").is_ok(), "the job has ended");
    }
}
