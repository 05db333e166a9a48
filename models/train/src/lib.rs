//! Training engine: data, objectives, schedules, checkpoints, metrics, calibration.
//!
//! Five seams keep methods apart: a [`data::Dataset`] gives samples, a [`run::Objective`] turns a step's batch into a loss, the
//! trainable set is whatever `Weights::train_where` marked, [`optim::Schedule`] gives the rate, and [`metrics`] judge.

pub mod answers;
pub mod calibration;
pub mod checkpoint;
pub mod contrastive;
pub mod data;
mod error;
pub mod losses;
pub mod metrics;
pub mod optim;
pub mod run;
pub mod split;

pub use error::{Result, TrainError};
