//! Questions about one frame.

use lucency_assistant::dto::{Answer, ProgressDto};
use tauri::ipc::Channel;

use super::Shared;
use crate::error::Reply;

/// Answers a question about one frame, with its evidence.
///
/// Errors with `cancelled` if the user stopped it, and as the assistant does.
#[tauri::command]
pub async fn ask(
    state: Shared<'_>,
    job_id: String,
    series_id: String,
    index: usize,
    question: String,
    on_progress: Channel<ProgressDto>,
) -> Reply<Answer> {
    let app = state.inner().clone();
    let work = state.jobs.run(&job_id, on_progress, move |stop, report| {
        let (assistant, picture) = app.prepare(&series_id, index, stop, report)?;
        app.reply(stop, assistant.ask(&picture, &question, app.now()))
    });
    work.await
}
