//! From scores to probabilities that can be believed: temperature, Platt scaling and the abstention threshold.

mod abstain;
mod platt;
mod temperature;

pub use abstain::abstention_threshold;
pub use platt::Platt;
pub(crate) use temperature::golden_section;
pub use temperature::{fit_temperature, softmax};
