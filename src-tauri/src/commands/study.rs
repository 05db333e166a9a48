//! Opening studies and looking at their frames.

use std::path::PathBuf;
use std::sync::Arc;

use lucency_assistant::dto::{FrameInfo, OpenReportDto, ProgressDto, TagNode};
use lucency_assistant::{Interrupt, Progress};
use lucency_study::geometry::pixel_aspect;
use tauri::ipc::{Channel, Response};

use super::Shared;
use crate::error::{Reply, error, of_study};
use crate::jobs::blocking;
use crate::state::AppState;
use crate::{frames, present};

/// Longest side of a thumbnail, pixels.
const THUMBNAIL: u32 = 160;

/// Opens files and folders. What could not be opened is in the report.
#[tauri::command]
pub async fn open_paths(
    state: Shared<'_>,
    job_id: String,
    paths: Vec<PathBuf>,
    on_progress: Channel<ProgressDto>,
) -> Reply<OpenReportDto> {
    open_found(state, job_id, on_progress, |_, _| Ok(paths)).await
}

/// Opens the demo study.
///
/// Errors with `no_demo` if it did not come with the application.
#[tauri::command]
pub async fn open_demo(
    state: Shared<'_>,
    job_id: String,
    on_progress: Channel<ProgressDto>,
) -> Reply<OpenReportDto> {
    let demo = |app: &AppState, _: &Interrupt| {
        let folder = app.demo_study();
        let folder = folder.ok_or_else(|| error("no_demo", "the demo study is not installed"))?;
        Ok(vec![folder])
    };
    open_found(state, job_id, on_progress, demo).await
}

/// Opens the files and folders that `find` names, as a job.
///
/// Errors as `find` does; what could not be opened is in the report.
pub async fn open_found(
    state: Shared<'_>,
    job_id: String,
    on_progress: Channel<ProgressDto>,
    find: impl FnOnce(&AppState, &Interrupt) -> Reply<Vec<PathBuf>> + Send + 'static,
) -> Reply<OpenReportDto> {
    let app = state.inner().clone();
    let work = state.jobs.run(&job_id, on_progress, move |stop, report| {
        let paths = find(&app, stop)?;
        Ok(open(&app, &paths, stop, report))
    });
    work.await
}

/// Opens files and folders as studies of the window.
fn open(
    app: &Arc<AppState>,
    paths: &[PathBuf],
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> OpenReportDto {
    let options = lucency_study::OpenOptions::default();
    let stopped = || stop.is_stopped();
    let opened = lucency_study::open(paths, &options, &stopped, &mut |at| {
        report(Progress::new("reading", at.done, at.total));
    });
    OpenReportDto {
        studies: opened
            .studies
            .into_iter()
            .map(|s| app.studies.add(s))
            .collect(),
        rejected: opened.rejected.iter().map(present::rejected).collect(),
        cancelled: opened.cancelled,
    }
}

/// Closes a study.
#[tauri::command]
pub fn close_study(state: Shared<'_>, study_id: String) {
    state.studies.close(&study_id);
}

/// Everything about a frame but its values.
///
/// Errors with `no_such_series`, `no_such_frame`, or as decoding does.
#[tauri::command]
pub async fn frame_info(state: Shared<'_>, series_id: String, index: usize) -> Reply<FrameInfo> {
    let app = state.inner().clone();
    blocking(move || {
        let handle = app.studies.series(&series_id)?;
        let frame = app.studies.frame(&handle, index)?;
        Ok(present::frame_info(
            handle.series(),
            handle.place(index)?,
            &frame,
        ))
    })
    .await
}

/// A frame's stored values: little endian, row by row, samples interleaved; colour frames as 8-bit RGB.
///
/// Errors with `no_such_series`, `no_such_frame`, or as decoding does.
#[tauri::command]
pub async fn frame_pixels(state: Shared<'_>, series_id: String, index: usize) -> Reply<Response> {
    let app = state.inner().clone();
    let bytes = blocking(move || {
        let handle = app.studies.series(&series_id)?;
        let frame = app.studies.frame(&handle, index)?;
        Ok(frames::bytes(&frame))
    });
    Ok(Response::new(bytes.await?))
}

/// A small PNG of a series' middle frame.
///
/// Errors with `no_such_series`, or as decoding does.
#[tauri::command]
pub async fn thumbnail(state: Shared<'_>, series_id: String) -> Reply<Response> {
    let app = state.inner().clone();
    let png = blocking(move || {
        let handle = app.studies.series(&series_id)?;
        let middle = handle.series().frames.len() / 2;
        let frame = app.studies.frame(&handle, middle)?;
        let instance = &handle.series().instances[handle.place(middle)?.instance];
        let aspect = pixel_aspect(frame.spacing.as_ref(), instance.aspect_ratio);
        frames::thumbnail(&frame, aspect, THUMBNAIL).map_err(|e| error("thumbnail", e.to_string()))
    });
    Ok(Response::new(png.await?))
}

/// The data elements of the file that holds a frame; empty for files that are not DICOM.
///
/// Errors with `no_such_series`, `no_such_frame`, or as reading does.
#[tauri::command]
pub async fn tags(state: Shared<'_>, series_id: String, index: usize) -> Reply<Vec<TagNode>> {
    let app = state.inner().clone();
    blocking(move || {
        let handle = app.studies.series(&series_id)?;
        let place = handle.place(index)?;
        let source = &handle.series().instances[place.instance].source;
        let tags = lucency_study::tags(source).map_err(|e| of_study(&e))?;
        Ok(tags.into_iter().map(present::tag).collect())
    })
    .await
}
