//! Questions about one frame, and which to ask.

use lucency_assistant::Interrupt;
use lucency_assistant::dto::{Answer, ProgressDto, Suggestions};
use tauri::ipc::Channel;

use super::Shared;
use crate::error::{Reply, of_assistant};
use crate::jobs::blocking;

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

/// Questions that fit the organ and the modality of one frame; waits for the models.
///
/// Errors as reading the frame, loading the models and the assistant do.
#[tauri::command]
pub async fn suggest(state: Shared<'_>, series_id: String, index: usize) -> Reply<Suggestions> {
    let app = state.inner().clone();
    blocking(move || {
        let (assistant, picture) =
            app.prepare(&series_id, index, &Interrupt::new(), &mut |_| {})?;
        assistant.suggest(&picture).map_err(|e| of_assistant(&e))
    })
    .await
}
