//! Similar cases of the library.

use lucency_assistant::Interrupt;
use lucency_assistant::dto::{OpenReportDto, ProgressDto, SimilarCases};
use tauri::ipc::{Channel, Response};

use super::{Shared, study};
use crate::error::{Reply, of_assistant};
use crate::jobs::blocking;

/// The most cases that one call returns.
const MOST_CASES: usize = 50;

/// Finds the `k` cases that look most like one frame.
///
/// Errors with `cancelled` if the user stopped it, and as the assistant does.
#[tauri::command]
pub async fn similar(
    state: Shared<'_>,
    job_id: String,
    series_id: String,
    index: usize,
    k: usize,
    on_progress: Channel<ProgressDto>,
) -> Reply<SimilarCases> {
    let app = state.inner().clone();
    let work = state.jobs.run(&job_id, on_progress, move |stop, report| {
        let (assistant, picture) = app.prepare(&series_id, index, stop, report)?;
        let k = k.clamp(1, MOST_CASES);
        let cases = assistant.similar(&picture, k, app.now(), stop, report);
        app.reply(stop, cases)
    });
    work.await
}

/// The image of a case of the library, as a PNG.
///
/// Errors as the library does.
#[tauri::command]
pub async fn case_image(state: Shared<'_>, case_id: String) -> Reply<Response> {
    let app = state.inner().clone();
    let png = blocking(move || {
        let assistant = app.models.wait(&Interrupt::new())?;
        assistant.case_image(&case_id).map_err(|e| of_assistant(&e))
    });
    Ok(Response::new(png.await?))
}

/// Opens the image of a case of the library as a study of the window.
///
/// Errors as the library does.
#[tauri::command]
pub async fn case_open(
    state: Shared<'_>,
    job_id: String,
    case_id: String,
    on_progress: Channel<ProgressDto>,
) -> Reply<OpenReportDto> {
    study::open_found(state, job_id, on_progress, move |app, stop| {
        let assistant = app.models.wait(stop)?;
        let file = assistant.case_file(&case_id);
        Ok(vec![file.map_err(|e| of_assistant(&e))?])
    })
    .await
}
