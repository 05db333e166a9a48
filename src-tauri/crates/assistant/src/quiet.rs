//! Background work that leaves the viewer its processor.

/// How much less important background threads are, as `nice` counts.
#[cfg(target_os = "linux")]
const NICE: i32 = 15;

/// Runs long work on one thread of low priority; everything that it spreads over threads stays on this one too.
///
/// Where the system gives no such thread the work runs here.
pub fn quietly<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    // A pool for each job: one that is long keeps no other waiting.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .thread_name(|_| "background".into())
        .start_handler(|_| lower_priority())
        .build();
    let done = match pool {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    };
    lucency_nn::release_freed_memory();
    done
}

/// Makes the calling thread less important than the window's. Linux counts priorities by thread; elsewhere they are the
/// whole process's, and nothing is changed.
pub(crate) fn lower_priority() {
    #[cfg(target_os = "linux")]
    {
        // A system that refuses it runs the work at the usual priority.
        let _ = rustix::process::nice(NICE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn background_work_stays_on_one_thread_of_low_priority() {
        use rayon::prelude::*;
        let name = || std::thread::current().name().map(str::to_owned);
        let (threads, names): (usize, Vec<_>) = quietly(|| {
            (
                rayon::current_num_threads(),
                (0..64).into_par_iter().map(|_| name()).collect(),
            )
        });
        assert_eq!(threads, 1);
        assert!(names.iter().all(|n| n.as_deref() == Some("background")));
        #[cfg(target_os = "linux")]
        {
            let nice = || rustix::process::getpriority_process(None).expect("a priority");
            let here = nice();
            assert_eq!(quietly(nice), (here + NICE).min(19));
            assert_eq!(nice(), here, "this thread is as it was");
        }
    }
}
