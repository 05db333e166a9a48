//! Fine-tuning: tables, runs in the background, adapters. Every command is described in the contract, `dto/training.rs` and
//! `dto/adapters.rs` of the use cases.

use std::path::Path;
use std::time::Duration;

use lucency_assistant::Options;
use lucency_assistant::dto::{
    AdapterReport, AdapterSummary, ProgressDto, TrainingData, TrainingEstimate, TrainingPreset,
    TrainingPreview, TrainingRequest, TrainingRun, TrainingRunDetail, TrainingTable,
};
use lucency_assistant::{finetune, quietly};
use tauri::ipc::{Channel, Response};

use super::{Shared, models};
use crate::error::{Reply, of_assistant};
use crate::jobs::blocking;
use crate::training::work_on;

/// How long a run rests after a word from the viewer.
const REST: Duration = Duration::from_secs(1);

/// Runs a use case that needs nothing but the user's folder on a blocking thread.
async fn with_options<T: Send + 'static>(
    state: &Shared<'_>,
    work: impl FnOnce(&Options) -> lucency_assistant::Result<T> + Send + 'static,
) -> Reply<T> {
    let app = state.inner().clone();
    blocking(move || work(&app.options).map_err(|e| of_assistant(&e))).await
}

/// The choices of method.
#[tauri::command]
pub fn training_presets() -> Vec<TrainingPreset> {
    finetune::presets()
}

/// A table's columns, and which is probably what.
#[tauri::command]
pub async fn training_table(path: String) -> Reply<TrainingTable> {
    blocking(move || finetune::read_table(Path::new(&path)).map_err(|e| of_assistant(&e))).await
}

/// The department library's cases that meet every condition, as a table that the other commands take.
#[tauri::command]
pub async fn training_library(
    state: Shared<'_>,
    conditions: Vec<String>,
    columns: String,
) -> Reply<TrainingData> {
    with_options(&state, move |options| {
        finetune::library_data(options, &conditions, &columns)
    })
    .await
}

/// What a table holds, and what speaks against training on it.
#[tauri::command]
pub async fn training_preview(
    state: Shared<'_>,
    job_id: String,
    data: TrainingData,
    pack: Option<String>,
    on_progress: Channel<ProgressDto>,
) -> Reply<TrainingPreview> {
    let app = state.inner().clone();
    let work = state.jobs.run(&job_id, on_progress, move |stop, report| {
        let found = finetune::preview(&app.options, &data, pack.as_deref(), stop, report);
        app.reply(stop, found)
    });
    work.await
}

/// What a run would cost, from some measured steps.
#[tauri::command]
pub async fn training_estimate(
    state: Shared<'_>,
    job_id: String,
    request: TrainingRequest,
    on_progress: Channel<ProgressDto>,
) -> Reply<TrainingEstimate> {
    let app = state.inner().clone();
    let work = state.jobs.run(&job_id, on_progress, move |stop, report| {
        app.reply(
            stop,
            finetune::estimate(&app.options, &request, stop, report),
        )
    });
    work.await
}

/// Makes a run and begins to work on it.
#[tauri::command]
pub async fn training_start(state: Shared<'_>, request: TrainingRequest) -> Reply<TrainingRun> {
    let app = state.inner().clone();
    let begin = move || {
        let created = app.now().to_string();
        let run =
            finetune::start_run(&app.options, &request, &created).map_err(|e| of_assistant(&e))?;
        work_on(&app, run)
    };
    blocking(begin).await
}

/// All runs, newest first.
#[tauri::command]
pub async fn training_runs(state: Shared<'_>) -> Reply<Vec<TrainingRun>> {
    let runs = with_options(&state, finetune::runs).await?;
    let explain = |run| state.training.explain(run);
    Ok(runs.into_iter().map(explain).collect())
}

/// A run with its curve.
#[tauri::command]
pub async fn training_run(state: Shared<'_>, name: String) -> Reply<TrainingRunDetail> {
    let found = with_options(&state, move |options| finetune::run_detail(options, &name)).await?;
    Ok(TrainingRunDetail {
        run: state.training.explain(found.run),
        ..found
    })
}

/// Stops a run at its next step; it can go on later.
#[tauri::command]
pub async fn training_pause(state: Shared<'_>, name: String) -> Reply<TrainingRun> {
    with_options(&state, move |options| finetune::pause_run(options, &name)).await
}

/// Goes on with a run.
#[tauri::command]
pub async fn training_resume(state: Shared<'_>, name: String) -> Reply<TrainingRun> {
    let app = state.inner().clone();
    let go_on = move || {
        let run = finetune::take_up_run(&app.options, &name).map_err(|e| of_assistant(&e))?;
        work_on(&app, run)
    };
    blocking(go_on).await
}

