//! What the window is told: failures, progress, and what there is at its start.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::PackSummary;

/// A failure, in a form that a program can switch on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ErrorDto {
    /// Stable, snake_case word for the cause.
    pub code: String,
    /// What, where, and what to do; never patient data.
    pub message: String,
}

/// How far a long job has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ProgressDto {
    /// What is being done.
    pub stage: String,
    /// Units done.
    pub done: u64,
    /// Units in all; 0 when unknown.
    pub total: u64,
    /// A detail for people.
    pub message: Option<String>,
    /// Estimated seconds left.
    pub eta_s: Option<f64>,
}

/// What the window needs at its start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct AppInfo {
    /// Version of the application.
    pub version: String,
    /// The pack in use; none while it loads or when it could not be loaded.
    pub pack: Option<PackSummary>,
    /// Why there is no pack.
    pub pack_error: Option<ErrorDto>,
    /// True when the demo study was found.
    pub demo_available: bool,
    /// The permanent notice.
    pub research_notice: String,
    /// Files that were given on the command line.
    pub startup_paths: Vec<String>,
    /// True when the window was started to show the demo study.
    pub startup_demo: bool,
}
