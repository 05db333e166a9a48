//! Training the answer head on frozen towers: features are computed once, so an epoch takes seconds.

pub(crate) mod cholesky;
mod data;
mod ensemble;
mod fit;
mod judge;
mod lesson;
mod rank;
mod remember;

pub use data::{AnswerData, Row, Variants};
pub use ensemble::ensemble;
pub use fit::{FitConfig, Lessons, fit, fresh_head_weights};
pub use judge::{Control, Judged, judge};
pub use rank::{RankConfig, Weighed, fit_ranker, weigh};
pub use remember::{RememberConfig, Remembered, remember};
