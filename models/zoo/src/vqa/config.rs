//! The shape of an answer head.

use serde::{Deserialize, Serialize};

/// The shape of an answer head and the answers that it knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerHeadConfig {
    /// Pooled image features; see [`super::feature_count`].
    pub image_features: usize,
    /// The shared embedding's length.
    pub embed_dim: usize,
    /// Width of the question vector and rank of the fusion.
    pub hidden: usize,
    /// Buckets that n-grams of token ids are hashed into.
    pub buckets: usize,
    /// The answers, normalised, in the order of the classifier's outputs.
    pub answers: Vec<String>,
    /// The memory of training questions, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryConfig>,
}

/// The shape of a memory of training questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryConfig {
    /// Images.
    pub images: usize,
    /// Questions.
    pub rows: usize,
    /// Most n-grams that a question has.
    pub grams: usize,
}
