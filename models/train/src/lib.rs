//! Training engine: data, objectives, schedules, checkpoints, metrics, calibration.
//!
//! Five seams keep methods apart: a [`data::Dataset`] gives samples, a [`run::Objective`] turns a step's batch into a loss, the
//! trainable set is whatever `Weights::train_where` marked, [`optim::Schedule`] gives the rate, and [`metrics`] judge.

pub mod acquisition;
pub mod answers;
mod best;
pub mod calibration;
pub mod checkpoint;
pub mod cohort;
pub mod contrastive;
pub mod curves;
pub mod data;
mod error;
pub mod finetune;
mod log;
pub mod losses;
pub mod metrics;
pub mod optim;
pub mod probe;
pub mod run;
pub mod split;
pub mod statistics;
pub mod vqa;

pub use best::Best;
pub use error::{Result, TrainError};
