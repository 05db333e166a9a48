//! The Lucency window: a thin shell around the use cases of `lucency-assistant`.

mod arguments;
mod commands;
mod error;
mod frames;
mod jobs;
#[cfg(target_os = "linux")]
mod linux;
mod loading;
mod present;
mod state;
mod studies;
mod training;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use lucency_assistant::{AssistantError, Compute, Options, begin_computing};
use tauri::webview::{PageLoadEvent, PageLoadPayload};
use tauri::{AppHandle, Emitter, Manager, Webview, WebviewWindow};

use crate::arguments::{Arguments, Request, USAGE};
use crate::commands::{
    ask, computing, findings, labelling, library, models, retrieve, session, study,
    training as training_commands,
};
use crate::state::AppState;

/// Label of the one window.
const WINDOW: &str = "main";

/// Event with the paths that a second start was given.
const OPEN_FILES: &str = "open-files";

/// Opens the window and returns when it is closed.
pub fn run() -> ExitCode {
    lucency_assistant::keep_freed_memory();
    let folder = std::env::current_dir().unwrap_or_default();
    let arguments = match arguments::parse(std::env::args_os().skip(1), &folder) {
        Request::Window(arguments) => arguments,
        Request::Help => return say(USAGE),
        Request::Version => return say(concat!("lucency-app ", env!("CARGO_PKG_VERSION"))),
        Request::Unknown(word) => {
            eprintln!("lucency-app: unknown option {word}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    #[cfg(target_os = "linux")]
    {
        if !linux::has_display() {
            eprintln!(
                "lucency-app: there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set); \
                 `lucency demo` needs none"
            );
            return ExitCode::FAILURE;
        }
        // Before anything starts a thread.
        linux::settle_environment();
    }
    error::keep_panics_private();
    match window(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            eprintln!("lucency-app: the window cannot be opened: {cause}");
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

fn window(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let state = Arc::new(AppState::new(arguments, options()?));
    tauri::Builder::default()
        .manage(state.clone())
        .plugin(tauri_plugin_single_instance::init(second_start))
        .plugin(tauri_plugin_dialog::init())
        .on_page_load(page_load)
        .setup(|_| {
            load_models(state);
            Ok(())
        })
        .invoke_handler(tauri::generate_handler![
            session::app_info,
            session::cancel,
            session::check_raw_path,
            study::open_paths,
            study::open_demo,
            study::close_study,
            study::frame_info,
            study::frame_pixels,
            study::thumbnail,
            study::tags,
            ask::ask,
            ask::suggest,
            findings::findings,
            retrieve::similar,
            retrieve::case_image,
            retrieve::case_open,
            library::library_status,
            library::library_formats,
            library::library_preview,
            library::library_import,
            library::library_embed,
            library::library_search,
            library::library_similar,
            library::library_case,
            library::library_image,
            library::library_open,
            library::library_delete,
            labelling::label_sets,
            labelling::label_set_keep,
            labelling::label_set_forget,
            labelling::label_case_of,
            labelling::label_case,
            labelling::label_give,
            labelling::label_undo,
            labelling::label_redo,
            labelling::label_progress,
            labelling::label_next,
            labelling::label_agreement,
            models::packs,
            models::select_pack,
            computing::computing,
            computing::computing_choose,
            training_commands::training_presets,
            training_commands::training_table,
            training_commands::training_library,
            training_commands::training_preview,
            training_commands::training_estimate,
            training_commands::training_start,
            training_commands::training_runs,
            training_commands::training_run,
            training_commands::training_pause,
            training_commands::training_resume,
            training_commands::training_cancel,
            training_commands::training_remove,
            training_commands::training_busy,
            training_commands::adapters,
            training_commands::adapter_report,
            training_commands::adapter_activate,
            training_commands::adapter_rollback,
            training_commands::adapter_remove,
            training_commands::adapter_export,
            training_commands::adapter_import,
            training_commands::adapter_image,
            training_commands::adapter_judge,
        ])
        .build(tauri::generate_context!())?
        .run(|app, event| {
            if let tauri::RunEvent::Exit = event {
                app.state::<Arc<AppState>>().training.stop();
            }
        });
    Ok(())
}

/// Where things are. Without the application's own files the window opens all the same and says what is missing.
fn options() -> lucency_assistant::Result<Options> {
    match Options::standard(None) {
        Err(AssistantError::NoAssets) => Ok(Options {
            home: lucency_packs::home()?,
            assets: Path::new("assets").into(),
            pack: None,
            compute: Compute::processor(),
            quantise: None,
        }),
        found => found,
    }
}

/// Loads the models on a thread of its own, so that the window paints meanwhile.
fn load_models(state: Arc<AppState>) {
    std::thread::spawn(move || {
        begin_computing(&state.options.home, &state.options.compute);
        // A failure stays in the slot: the window asks for it.
        let _ = state
            .models
            .fill(|| models::open_pack(&state.options, None));
    });
}

/// The application was started again: its files belong in this window.
fn second_start(app: &AppHandle, words: Vec<String>, folder: String) {
    let words = words.into_iter().skip(1).map(Into::into);
    if let Request::Window(arguments) = arguments::parse(words, Path::new(&folder)) {
        open_files(app, arguments);
    }
    if let Some(window) = app.get_webview_window(WINDOW) {
        come_forward(&window);
    }
}

fn open_files(app: &AppHandle, arguments: Arguments) {
    let state = app.state::<Arc<AppState>>();
    let mut paths = arguments.paths;
    paths.extend(state.demo_study().filter(|_| arguments.demo));
    if paths.is_empty() {
        return;
    }
    if let Some(paths) = state.startup.keep(paths) {
        let _ = app.emit_to(WINDOW, OPEN_FILES, serde_json::json!({ "paths": paths }));
    }
}

fn come_forward(window: &WebviewWindow) {
    // A desktop that forbids it leaves the window where it is.
    let _ = window.unminimize();
    let _ = window.show();
    let _ = window.set_focus();
}

/// A page that begins to load knows nothing of what the page before it had opened or begun.
fn page_load(webview: &Webview, payload: &PageLoadPayload<'_>) {
    if payload.event() != PageLoadEvent::Started {
        return;
    }
    let state = webview.state::<Arc<AppState>>();
    state.jobs.cancel_all();
    state.studies.close_all();
}
