//! What the window may ask for: one file a family, one thin function a command.

pub mod ask;
pub mod computing;
pub mod findings;
pub mod labelling;
pub mod library;
pub mod models;
pub mod retrieve;
pub mod session;
pub mod study;
pub mod training;

use std::sync::Arc;

use crate::state::AppState;

/// The application's state, as commands receive it.
pub type Shared<'a> = tauri::State<'a, Arc<AppState>>;
