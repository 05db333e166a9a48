//! The department's case library: what it has, searches, imports, embedding.

use std::path::{Path, PathBuf};

use lucency_assistant::cases::{CaseQuery, Seen, formats};
use lucency_assistant::dto::{
    EmbedOutcome, ImportFormat, ImportOutcome, ImportPreview, ImportRequest, LibraryCase,
    LibraryDeleted, LibraryHits, LibraryQuery, LibraryStatus, OpenReportDto, ProgressDto, SearchBy,
};
use lucency_assistant::{Interrupt, quietly};
use lucency_study::geometry::pixel_aspect;
use tauri::ipc::{Channel, Response};

use super::{Shared, study};
use crate::error::{Reply, error, of_assistant, of_study};
use crate::frames;
use crate::jobs::blocking;
use crate::state::AppState;

/// Longest side of an image that [`library_image`] sends, pixels.
const LARGEST_IMAGE: u32 = 2048;

/// How much there is in the library, and how much of it the pack in use has embedded; 0 of that without a pack.
///
/// Errors if there is a library that cannot be opened.
#[tauri::command]
pub async fn library_status(state: Shared<'_>) -> Reply<LibraryStatus> {
    let app = state.inner().clone();
    blocking(move || {
        let assistant = app.models.wait(&Interrupt::new()).ok();
        let status = app.library.status(assistant.as_deref());
        status.map_err(|e| of_assistant(&e))
    })
    .await
}

/// Every layout that can be imported.
#[tauri::command]
pub fn library_formats() -> Vec<ImportFormat> {
    formats()
}

/// What an import would do; nothing is written.
///
/// Errors as the assistant does.
#[tauri::command]
pub async fn library_preview(state: Shared<'_>, request: ImportRequest) -> Reply<ImportPreview> {
    let app = state.inner().clone();
    blocking(move || app.library.preview(&request).map_err(|e| of_assistant(&e))).await
}

/// Imports, in the background of the viewer. Cancelled, it is paused: the same request goes on where it was.
///
/// Errors as the assistant does; what was reported until then is kept.
#[tauri::command]
pub async fn library_import(
    state: Shared<'_>,
    job_id: String,
    request: ImportRequest,
    on_progress: Channel<ProgressDto>,
) -> Reply<ImportOutcome> {
    let app = state.inner().clone();
    let work = state.jobs.run(&job_id, on_progress, move |stop, report| {
        let done = quietly(|| app.library.import(&request, stop, report));
        done.map_err(|e| of_assistant(&e))
    });
    work.await
}

/// Embeds what the pack in use has not embedded yet, in the background of the viewer. Cancelled, it returns what it did,
/// and goes on there the next time.
///
/// Errors as the assistant does; what was embedded until then is kept.
#[tauri::command]
pub async fn library_embed(
    state: Shared<'_>,
    job_id: String,
    on_progress: Channel<ProgressDto>,
) -> Reply<EmbedOutcome> {
    let app = state.inner().clone();
    let work = state.jobs.run(&job_id, on_progress, move |stop, report| {
        let assistant = app.models.wait(stop)?;
        let done = quietly(|| app.library.embed(&assistant, stop, report));
        done.map_err(|e| of_assistant(&e))
    });
    work.await
}

/// Finds cases by words, by meaning, or by both.
///
/// Errors with `cancelled` if the user stopped it, with `no_library`, and as the assistant does.
#[tauri::command]
pub async fn library_search(
    state: Shared<'_>,
    job_id: String,
    query: LibraryQuery,
    on_progress: Channel<ProgressDto>,
) -> Reply<LibraryHits> {
    let app = state.inner().clone();
    let work = state.jobs.run(&job_id, on_progress, move |stop, report| {
        let query = CaseQuery::from(&query);
        let assistant = match query.by {
            SearchBy::Words => None,
            _ => Some(app.models.wait(stop)?),
        };
        let hits = app
            .library
            .search(assistant.as_deref(), &query, app.now(), stop, report);
        app.reply(stop, hits)
    });
    work.await
}

