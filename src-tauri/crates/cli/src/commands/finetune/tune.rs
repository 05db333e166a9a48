//! `lucency train lora|ia3|prefix|prompt|full|contrastive`: a pack adapted by gradients.

use clap::{Args, ValueEnum};
use lucency_assistant::dto::{
    CalibrationMethod, TrainingEstimate, TrainingMethod, TrainingOptions, TrainingPrecision,
    TrainingRequest,
};
use lucency_assistant::finetune::{
    Background, RunFolder, carry_out, estimate, preset_of_method, remove_run, start_run,
};
use lucency_assistant::{AssistantError, Interrupt, Options};

use super::super::table::DataArgs;
use super::{CalibrationChoice, options, text};
use crate::commands::assist::progress_line;
use crate::output::{CommandError, Output};

/// What every method takes.
#[derive(Args)]
pub struct TuneArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Name of the run and of its adapter
    #[arg(long)]
    name: String,
    /// Name or folder of the model pack [default: demo]
    #[arg(long, value_name = "PACK")]
    pack: Option<String>,
    /// Passes over the training cases
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
    /// Cases a step
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Highest learning rate
    #[arg(long, value_name = "RATE")]
    rate: Option<f64>,
    /// Seed of division, batches and views
    #[arg(long)]
    seed: Option<u64>,
    /// Gradient checkpointing: compute the towers' blocks again in the backward pass; less memory, longer steps, the same weights
    #[arg(long)]
    checkpointing: bool,
    /// Types of numbers; bf16 and mixed want a graphics processor, and are refused without one [default: f32]
    #[arg(long, value_enum)]
    precision: Option<PrecisionChoice>,
    /// How logits become probabilities, fitted on the validation cases [default: a temperature and an offset a class; Platt for findings]
    #[arg(long, value_enum)]
    calibration: Option<CalibrationChoice>,
    /// Cores at most [default: all]
    #[arg(long, value_name = "N")]
    cores: Option<usize>,
    /// A remark that is kept with the adapter
    #[arg(long, default_value = "")]
    notes: String,
    /// Measure some steps and say what the run will cost, without running it
    #[arg(long)]
    estimate: bool,
}

/// `lucency train lora`
#[derive(Args)]
pub struct LoraArgs {
    #[command(flatten)]
    common: TuneArgs,
    /// Rank of the updates
    #[arg(long)]
    rank: Option<usize>,
    /// Numerator of their scale
    #[arg(long)]
    alpha: Option<f64>,
}

/// `lucency train prefix`, `lucency train prompt`
#[derive(Args)]
pub struct PrefixArgs {
    #[command(flatten)]
    common: TuneArgs,
    /// Learned positions
    #[arg(long)]
    tokens: Option<usize>,
}

/// `lucency train full`
#[derive(Args)]
pub struct FullArgs {
    #[command(flatten)]
    common: TuneArgs,
    /// First blocks of each tower that stay as they are
    #[arg(long, value_name = "N")]
    frozen_blocks: Option<usize>,
}

/// `lucency train contrastive`
#[derive(Args)]
pub struct ContrastiveArgs {
    #[command(flatten)]
    common: TuneArgs,
    /// Which published or own recipe
    #[arg(long, value_enum, default_value_t = Recipe::Reports)]
    preset: Recipe,
    /// First blocks of each tower that stay as they are
    #[arg(long, value_name = "N")]
    frozen_blocks: Option<usize>,
    /// Whether the image tower stays as it is while the text tower learns to fit it
    #[arg(long, value_name = "BOOL")]
    locked_images: Option<bool>,
}

/// Recipes of contrastive training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Recipe {
    /// Linear heads on frozen towers in closed form, for hundreds of reports.
    Reports,
    /// AdamW with a cosine on the text tower, for thousands of reports.
    TextTower,
    /// PubMedCLIP's numbers.
    Pubmedclip,
}

impl Recipe {
    /// Its preset.
    pub fn preset(self) -> String {
        match self {
            Self::Reports => preset_of_method(TrainingMethod::Contrastive),
            Self::TextTower => "text_tower".to_owned(),
            Self::Pubmedclip => "pubmedclip".to_owned(),
        }
    }
}

/// Types of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PrecisionChoice {
    /// Everything in f32
    F32,
    /// Weights and activations in bf16
    Bf16,
    /// Activations in bf16, trained weights in f32
    Mixed,
}

