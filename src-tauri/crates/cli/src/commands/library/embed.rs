//! `lucency library embed`

use clap::Args;
use lucency_assistant::Interrupt;
use lucency_assistant::dto::EmbedOutcome;

use super::library;
use crate::commands::assist::{PackChoice, progress_line};
use crate::output::{CommandError, Output, counted};

/// `lucency library embed`
#[derive(Args)]
pub struct Embed {
    #[command(flatten)]
    pack: PackChoice,
}

impl Embed {
    /// Embeds what has no embedding yet; killed, it goes on where it was.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        output.print(&embed(&self.pack)?, text)
    }
}

/// Embeds with a pack, with a line on a terminal.
pub fn embed(pack: &PackChoice) -> Result<EmbedOutcome, CommandError> {
    super::open_existing()?;
    let assistant = pack.open()?;
    Ok(library()?.embed(&assistant, &Interrupt::new(), &mut progress_line())?)
}

/// What was embedded.
pub fn text(done: &EmbedOutcome) -> String {
    let mut text = format!(
        "{} and {} embedded in {:.1} s",
        counted(done.images, "image"),
        counted(done.reports, "report"),
        done.elapsed_s
    );
    if done.unreadable > 0 {
        text += &format!("; {} cannot be read", counted(done.unreadable, "image"));
    }
    text
}
