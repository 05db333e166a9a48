//! `lucency library verify | backup | restore`

use std::path::PathBuf;

use clap::Args;
use lucency_library::Verified;
use serde::Serialize;

use super::{error, library, open_existing};
use crate::output::{CommandError, Output, counted};

/// `lucency library verify`
#[derive(Args)]
pub struct Verify {
    /// Also read every image file and compare its hash
    #[arg(long)]
    images: bool,
}

impl Verify {
    /// Verifies; an error after the list if something is wrong.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let store = open_existing()?;
        let verified = store.verify(self.images, &|| false).map_err(error)?;
        output.print(&verified, verified_text)?;
        match verified.ok {
            true => Ok(()),
            false => Err(CommandError::new(
                "library_damaged",
                format!(
                    "{}, listed above; if it is not said there what to do, restore a backup",
                    counted(verified.problem_count, "problem")
                ),
            )),
        }
    }
}

fn verified_text(v: &Verified) -> String {
    let mut lines = v.problems.clone();
    lines.push(match v.ok {
        true => format!("{}: the library is sound", counted(v.cases, "case")),
        false => format!(
            "{}, {}",
            counted(v.cases, "case"),
            counted(v.problem_count, "problem")
        ),
    });
    if v.images_read > 0 {
        lines.push(format!("{} read", counted(v.images_read, "image file")));
    }
    lines.join("\n")
}

/// `lucency library backup FILE`
#[derive(Args)]
pub struct Backup {
    /// The new file
    file: PathBuf,
}

#[derive(Serialize)]
struct BackedUp {
    file: PathBuf,
    bytes: u64,
}

impl Backup {
    /// Copies.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        open_existing()?.backup(&self.file).map_err(error)?;
        let done = BackedUp {
            file: self.file.clone(),
            bytes: std::fs::metadata(&self.file).map_or(0, |m| m.len()),
        };
        output.print(&done, |b| {
            format!(
                "{} written, {:.1} MB; keep patient.key of the library's folder elsewhere too: without it a backup \
                 cannot be restored",
                b.file.display(),
                b.bytes as f64 / 1e6
            )
        })
    }
}

/// `lucency library restore FILE`
#[derive(Args)]
pub struct Restore {
    /// The backup
    file: PathBuf,
}

impl Restore {
    /// Restores.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let restored = library()?.restore(&self.file)?;
        output.print(&restored, |r| match &r.previous {
            Some(previous) => format!(
                "{} restored; the library before is kept as {}",
                counted(r.cases, "case"),
                previous.display()
            ),
            None => format!("{} restored", counted(r.cases, "case")),
        })
    }
}
