//! Answers to questions about an image: a small head over a CLIP's frozen towers.
//!
//! The image's pooled features and the question's features meet in a low-rank bilinear fusion with a direct path for each. Beside it
//! stands a memory of the training questions: a question that resembles one asked before about a very similar image may take its
//! answer from there. A learned null slot decides how far the memory is trusted.

mod config;
mod features;
mod head;
mod memory;
mod question;

pub use config::{AnswerHeadConfig, MemoryConfig};
pub use features::{feature_count, image_features, image_features_of_trunk};
pub use head::{AnswerHead, RankedAnswer};
pub use memory::Memory;
pub use question::{Question, QuestionForm, gram_ids};
