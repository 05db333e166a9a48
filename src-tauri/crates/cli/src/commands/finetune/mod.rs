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

use lucency_assistant::Options;

use crate::output::CommandError;

/// Where packs, runs and adapters are.
fn options() -> Result<Options, CommandError> {
    Ok(Options::standard(None)?)
}
