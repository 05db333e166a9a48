//! Labelling of the department's cases. Every command is described in the contract, `dto/labelling.rs` of the use cases.

use lucency_assistant::cases::CaseLibrary;
use lucency_assistant::dto::{
    LabelAgreement, LabelAsk, LabelNext, LabelNextRequest, LabelProgress, LabelSetDto,
    LabelStrategy, LabelWanted, LabelledCase, ProgressDto,
};
use tauri::ipc::Channel;

use super::Shared;
use crate::error::{Reply, of_assistant};
use crate::jobs::blocking;

/// Runs a use case of the library, with the time of the call, on a blocking thread.
async fn with_library<T: Send + 'static>(
    state: &Shared<'_>,
    work: impl FnOnce(&CaseLibrary, &str) -> lucency_assistant::Result<T> + Send + 'static,
) -> Reply<T> {
    let app = state.inner().clone();
    let now = app.now();
    let now = now.round(jiff::Unit::Second).unwrap_or(now).to_string();
    blocking(move || work(&app.library, &now).map_err(|e| of_assistant(&e))).await
}

/// Sets of labels, by name.
#[tauri::command]
pub async fn label_sets(state: Shared<'_>) -> Reply<Vec<LabelSetDto>> {
    with_library(&state, |library, _| library.label_sets()).await
}

/// Keeps a set of labels, in place of an earlier one of its name.
#[tauri::command]
pub async fn label_set_keep(state: Shared<'_>, set: LabelSetDto) -> Reply<Vec<LabelSetDto>> {
    with_library(&state, move |library, _| {
        library.keep_label_set(&set)?;
        library.label_sets()
    })
    .await
}

/// Forgets a set of labels; labels that were given stay.
#[tauri::command]
pub async fn label_set_forget(state: Shared<'_>, name: String) -> Reply<Vec<LabelSetDto>> {
    with_library(&state, move |library, _| {
        library.forget_label_set(&name)?;
        library.label_sets()
    })
    .await
}

/// The library's case with the image file of a frame; none if the library does not have it.
#[tauri::command]
pub async fn label_case_of(
    state: Shared<'_>,
    series_id: String,
    index: usize,
) -> Reply<Option<String>> {
    let file = state.studies.series(&series_id)?.file(index)?;
    with_library(&state, move |library, _| match file {
        Some(file) => library.case_of_file(&file),
        None => Ok(None),
    })
    .await
}

/// What a reader may see of a case's labels.
#[tauri::command]
pub async fn label_case(state: Shared<'_>, case_id: String, ask: LabelAsk) -> Reply<LabelledCase> {
    with_library(&state, move |library, _| {
        library.labelled_case(&case_id, &ask)
    })
    .await
}

/// Gives a case a reader's labels, or takes them away.
#[tauri::command]
pub async fn label_give(
    state: Shared<'_>,
    case_id: String,
    ask: LabelAsk,
    wanted: Vec<LabelWanted>,
) -> Reply<LabelledCase> {
    with_library(&state, move |library, now| {
        library.give_labels(&case_id, &ask, &wanted, now)
    })
    .await
}

/// Takes back what a reader did last.
#[tauri::command]
pub async fn label_undo(state: Shared<'_>, ask: LabelAsk) -> Reply<Option<LabelledCase>> {
    with_library(&state, move |library, now| library.undo_labels(&ask, now)).await
}

/// Does again what a reader took back last.
#[tauri::command]
pub async fn label_redo(state: Shared<'_>, ask: LabelAsk) -> Reply<Option<LabelledCase>> {
    with_library(&state, move |library, now| library.redo_labels(&ask, now)).await
}

/// How far a reader has come with a set.
#[tauri::command]
pub async fn label_progress(state: Shared<'_>, ask: LabelAsk) -> Reply<LabelProgress> {
    with_library(&state, move |library, _| library.label_progress(&ask)).await
}

/// The case that is worth a label next.
///
/// Errors with `cancelled` if the user stopped it, and as the assistant does.
#[tauri::command]
pub async fn label_next(
    state: Shared<'_>,
    job_id: String,
    request: LabelNextRequest,
    on_progress: Channel<ProgressDto>,
) -> Reply<LabelNext> {
    let app = state.inner().clone();
    let work = state.jobs.run(&job_id, on_progress, move |stop, report| {
        let assistant = match request.strategy {
            LabelStrategy::Random => None,
            _ => Some(app.models.wait(stop)?),
        };
        let next = app
            .library
            .next_to_label(assistant.as_deref(), &request, stop, report);
        app.reply(stop, next)
    });
    work.await
}

/// How two readers agree.
#[tauri::command]
pub async fn label_agreement(
    state: Shared<'_>,
    set: String,
    first: String,
    second: String,
) -> Reply<LabelAgreement> {
    with_library(&state, move |library, _| {
        library.label_agreement(&set, &first, &second)
    })
    .await
}