impl From<PrecisionChoice> for TrainingPrecision {
    fn from(choice: PrecisionChoice) -> Self {
        match choice {
            PrecisionChoice::F32 => Self::F32,
            PrecisionChoice::Bf16 => Self::Bf16,
            PrecisionChoice::Mixed => Self::Mixed,
        }
    }
}

impl LoraArgs {
    /// Trains, judges and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let own = TrainingOptions {
            rank: self.rank,
            alpha: self.alpha,
            ..TrainingOptions::default()
        };
        let preset = preset_of_method(TrainingMethod::Lora);
        self.common.carry_out(output, preset, own)
    }
}

impl TuneArgs {
    /// Trains, judges and prints.
    pub fn run(&self, output: Output, method: TrainingMethod) -> Result<(), CommandError> {
        self.carry_out(output, preset_of_method(method), TrainingOptions::default())
    }

    fn carry_out(
        &self,
        output: Output,
        preset: String,
        own: TrainingOptions,
    ) -> Result<(), CommandError> {
        let options = options()?;
        let request = TrainingRequest {
            name: self.name.clone(),
            preset,
            data: self.data.data(&options)?,
            pack: self.pack.clone(),
            options: TrainingOptions {
                epochs: self.epochs,
                batch: self.batch,
                rate: self.rate,
                seed: self.seed,
                checkpointing: self.checkpointing.then_some(true),
                calibration: self.calibration.map(CalibrationMethod::from),
                precision: self.precision.map(TrainingPrecision::from),
                ..own
            },
            cores: Some(self.cores.unwrap_or(usize::MAX)),
            notes: self.notes.clone(),
        };
        if self.estimate {
            let mut progress = |_| {};
            let found = estimate(&options, &request, &Interrupt::new(), &mut progress)?;
            return output.print(&found, estimate_text);
        }
        let run = start_run(&options, &request, &now())?;
        go_on(&options, &run, &Background::default(), output).inspect_err(|_| {
            // What failed before its first checkpoint is begun anew under the same name.
            if !run.dir.join("checkpoint").exists() {
                let _ = remove_run(&options, &self.name);
            }
        })
    }
}

impl PrefixArgs {
    /// Trains, judges and prints.
    pub fn run(&self, output: Output, method: TrainingMethod) -> Result<(), CommandError> {
        let own = TrainingOptions {
            tokens: self.tokens,
            ..TrainingOptions::default()
        };
        self.common.carry_out(output, preset_of_method(method), own)
    }
}

impl FullArgs {
    /// Trains, judges and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let own = TrainingOptions {
            frozen_blocks: self.frozen_blocks,
            ..TrainingOptions::default()
        };
        let preset = preset_of_method(TrainingMethod::Full);
        self.common.carry_out(output, preset, own)
    }
}

impl ContrastiveArgs {
    /// Trains, judges and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let own = TrainingOptions {
            frozen_blocks: self.frozen_blocks,
            locked_images: self.locked_images,
            ..TrainingOptions::default()
        };
        self.common.carry_out(output, self.preset.preset(), own)
    }
}

/// The time, as records state it.
pub fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// Works on a run until it ends, and prints the report.
pub fn go_on(
    options: &Options,
    run: &RunFolder,
    background: &Background<'_>,
    output: Output,
) -> Result<(), CommandError> {
    let background = Background {
        cores: run.request.cores,
        low_priority: true,
        probe: background.probe.clone(),
        ..Background::default()
    };
    let (stop, mut progress) = (Interrupt::new(), progress_line());
    match carry_out(options, run, &background, &stop, &mut progress) {
        Ok(report) => output.print(&report, text::train_report),
        Err(AssistantError::Stopped) => {
            let state = run.status()?.state;
            Err(CommandError::new(
                "cancelled",
                format!("the run is {}", format!("{state:?}").to_lowercase()),
            ))
        }
        Err(error) => Err(error.into()),
    }
}

fn estimate_text(e: &TrainingEstimate) -> String {
    format!(
        "{} steps of {:.2} s: {:.1} min; {:.0} MiB of memory, {:.0} MiB on disk",
        e.steps,
        e.step_s,
        e.total_s / 60.0,
        e.memory_mib,
        e.disk_bytes as f64 / f64::from(1 << 20)
    )
}
