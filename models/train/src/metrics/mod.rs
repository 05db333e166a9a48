//! Metrics, one file each: plain functions over slices, in double precision.

mod auroc;
mod average_precision;
mod confusion;
mod ece;
mod probability;
mod retrieval;
mod risk;
pub mod vqa;

pub use auroc::{auroc, auroc_micro, macro_auroc, multiclass_auroc_ovo, multiclass_auroc_ovr};
pub use average_precision::average_precision;
pub use confusion::{
    Confusion, accuracy, balanced_accuracy, macro_f1, per_class_recall, top_k_accuracy,
};
pub use ece::{EceBin, ece, ece_binary, ece_bins};
pub use probability::{brier_binary, brier_multiclass, log_loss_binary};
pub use retrieval::{median_rank, ranks, recall_at_k};
pub use risk::{area_under_risk, risk_coverage};

use crate::{Result, TrainError};

/// Refuses empty slices and slices of unequal lengths.
fn check_lengths(what: &str, a: usize, b: usize) -> Result<()> {
    if a == 0 || a != b {
        return Err(TrainError::Data(format!(
            "{what} wants as many scores as labels and at least one, got {a} and {b}"
        )));
    }
    Ok(())
}

/// The position of the largest entry; the first of equals.
pub fn argmax(row: &[f64]) -> usize {
    let mut best = 0;
    for (i, v) in row.iter().enumerate() {
        if *v > row[best] {
            best = i;
        }
    }
    best
}
