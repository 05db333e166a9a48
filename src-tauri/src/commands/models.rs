//! Model packs: which there are, and which is in use.

use lucency_assistant::dto::{ComputingChoice, MatrixBits, PackSummary};
use lucency_assistant::{Assistant, Options};

use super::Shared;
use crate::error::{Reply, of_assistant};
use crate::jobs::blocking;
use crate::state::AppState;

/// Opens a pack, or the one that the window begins with, in as many bits as were chosen.
///
/// Errors as the assistant does.
pub fn open_pack(options: &Options, pack: Option<String>) -> Reply<Assistant> {
    let bits = ComputingChoice::read(&options.home).matrix_bits;
    let options = Options {
        pack,
        quantise: bits.map(MatrixBits::quantisation),
        ..options.clone()
    };
    Assistant::open(options).map_err(|e| of_assistant(&e))
}

/// Loads the pack in use once more, since what is in use beside it has changed.
///
/// Errors as the assistant does.
pub fn load_again(app: &AppState) -> Reply<()> {
    let (pack, _) = app.models.summary();
    let name = pack.map(|pack| pack.name);
    app.models.fill(|| open_pack(&app.options, name))?;
    Ok(())
}

/// Every pack that is installed or came with the application.
#[tauri::command]
pub async fn packs(state: Shared<'_>) -> Reply<Vec<PackSummary>> {
    let app = state.inner().clone();
    blocking(move || lucency_assistant::pack_summaries(&app.options).map_err(|e| of_assistant(&e)))
        .await
}

/// Loads a pack and uses it from now on; the pack before it stays in use if that fails.
///
/// Errors as the assistant does.
#[tauri::command]
pub async fn select_pack(state: Shared<'_>, name: String) -> Reply<PackSummary> {
    let app = state.inner().clone();
    blocking(move || {
        let load = || open_pack(&app.options, Some(name));
        Ok(app.models.fill(load)?.pack_summary())
    })
    .await
}
