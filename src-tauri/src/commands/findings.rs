//! Zero-shot findings of one frame.

use lucency_assistant::dto::{Findings, ProgressDto};
use tauri::ipc::Channel;

use super::Shared;
use crate::error::Reply;

/// Scores the labels of the pack's set for this kind of image.
///
/// Errors with `cancelled` if the user stopped it, and as the assistant does.
#[tauri::command]
pub async fn findings(
    state: Shared<'_>,
    job_id: String,
    series_id: String,
    index: usize,
    on_progress: Channel<ProgressDto>,
) -> Reply<Findings> {
    let app = state.inner().clone();
    let work = state.jobs.run(&job_id, on_progress, move |stop, report| {
        let (assistant, picture) = app.prepare(&series_id, index, stop, report)?;
        app.reply(stop, assistant.findings(&picture, None, app.now()))
    });
    work.await
}
