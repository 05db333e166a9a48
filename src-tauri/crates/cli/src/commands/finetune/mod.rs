//! Fine-tuning on a site's own cases: `lucency train probe|lora|…`, `lucency runs`, `lucency adapters` and `lucency eval finetune`.

mod adapters;
mod eval;
mod learning;
mod probe;
mod runs;
mod text;
mod tune;

pub use adapters::Adapters;
pub use eval::FinetuneEval;
pub use learning::Learning;
pub use probe::ProbeArgs;
pub use runs::Runs;
pub use tune::{ContrastiveArgs, FullArgs, LoraArgs, PrefixArgs, TuneArgs};

use clap::ValueEnum;
use lucency_assistant::Options;
use lucency_assistant::dto::CalibrationMethod;

use crate::output::CommandError;

/// How logits become probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CalibrationChoice {
    /// One temperature; moves no decision between classes
    Temperature,
    /// A sigmoid for each class or finding
    Platt,
    /// Isotonic regression for each class or finding; wants hundreds of cases
    Isotonic,
}

impl From<CalibrationChoice> for CalibrationMethod {
    fn from(choice: CalibrationChoice) -> Self {
        match choice {
            CalibrationChoice::Temperature => Self::Temperature,
            CalibrationChoice::Platt => Self::Platt,
            CalibrationChoice::Isotonic => Self::Isotonic,
        }
    }
}

/// Where packs, runs and adapters are.
fn options() -> Result<Options, CommandError> {
    crate::computing::options(None)
}
