//! Optimiser, schedule, gradient clipping and weight averaging, one file each.

mod adamw;
mod clip;
mod ema;
mod schedule;

pub use adamw::{AdamW, AdamWConfig, DecayScope};
pub use clip::{clip_scale, gradient_norm};
pub use ema::Ema;
pub use schedule::Schedule;
