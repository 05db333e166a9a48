//! `lucency label`: labels that readers give the library's cases.

mod agreement;
mod give;
mod next;
mod sets;

use clap::Subcommand;

use crate::output::{CommandError, Output};

/// Label the library's cases: sets of labels, readers, what comes next, agreement.
#[derive(Subcommand)]
pub enum Label {
    /// Sets of labels
    Sets,
    /// Keep a set of labels, in place of an earlier one of its name
    Define(sets::Define),
    /// Forget a set of labels; labels that were given stay
    Forget(sets::Forget),
    /// Give a case labels
    Set(give::Set),
    /// The labels of a case
    Show(give::Show),
    /// Take back what a reader did last
    Undo(give::Undo),
    /// Do again what a reader took back last
    Redo(give::Redo),
    /// The cases that are worth a label next
    Next(next::Next),
    /// How far a reader has come
    Progress(next::Progress),
    /// How two readers agree: Cohen's kappa, and where they differ
    Agreement(agreement::Agreement),
    /// Write the labels that readers gave as a table
    Export(sets::Export),
}

impl Label {
    /// Runs `lucency label …`.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        match self {
            Self::Sets => sets::list(output),
            Self::Define(command) => command.run(output),
            Self::Forget(command) => command.run(output),
            Self::Set(command) => command.run(output),
            Self::Show(command) => command.run(output),
            Self::Undo(command) => command.run(output),
            Self::Redo(command) => command.run(output),
            Self::Next(command) => command.run(output),
            Self::Progress(command) => command.run(output),
            Self::Agreement(command) => command.run(output),
            Self::Export(command) => command.run(output),
        }
    }
}

/// This moment, UTC.
fn now() -> String {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Second).unwrap_or(now).to_string()
}
