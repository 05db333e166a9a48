//! `lucency train`: the demo pack from data, in documented commands, and a pack's adaptation to cases of your own.

mod ablations;
mod alternatives;
mod answers;
mod card;
mod clip;
mod findings;
mod folds;
mod kept;
mod measured;
mod mednist;
mod pack;
mod phantoms;
mod prompts;
mod questions;
mod recipe;
mod views;
mod vqa;
mod vqa_choices;
mod vqa_pretrain;
mod vqa_rad;
mod vqa_starts;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use lucency_assistant::dto::TrainingMethod;
use lucency_nn::Progress;

pub use vqa_choices::{FormatChoice, LanguageChoice};

use super::finetune::{ContrastiveArgs, FullArgs, LoraArgs, PrefixArgs, ProbeArgs, TuneArgs};
use crate::output::{CommandError, Output};

/// Train models
#[derive(Subcommand)]
pub enum Train {
    /// Train image and text towers on phantoms, MedNIST and VQA-RAD
    Clip(clip::ClipArgs),
    /// Train the answer head on a run's towers, calibrate, measure and write the pack
    Answers(answers::AnswersArgs),
    /// Train MEVF or QCR on a question file
    Vqa(Box<vqa::VqaArgs>),
    /// Train the denoising autoencoder of MEVF and QCR on a folder of images
    Cdae(vqa_pretrain::CdaeArgs),
    /// Train the few-shot network of MEVF and QCR on images with classes
    Maml(vqa_pretrain::MamlArgs),
    /// Fit a linear probe on cases of your own
    Probe(Box<ProbeArgs>),
    /// Adapt the pack's layers by low-rank updates
    Lora(Box<LoraArgs>),
    /// Adapt the pack by learned scales
    Ia3(Box<TuneArgs>),
    /// Adapt the pack by learned keys and values
    Prefix(Box<PrefixArgs>),
    /// Learn context vectors before the class names
    Prompt(Box<PrefixArgs>),
    /// Train all weights on labels
    Full(Box<FullArgs>),
    /// Train all weights on pairs of an image and its report
    Contrastive(Box<ContrastiveArgs>),
}

/// A recipe: architecture, data, objective and schedule together.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Preset {
    /// The bundled demo pack.
    Demo,
}

impl Train {
    /// Runs the command.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        match self {
            Self::Clip(args) => args.run(output),
            Self::Answers(args) => args.run(output),
            Self::Vqa(args) => args.run(output),
            Self::Cdae(args) => args.run(output),
            Self::Maml(args) => args.run(output),
            Self::Probe(args) => args.run(output),
            Self::Lora(args) => args.run(output),
            Self::Ia3(args) => args.run(output, TrainingMethod::Ia3),
            Self::Prefix(args) => args.run(output, TrainingMethod::Prefix),
            Self::Prompt(args) => args.run(output, TrainingMethod::Prompt),
            Self::Full(args) => args.run(output),
            Self::Contrastive(args) => args.run(output),
        }
    }
}

/// One line of progress on standard error.
fn print_progress(progress: &Progress) {
    let left = progress
        .eta_s
        .map(|s| format!(", {:.0} min left", s / 60.0))
        .unwrap_or_default();
    let message = progress.message.as_deref().unwrap_or_default();
    eprintln!(
        "{} {}/{}{left} {message}",
        progress.stage, progress.done, progress.total
    );
}

/// Writes a value as JSON.
fn write_json<T: serde::Serialize>(path: &std::path::Path, value: &T) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    std::fs::write(path, text).with_context(|| format!("{}", path.display()))
}