/// Finds the cases that look most like one frame, and if the query has words, have them too.
///
/// Errors with `cancelled` if the user stopped it, with `no_library`, and as the assistant does.
#[tauri::command]
pub async fn library_similar(
    state: Shared<'_>,
    job_id: String,
    series_id: String,
    index: usize,
    query: LibraryQuery,
    on_progress: Channel<ProgressDto>,
) -> Reply<LibraryHits> {
    let app = state.inner().clone();
    let work = state.jobs.run(&job_id, on_progress, move |stop, report| {
        let (assistant, picture) = app.prepare(&series_id, index, stop, report)?;
        let handle = app.studies.series(&series_id)?;
        let file = handle.file(index)?;
        let seen = Seen {
            picture: &picture,
            file: file.as_deref(),
            patient: handle.patient_id(),
        };
        let query = CaseQuery::from(&query);
        let hits = app
            .library
            .similar(&assistant, seen, &query, app.now(), stop, report);
        app.reply(stop, hits)
    });
    work.await
}

/// A case with everything that is known of it.
///
/// Errors with `no_such_case`, or as the assistant does.
#[tauri::command]
pub async fn library_case(state: Shared<'_>, case_id: String) -> Reply<LibraryCase> {
    let app = state.inner().clone();
    blocking(move || app.library.case(&case_id).map_err(|e| of_assistant(&e))).await
}

/// An image of a case as a PNG through its own window, at most `side` pixels wide and high; of several frames the middle
/// one.
///
/// - `image`: index among the case's images
///
/// Errors with `no_such_case`, `no_such_image`, or as decoding does.
#[tauri::command]
pub async fn library_image(
    state: Shared<'_>,
    case_id: String,
    image: usize,
    side: u32,
) -> Reply<Response> {
    let app = state.inner().clone();
    let png = blocking(move || {
        let paths = images(&app, &case_id)?;
        let path = paths.get(image).ok_or_else(|| {
            error(
                "no_such_image",
                format!("the case has {} images", paths.len()),
            )
        })?;
        thumbnail(path, side.clamp(16, LARGEST_IMAGE))
    });
    Ok(Response::new(png.await?))
}

/// Opens the image files of a case as studies of the window.
///
/// Errors with `no_such_case`, or with `no_such_image` if it has none. What could not be opened is in the report.
#[tauri::command]
pub async fn library_open(
    state: Shared<'_>,
    job_id: String,
    case_id: String,
    on_progress: Channel<ProgressDto>,
) -> Reply<OpenReportDto> {
    study::open_found(state, job_id, on_progress, move |app, _| {
        let paths = images(app, &case_id)?;
        match paths.is_empty() {
            true => Err(error("no_such_image", "this case has no images")),
            false => Ok(paths),
        }
    })
    .await
}

/// Deletes cases with every trace of them, and says which adapters learned from them.
///
/// Errors with `no_such_case`, deleting none.
#[tauri::command]
pub async fn library_delete(state: Shared<'_>, case_ids: Vec<String>) -> Reply<LibraryDeleted> {
    let app = state.inner().clone();
    blocking(move || app.library.delete(&case_ids).map_err(|e| of_assistant(&e))).await
}

fn images(app: &AppState, case_id: &str) -> Reply<Vec<PathBuf>> {
    let paths = app.library.image_paths(case_id);
    paths.map_err(|e| of_assistant(&e))
}

fn thumbnail(path: &Path, side: u32) -> Reply<Vec<u8>> {
    let options = lucency_study::OpenOptions::default();
    let opened = lucency_study::open(&[path.to_path_buf()], &options, &|| false, &mut |_| {});
    let series = opened
        .studies
        .first()
        .and_then(|study| study.series.first());
    let Some(instance) = series.and_then(|series| series.instances.first()) else {
        let why = opened.rejected.first();
        return Err(why.map_or_else(
            || error("not_found", "the image file is not there"),
            |rejected| error(rejected.code, rejected.message.clone()),
        ));
    };
    let middle = instance.number_of_frames / 2;
    let frame = lucency_study::decode(instance, middle).map_err(|e| of_study(&e))?;
    let aspect = pixel_aspect(frame.spacing.as_ref(), instance.aspect_ratio);
    frames::thumbnail(&frame, aspect, side).map_err(|e| error("thumbnail", e.to_string()))
}
