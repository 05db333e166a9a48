//! Fine-tuning on a site's own cases: from a table to an adapter that is judged, and from there into use.

mod active;
mod adapters;
mod amount;
mod attach;
mod base;
mod cases;
mod courtesy;
mod decide;
mod divide;
mod estimate;
mod eval;
mod fit;
mod foreign;
mod forgotten;
mod judge;
mod learn;
mod learning;
mod learning_pairs;
mod library;
mod page;
mod pairs;
mod paper;
mod pool;
mod preset;
mod preview;
mod run;
mod scored;
mod scrub;
mod start;
mod table;
mod train_report;
mod travel;

pub(crate) use active::{ActiveAdapter, active_adapter};
pub use adapters::{activate, adapter_image, adapters, remove_adapter, rollback};
pub use amount::Amount;
pub use attach::judge_adapter;
pub use base::Base;
pub use cases::image_below;
pub use courtesy::Courtesy;
pub use estimate::estimate;
pub use eval::{EvalReport, EvalRequest, Verdict, evaluate_adapter};
pub use fit::fit;
pub use foreign::{Stated, import_foreign, is_foreign};
pub use forgotten::ForgottenTask;
pub use learning::{LearningCurve, LearningPlan, LearningPoint, learning_curve};
pub use learning_pairs::{RetrievalCurve, RetrievalPlan, RetrievalPoint, retrieval_curve};
pub use library::{library_data, library_pairs};
pub use page::adapter_report;
pub use pairs::{Direction, PairsReport, Recall};
pub use paper::report_pdf;
pub use preset::{Numbers, numbers, preset_of_method, presets};
pub use preview::preview;
pub use run::{
    RunFolder, cancel_run, pause_run, remove_run, run_detail, runs, start_run, take_up_run,
};
pub(crate) use scrub::{forget_images, shows_images};
pub use start::{Background, carry_out};
pub use table::{Table, parse_columns, parse_renamings, read_table};
pub use train_report::TrainReport;
pub use travel::{export_adapter, import_adapter};

use crate::error::AssistantError;

/// An error with a stable word and what to do.
fn refuse(code: &'static str, message: impl Into<String>) -> AssistantError {
    AssistantError::Training {
        code,
        message: message.into(),
    }
}
