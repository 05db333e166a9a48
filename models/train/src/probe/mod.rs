//! Linear probe: logistic regression on features of a frozen model, exact, with regularisation chosen over whole patients.

mod lbfgs;
mod logistic;
mod matrix;
mod problem;
mod select;

pub(crate) use logistic::squash;
pub use logistic::{ClassWeights, Labels, Logistic, Precision};
pub use matrix::{Features, Standardise};
pub use select::{Probe, ProbeFit, ProbePlan, SelectBy};
