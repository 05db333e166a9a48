//! What every long job shares: a way to stop it and a way to say how far it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

/// A switch that asks a running job to stop; clones share it.
///
/// A job polls [`Interrupt::is_stopped`] at its natural boundaries and returns what it has: cancelled is an outcome,
/// not an error.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// A switch that nobody has pressed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks every holder of a clone to stop.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether somebody has asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// How far a long job is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What the job is doing, in a word or two: "reading", "training".
    pub stage: String,
    /// Units done in this stage.
    pub done: u64,
    /// Units in this stage, 0 when unknown.
    pub total: u64,
    /// One line for a person, such as the current loss.
    pub message: Option<String>,
    /// Estimated seconds until the job ends.
    pub eta_s: Option<f64>,
}

impl Progress {
    /// Progress with no message and no estimate.
    pub fn new(stage: impl Into<String>, done: u64, total: u64) -> Self {
        Self {
            stage: stage.into(),
            done,
            total,
            message: None,
            eta_s: None,
        }
    }
}
