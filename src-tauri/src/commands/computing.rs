//! Where networks compute: what is used, and another choice.

use lucency_assistant::dto::{ComputingChoice, ComputingOverview};
use lucency_assistant::known_devices;

use super::Shared;
use super::models::load_again;
use crate::error::{Reply, of_assistant};
use crate::jobs::blocking;
use crate::state::AppState;

fn overview(app: &AppState) -> ComputingOverview {
    ComputingOverview {
        now: lucency_assistant::computing(&app.options.compute),
        choice: ComputingChoice::read(&app.options.home),
        known: known_devices(),
    }
}

/// The device in use and those that can be chosen.
#[tauri::command]
pub fn computing(state: Shared<'_>) -> ComputingOverview {
    overview(state.inner())
}

/// Opens and tests another device, moves the models onto it, and keeps the choice for the next start.
///
/// Errors if the device cannot be used or computes wrongly; what was in use stays.
#[tauri::command]
pub async fn computing_choose(
    state: Shared<'_>,
    choice: ComputingChoice,
) -> Reply<ComputingOverview> {
    let app = state.inner().clone();
    blocking(move || {
        let before = ComputingChoice::read(&app.options.home);
        choice
            .apply(&app.options.compute)
            .and_then(|()| choice.write(&app.options.home))
            .map_err(|e| of_assistant(&e))?;
        if before.matrix_bits != choice.matrix_bits {
            load_again(&app)?;
        }
        Ok(overview(&app))
    })
    .await
}
