//! `lucency`: the assistant's use cases without a window. Every command has `--json`.

mod commands;
mod computing;
mod npy;
mod output;
mod sample;
mod synthetic;

use clap::{Parser, Subcommand};

use crate::output::{CommandError, Output};

/// Offline assistant for radiology images. Research use only, not a medical device.
#[derive(Parser)]
#[command(name = "lucency", version, about)]
struct Arguments {
    /// Print results (and errors, on standard error) as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    computing: computing::Choice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Inspect(commands::study::Inspect),
    Pixels(commands::study::Pixels),
    Render(commands::study::Render),
    /// Answer a question about an image, with confidence and evidence
    Ask(commands::assist::Ask),
    /// Score a label set on an image
    Findings(commands::assist::FindingsOf),
    /// Find the library's cases that look most like an image
    Similar(commands::assist::Similar),
    /// Write the embedding of an image or a text
    Embed(commands::assist::Embed),
    /// Measure a pack on data of yours
    #[command(subcommand)]
    Eval(commands::eval::Eval),
    /// Time opening, scrolling, asking and findings on this machine
    Bench(commands::bench::Bench),
    /// Make the demo studies and the demo library anew
    DemoAssets(commands::demo_assets::DemoAssets),
    /// Show the demo study without a window
    Demo(commands::demo::Demo),
    /// Keep a library of your own cases
    #[command(subcommand)]
    Library(commands::library::Library),
    /// Label the library's cases, case by case, and compare readers
    #[command(subcommand)]
    Label(commands::label::Label),
    /// Find cases of the library by words, by meaning, or by an image
    Search(Box<commands::search::Search>),
    /// Runs of fine-tuning: how they are, go on, end
    #[command(subcommand)]
    Runs(commands::finetune::Runs),
    /// What runs left: put into use, take back, carry elsewhere
    #[command(subcommand)]
    Adapters(commands::finetune::Adapters),
    Packs(commands::packs::Arguments),
    /// Devices that networks can compute on, each tested beside the processor
    Devices(commands::devices::Devices),
    Phantom(commands::phantom::Phantom),
    #[command(subcommand)]
    Train(commands::train::Train),
}

fn main() -> std::process::ExitCode {
    lucency_assistant::keep_freed_memory();
    let arguments = Arguments::parse();
    let output = Output::new(arguments.json);
    computing::choose(arguments.computing);
    let result: Result<(), CommandError> = match arguments.command {
        Command::Inspect(command) => command.run(output),
        Command::Pixels(command) => command.run(output),
        Command::Render(command) => command.run(output),
        Command::Ask(command) => command.run(output),
        Command::Findings(command) => command.run(output),
        Command::Similar(command) => command.run(output),
        Command::Embed(command) => command.run(output),
        Command::Eval(command) => command.run(output),
        Command::Bench(command) => command.run(output),
        Command::DemoAssets(command) => command.run(output),
        Command::Demo(command) => command.run(output),
        Command::Library(command) => command.run(output),
        Command::Label(command) => command.run(output),
        Command::Search(command) => command.run(output),
        Command::Runs(command) => command.run(output),
        Command::Adapters(command) => command.run(output),
        Command::Packs(arguments) => commands::packs::run(arguments, output),
        Command::Devices(command) => command.run(output),
        Command::Phantom(command) => command.run(output),
        Command::Train(command) => command.run(output),
    };
    computing::report_failure();
    commands::bench::report_memory();
    output.finish(result)
}
