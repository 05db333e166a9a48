//! The shape of an answer head.

use serde::{Deserialize, Serialize};

use super::{MemoryConfig, RankerConfig};

/// The shape of an answer head and the answers that it knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Whether the question's form rules answers out: a yes-or-no question gets yes or no, any other question neither.
    #[serde(default = "gated", skip_serializing_if = "is_gated")]
    pub gated: bool,
    /// Questions about known images that are remembered, if any; their tensors lie below `memory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryConfig>,
    /// Weighs head and memory into calibrated probabilities, if there is one; its tensors lie below `ranker`. It needs a memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranker: Option<RankerConfig>,
}

fn gated() -> bool {
    true
}

fn is_gated(gated: &bool) -> bool {
    *gated
}
