//! The window itself: what it is told at its start, and how it stops a job.

use lucency_assistant::dto::AppInfo;
use tauri::ipc::Response;

use super::Shared;
use crate::error::{Reply, error};

/// The most that [`check_raw_path`] sends.
const LARGEST_CHECK: usize = 16 << 20;

/// What the window needs at its start. Answers at once: the pack is none while it loads.
#[tauri::command]
pub fn app_info(state: Shared<'_>) -> AppInfo {
    state.startup.mark_told();
    state.info()
}

/// Stops a job; its own call returns what it has.
#[tauri::command]
pub fn cancel(state: Shared<'_>, job_id: String) {
    state.jobs.cancel(&job_id);
}

/// Sends `bytes` bytes, byte i being i % 251, so that the window can tell whether pixels arrive as raw bytes.
///
/// Errors with `too_large` above 16 MiB.
#[tauri::command]
pub async fn check_raw_path(bytes: usize) -> Reply<Response> {
    if bytes > LARGEST_CHECK {
        return Err(error("too_large", "the check sends at most 16 MiB"));
    }
    let pattern: Vec<u8> = (0..bytes).map(|i| (i % 251) as u8).collect();
    Ok(Response::new(pattern))
}
