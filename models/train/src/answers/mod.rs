//! Training the answer head on frozen towers: features are computed once, so an epoch takes seconds.

mod data;
mod fit;
mod judge;

pub use data::{AnswerData, Row};
pub use fit::{FitConfig, fit, fresh_head_weights};
pub use judge::{Control, Judged, judge};