/// Ends a run for good.
#[tauri::command]
pub async fn training_cancel(state: Shared<'_>, name: String) -> Reply<TrainingRun> {
    with_options(&state, move |options| finetune::cancel_run(options, &name)).await
}

/// Deletes a run's folder; its adapter stays.
#[tauri::command]
pub async fn training_remove(state: Shared<'_>, name: String) -> Reply<()> {
    with_options(&state, move |options| finetune::remove_run(options, &name)).await
}

/// The reader scrolls: training rests for a while.
#[tauri::command]
pub fn training_busy(state: Shared<'_>) {
    state.courtesy.busy(REST);
}

/// All adapters, newest first.
#[tauri::command]
pub async fn adapters(state: Shared<'_>) -> Reply<Vec<AdapterSummary>> {
    with_options(&state, finetune::adapters).await
}

/// What an adapter's report page shows.
#[tauri::command]
pub async fn adapter_report(state: Shared<'_>, name: String) -> Reply<AdapterReport> {
    with_options(&state, move |options| {
        finetune::adapter_report(options, &name)
    })
    .await
}

/// Puts an adapter into use; the models are loaded again.
///
/// Errors with `gate_refused` and the reasons if its report does not let it.
#[tauri::command]
pub async fn adapter_activate(state: Shared<'_>, name: String) -> Reply<AdapterSummary> {
    let app = state.inner().clone();
    let activate = move || {
        let found = finetune::activate(&app.options, &name).map_err(|e| of_assistant(&e))?;
        models::load_again(&app)?;
        Ok(found)
    };
    blocking(activate).await
}

/// Goes back to the adapter before, or to the pack alone; the models are loaded again.
#[tauri::command]
pub async fn adapter_rollback(
    state: Shared<'_>,
    pack: Option<String>,
) -> Reply<Option<AdapterSummary>> {
    let app = state.inner().clone();
    let back = move || {
        let found = finetune::rollback(&app.options, pack.as_deref());
        let found = found.map_err(|e| of_assistant(&e))?;
        models::load_again(&app)?;
        Ok(found)
    };
    blocking(back).await
}

/// Deletes an adapter that is not in use.
#[tauri::command]
pub async fn adapter_remove(state: Shared<'_>, name: String) -> Reply<()> {
    with_options(&state, move |options| {
        finetune::remove_adapter(options, &name)
    })
    .await
}

/// Writes an adapter as a folder.
#[tauri::command]
pub async fn adapter_export(state: Shared<'_>, name: String, path: String) -> Reply<()> {
    with_options(&state, move |options| {
        finetune::export_adapter(options, &name, Path::new(&path))
    })
    .await
}

/// Takes an exported adapter in, or PEFT's files onto the pack in use.
#[tauri::command]
pub async fn adapter_import(state: Shared<'_>, path: String) -> Reply<AdapterSummary> {
    let (pack, _) = state.models.summary();
    let created = state.now().to_string();
    with_options(&state, move |options| {
        let folder = Path::new(&path);
        if !finetune::is_foreign(folder) {
            return finetune::import_adapter(options, folder);
        }
        let stated = finetune::Stated {
            created,
            ..finetune::Stated::default()
        };
        let pack = pack.map(|pack| pack.name);
        finetune::import_foreign(options, folder, pack.as_deref(), &stated)
    })
    .await
}

/// Judges an adapter without a report on cases of this site, in the background of the viewer, and keeps the verdict with it.
///
/// Errors with `cancelled` if the user stopped it, and as the assistant does; the adapter is as it was then.
#[tauri::command]
pub async fn adapter_judge(
    state: Shared<'_>,
    job_id: String,
    name: String,
    data: TrainingData,
    on_progress: Channel<ProgressDto>,
) -> Reply<AdapterReport> {
    let app = state.inner().clone();
    let work = state.jobs.run(&job_id, on_progress, move |stop, report| {
        let judge = || finetune::judge_adapter(&app.options, &name, &data, stop, report);
        quietly(judge).map_err(|e| of_assistant(&e))
    });
    work.await
}

/// The image of one of an adapter's worst errors, as a PNG.
#[tauri::command]
pub async fn adapter_image(state: Shared<'_>, name: String, index: usize) -> Reply<Response> {
    let png = with_options(&state, move |options| {
        finetune::adapter_image(options, &name, index)
    });
    Ok(Response::new(png.await?))
}
