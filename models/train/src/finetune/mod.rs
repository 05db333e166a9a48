//! Adapting a pack to a site's own labelled cases, and saying honestly whether it helped.

mod adapter;
mod against_rest;
mod calibrate;
mod classify;
mod features;
mod foreign;
mod heads;
mod labels;
mod pairs;
pub mod peft;
mod plan;
mod probe;
mod recalibration;
mod report;
mod scorer;
mod towers;
mod tune;
mod zero_shot;

pub use adapter::{
    Adapter, AdapterManifest, BasePack, FORMAT, Learned, Method, adapter_folder, is_adapter_name,
};
pub use calibrate::{Calibration, Calibrator, cross_calibrated};
pub use classify::{Classify, Task};
pub use features::{FeatureSet, Pictures, extract};
pub use foreign::{Foreign, read_foreign};
pub use heads::ReportHeads;
pub use labels::{LabelTable, contradictions};
pub use pairs::Pairs;
pub use plan::TunePlan;
pub use probe::{ProbeChoice, ProbeOutcome, fit_probe};
pub use recalibration::Recalibration;
pub use report::{ClassReport, Evaluation, Gate, MacroReport, Side, evaluate, gate};
pub use scorer::{OneImage, Scorer};
pub use towers::Towers;
pub use tune::{Model, Tuned, tune, tune_pairs, with_adapter};
pub use zero_shot::ZeroShot;
