//! Measures of a pack, or of a training run, on data that the caller names.

mod answerer;
pub(crate) mod encoder;
mod guard;
mod images;
mod pairs;
mod retrieval;
mod vqa;
mod zeroshot;

pub use answerer::{Answerer, Given, RunAnswerer};
pub use encoder::{ImageEncoder, read_image};
pub use guard::{RefusalRate, evaluate_guard};
pub use pairs::{evaluate_library_retrieval, pairs_of};
pub use retrieval::{PairRanks, RetrievalPair, RetrievalReport, evaluate_retrieval};
pub use vqa::{ControlReport, ReliabilityBin, VqaControls, VqaReport, VqaSet, evaluate_vqa};
pub use zeroshot::{ClassRecall, ZeroShotReport, evaluate_zeroshot};
