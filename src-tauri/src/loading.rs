//! The models, loaded on a thread of their own so that the window paints at once.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lucency_assistant::dto::{ErrorDto, PackSummary};
use lucency_assistant::{Assistant, Interrupt};

use crate::error::{Reply, cancelled, of_panic};

/// How often a waiting job looks whether it was stopped.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A place for the models that may still be on their way.
#[derive(Default)]
pub struct Loading {
    slot: Mutex<Slot>,
    changed: Condvar,
}

#[derive(Default, Clone)]
enum Slot {
    #[default]
    Pending,
    Ready(Arc<Assistant>),
    Failed(ErrorDto),
}

impl Loading {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `load` here and now, and keeps its outcome; a panic is a failure.
    pub fn fill(&self, load: impl FnOnce() -> Reply<Assistant>) -> Reply<Arc<Assistant>> {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(load))
            .unwrap_or_else(|_| Err(of_panic()))
            .map(Arc::new);
        let mut slot = self.slot();
        match &outcome {
            Ok(assistant) => *slot = Slot::Ready(assistant.clone()),
            // What worked before keeps working.
            Err(_) if matches!(*slot, Slot::Ready(_)) => {}
            Err(failure) => *slot = Slot::Failed(failure.clone()),
        }
        self.changed.notify_all();
        outcome
    }

    /// The models, once they are there.
    ///
    /// Errors with `cancelled` if stopped meanwhile, or as loading did.
    pub fn wait(&self, stop: &Interrupt) -> Reply<Arc<Assistant>> {
        let mut slot = self.slot();
        loop {
            match &*slot {
                Slot::Ready(assistant) => return Ok(assistant.clone()),
                Slot::Failed(failure) => return Err(failure.clone()),
                Slot::Pending if stop.is_stopped() => return Err(cancelled()),
                Slot::Pending => {}
            }
            let waited = self.changed.wait_timeout(slot, LOOK_EVERY);
            slot = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The pack in use, or why there is none; both none while it loads.
    pub fn summary(&self) -> (Option<PackSummary>, Option<ErrorDto>) {
        match &*self.slot() {
            Slot::Pending => (None, None),
            Slot::Ready(assistant) => (Some(assistant.pack_summary()), None),
            Slot::Failed(failure) => (None, Some(failure.clone())),
        }
    }
}
