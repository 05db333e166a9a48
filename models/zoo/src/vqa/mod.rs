//! Answers to questions about an image.
//!
//! [`AnswerHead`] is a small head over a CLIP's frozen towers. [`Mevf`] and [`Qcr`] are the published models, which encode
//! images with a meta-learned network, a denoising auto-encoder and CLIP, and read questions word by word.
//!
//! In the head, the image's pooled features and the question's features (the text tower's embedding and hashed n-grams of token ids) meet in a
//! low-rank bilinear fusion, with a direct path for each beside it. A [`Memory`] of questions about known images may stand beside them,
//! and a [`Ranker`] that weighs what both say into calibrated probabilities.

mod ban;
mod cdae;
mod config;
mod evidence;
mod fc;
mod features;
mod head;
mod maml;
mod memory;
mod mevf;
mod qcr;
mod question;
mod ranker;
mod san;
mod sentence;
mod terms;
mod type_classifier;
mod visual;

pub use ban::{Attention, BiAttention, BiResidual, BilinearPool};
pub use cdae::Cdae;
pub use config::AnswerHeadConfig;
pub use evidence::{EVIDENCE, Evidence, FACTS};
pub use features::{feature_count, image_features, image_features_of_trunk};
pub use head::{AnswerHead, RankedAnswer};
pub use maml::MamlCnn;
pub use memory::{Memory, MemoryConfig, Recalled, form_factor, image_likeness, unit_features};
pub use mevf::{Fusion, Mevf, MevfConfig, MevfOutput};
pub use qcr::{Branch, Qcr, QcrConfig, QcrOutput};
pub use question::{Question, QuestionForm, gram_ids};
pub use ranker::{Ranker, RankerConfig};
pub use san::StackedAttention;
pub use sentence::{QuestionConfig, Rnn};
pub use terms::{term_rarity, term_vector};
pub use type_classifier::{TypeClassifier, TypeClassifierConfig};
pub use visual::{VisualBatch, VisualConfig};
