//! Training the answer head on frozen towers: features are computed once, so an epoch takes seconds.

mod cholesky;
mod data;
mod fit;
mod judge;
mod rank;
mod remember;

pub use data::{AnswerData, Row};
pub use fit::{FitConfig, fit, fresh_head_weights};
pub use judge::{Control, Judged, judge};
pub use rank::{RankConfig, Weighed, fit_ranker, weigh};
pub use remember::{RememberConfig, Remembered, remember};
