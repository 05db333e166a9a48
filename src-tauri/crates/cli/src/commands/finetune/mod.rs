//! Fine-tuning on a site's own cases: `lucency train probe|…` and `lucency eval finetune`.

mod base;
mod cases;
mod eval;
mod probe;
mod scores;

pub use eval::FinetuneEval;
pub use probe::ProbeArgs;
