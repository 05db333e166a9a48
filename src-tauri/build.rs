//! Build script of the shell: the commands that a window may be allowed to call, and a stand-in page
//! for a checkout whose UI has not been built.

use std::path::Path;

/// Every command of the shell. A command that is missing here cannot be called by any window; one that is here
/// can be called only by a window whose capability says `allow-<command>`.
const COMMANDS: &[&str] = &[
    "adapter_activate",
    "adapter_export",
    "adapter_image",
    "adapter_import",
    "adapter_judge",
    "adapter_remove",
    "adapter_report",
    "adapter_rollback",
    "adapters",
    "app_info",
    "ask",
    "cancel",
    "case_image",
    "case_open",
    "check_raw_path",
    "close_study",
    "findings",
    "frame_info",
    "frame_pixels",
    "label_agreement",
    "label_case",
    "label_case_of",
    "label_give",
    "label_next",
    "label_progress",
    "label_redo",
    "label_set_forget",
    "label_set_keep",
    "label_sets",
    "label_undo",
    "library_case",
    "library_delete",
    "library_embed",
    "library_formats",
    "library_image",
    "library_import",
    "library_open",
    "library_preview",
    "library_search",
    "library_similar",
    "library_status",
    "open_demo",
    "open_paths",
    "packs",
    "select_pack",
    "computing",
    "computing_choose",
    "similar",
    "suggest",
    "tags",
    "thumbnail",
    "training_busy",
    "training_cancel",
    "training_estimate",
    "training_library",
    "training_pause",
    "training_presets",
    "training_preview",
    "training_remove",
    "training_resume",
    "training_run",
    "training_runs",
    "training_start",
    "training_table",
];

/// What a window shows when the binary was built before the UI.
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Lucency</title>\
    <p>The user interface has not been built: run <code>npm --prefix ui run build</code>, then build again.</p></html>\n";

fn main() {
    let page = Path::new("../ui/dist/index.html");
    if !page.exists() {
        let folder = page.parent().expect("the page lies in a folder");
        std::fs::create_dir_all(folder).expect("the checkout is writable");
        std::fs::write(page, NOT_BUILT).expect("the checkout is writable");
    }
    println!("cargo:rerun-if-changed=../ui/dist");
    let attributes = tauri_build::Attributes::new()
        .app_manifest(tauri_build::AppManifest::new().commands(COMMANDS));
    tauri_build::try_build(attributes).expect("tauri.conf.json and capabilities/ are valid");
}
