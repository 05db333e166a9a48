//! `lucency library`: the department's own cases.

mod embed;
mod import;
mod keep;
mod manage;

use std::path::PathBuf;

use clap::Subcommand;
use lucency_assistant::cases::CaseLibrary;
use lucency_library::{LibraryError, SqliteStore};

use crate::output::{CommandError, Output};

/// Import, embed, list, show, delete, verify, back up and restore cases.
#[derive(Subcommand)]
pub enum Library {
    /// Take in a data set, a table, or a folder of images and reports
    Import(Box<import::Import>),
    /// Show what an import would take in; nothing is written
    Preview(Box<import::Preview>),
    /// Embed images and reports, so that they are found by image and by meaning
    Embed(embed::Embed),
    /// List cases
    List(manage::List),
    /// Everything about one case
    Show(manage::Show),
    /// Delete cases with every trace of them
    Delete(manage::Delete),
    /// How much there is
    Stats(manage::StatsOf),
    /// Check the database, and the image files if asked
    Verify(keep::Verify),
    /// Copy the database to a file
    Backup(keep::Backup),
    /// Replace the library by a backup
    Restore(keep::Restore),
}

impl Library {
    /// Runs `lucency library …`.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        match self {
            Self::Import(command) => command.run(output),
            Self::Preview(command) => command.run(output),
            Self::Embed(command) => command.run(output),
            Self::List(command) => command.run(output),
            Self::Show(command) => command.run(output),
            Self::Delete(command) => command.run(output),
            Self::Stats(command) => command.run(output),
            Self::Verify(command) => command.run(output),
            Self::Backup(command) => command.run(output),
            Self::Restore(command) => command.run(output),
        }
    }
}

fn home() -> Result<PathBuf, CommandError> {
    lucency_packs::home().map_err(|e| CommandError::new(e.code(), e.to_string()))
}

/// The library's folder, in Lucency's home.
pub fn folder() -> Result<PathBuf, CommandError> {
    Ok(lucency_assistant::cases::folder(&home()?))
}

/// The library as the use cases have it.
pub fn library() -> Result<CaseLibrary, CommandError> {
    Ok(CaseLibrary::at(&home()?))
}

/// Opens the library. Errors if there is none.
pub fn open_existing() -> Result<SqliteStore, CommandError> {
    let folder = folder()?;
    match SqliteStore::exists(&folder) {
        true => SqliteStore::open(&folder).map_err(error),
        false => Err(CommandError::new(
            "no_library",
            format!(
                "there is no case library in {}; import cases with `lucency library import`",
                folder.display()
            ),
        )),
    }
}

/// The library's error in the form of commands.
pub fn error(error: LibraryError) -> CommandError {
    CommandError::new(error.code(), error.to_string())
}
