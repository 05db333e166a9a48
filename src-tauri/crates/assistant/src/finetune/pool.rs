//! Threads of a run's own, while the caller's thread passes progress on.

use std::sync::mpsc;

use lucency_nn::Progress;
use rayon::ThreadPoolBuilder;

use super::courtesy::threads;
use super::refuse;
use crate::error::Result;
use crate::quiet::lower_priority;

/// Works in a pool of its own; everything that is computed in parallel stays in it.
///
/// - `cores`: at most; none for half of the machine's
/// - `low_priority`: whether other programs go first
/// - `report`: called on the caller's thread, in order, until the work ends
///
/// Errors as `work` does, or with `internal` if it panics.
pub(super) fn in_pool<T: Send>(
    cores: Option<usize>,
    low_priority: bool,
    work: impl FnOnce(&(dyn Fn(Progress) + Sync)) -> Result<T> + Send,
    report: &mut dyn FnMut(Progress),
) -> Result<T> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads(cores))
        .thread_name(|i| format!("training {i}"))
        .start_handler(move |_| {
            if low_priority {
                lower_priority();
            }
        })
        .build()
        .map_err(|e| refuse("no_threads", e.to_string()))?;
    let (sender, progress) = mpsc::channel::<Progress>();
    let done = std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            pool.install(|| {
                work(&move |progress| {
                    // Nobody listens if the other side is gone; the work goes on.
                    let _ = sender.send(progress);
                })
            })
        });
        for progress in progress {
            report(progress);
        }
        let died = |_| {
            Err(refuse(
                "internal",
                "something went wrong inside the training; its last checkpoint is kept",
            ))
        };
        worker.join().unwrap_or_else(died)
    });
    lucency_nn::release_freed_memory();
    done
}
