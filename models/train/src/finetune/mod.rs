//! Adapting a pack to a site's own labelled cases, and saying honestly whether it helped.

mod adapter;
mod calibrate;
mod features;
mod labels;
mod probe;
mod report;
mod zero_shot;

pub use adapter::{
    Adapter, AdapterManifest, BasePack, FORMAT, Method, adapter_folder, is_adapter_name,
};
pub use calibrate::Calibrator;
pub use features::{FeatureSet, Pictures, extract};
pub use labels::{LabelTable, contradictions};
pub use probe::{ProbeChoice, ProbeOutcome, fit_probe};
pub use report::{ClassReport, Evaluation, Gate, MacroReport, Side, evaluate, gate};
pub use zero_shot::ZeroShot;
