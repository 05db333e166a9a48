//! Measures of a pack on data that the caller names.

mod images;
mod vqa;
mod zeroshot;

pub use images::ImageFolder;
pub use vqa::{VqaControls, VqaReport, evaluate_vqa};
pub use zeroshot::{ClassRecall, ZeroShotReport, evaluate_zeroshot};
