//! Medical question answering as published: MEVF and QCR, their data, their training and their judging.
//!
//! A question file becomes [`QaRecord`]s, a [`Dictionary`] and an [`AnswerVocabulary`]; [`train_vqa`] walks a [`VqaPlan`] with the
//! common loop of [`crate::run`], and [`TrainedVqa`] answers with what a run's folder holds. `docs/vqa.md` lists where the published
//! code is odd and what is done about it.

mod calibrate;
mod dictionary;
mod examples;
mod export;
mod fit;
mod frozen;
mod image_set;
mod images;
mod judge;
mod kind;
mod model;
mod objective;
mod plan;
pub mod pretrain;
mod records;
mod splits;
mod text;
mod trained;
mod vocabulary;
mod words;

pub use calibrate::{Calibration, calibrate};
pub use dictionary::{Dictionary, Unknown};
pub use examples::{Batch, Examples};
pub use export::export_run;
pub use fit::{Starts, VqaData, VqaOutcome, train_vqa};
pub use frozen::FrozenFeatures;
pub use image_set::ImageSet;
pub use images::ImageIndex;
pub use judge::{Judged, QuestionTypes, judge};
pub use model::AnswerModel;
pub use objective::VqaObjective;
pub use plan::{Conduct, Method, Preset, VqaPlan};
pub use records::{Language, QaRecord, QuestionFormat, read};
pub use splits::{SplitKind, Validation, VqaSplit, pairs, split};
pub use text::{AnswerForm, question_words, soft_score};
pub use trained::{RunAnswer, TrainedVqa, seed_runs};
pub use vocabulary::{AnswerVocabulary, Layout};
pub use words::{TfIdf, glove_vectors, tfidf_vectors};
