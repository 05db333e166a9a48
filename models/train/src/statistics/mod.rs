//! Statistics of an honest comparison: intervals, tests, agreement and calibration, in double precision.
//!
//! The point figures (AUROC, average precision, F1, Brier, ECE, …) are [`crate::metrics`]; this module says how far they can be
//! trusted, and turns scores into probabilities.

mod bootstrap;
mod decision;
mod delong;
mod isotonic;
mod kappa;
mod normal;
mod retrieval;
mod temperature;

pub use bootstrap::{Bootstrap, Interval, bootstrap};
pub use decision::{per_class_f1, sensitivity_at_specificity};
pub use delong::{DeLong, delong, delong_interval};
pub use isotonic::Isotonic;
pub use kappa::{Kappa, KappaWeights, cohen_kappa, measure_kappa};
pub use normal::{normal_cdf, normal_quantile};
pub use retrieval::{Estimate, Ranked, Retrieval, measure_retrieval, rank_all};
pub use temperature::fit_class_temperature;
