//! Answers to questions about an image: a small head over a CLIP's frozen towers.
//!
//! The image's pooled features and the question's features (the text tower's embedding and hashed n-grams of token ids) meet in a
//! low-rank bilinear fusion, with a direct path for each beside it.

mod config;
mod features;
mod head;
mod question;

pub use config::AnswerHeadConfig;
pub use features::{feature_count, image_features, image_features_of_trunk};
pub use head::{AnswerHead, RankedAnswer};
pub use question::{Question, QuestionForm, gram_ids};
