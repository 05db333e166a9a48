//! `lucency`: the assistant's use cases without a window. Every command has `--json`.

mod commands;
mod output;

use clap::{Parser, Subcommand};

use crate::output::{CommandError, Output};

/// Offline assistant for radiology images. Research use only, not a medical device.
#[derive(Parser)]
#[command(name = "lucency", version, about)]
struct Arguments {
    /// Print results (and errors, on standard error) as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Packs(commands::packs::Arguments),
}

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.json);
    let result: Result<(), CommandError> = match arguments.command {
        Command::Packs(arguments) => commands::packs::run(arguments, output),
    };
    output.finish(result)
}
