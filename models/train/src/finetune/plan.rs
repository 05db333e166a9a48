//! The numbers of a fine-tuning run.

use lucency_nn::{Adaptation, AdapterKind, Precision};
use lucency_zoo::clip::{ClipConfig, KeyLayout, VisionConfig};
use serde::{Deserialize, Serialize};

use super::Method;
use crate::optim::{AdamWConfig, Rate};
use crate::{Result, TrainError};

/// How a pack is adapted by gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunePlan {
    /// What is trained.
    pub method: Method,
    /// Seed of first values, batches, views and dropout.
    pub seed: u64,
    /// Passes over the training cases.
    pub epochs: u64,
    /// Cases a step.
    pub batch: usize,
    /// Cases of a step that go through the towers at once, for contrastive training; the result does not depend on it.
    pub chunk: usize,
    /// Learning rate over the run.
    pub rate: Rate,
    /// The optimiser.
    pub optimiser: AdamWConfig,
    /// Largest global gradient norm.
    pub clip_norm: f64,
    /// Evaluations, of about fifteen, without gain on the validation cases after which the run ends; 0 for never.
    pub patience: u64,
    /// Random crops, turns and contrasts of training images; of a report that is longer than the text tower reads, one of its pieces.
    pub augment: bool,
    /// Rank of low-rank updates.
    pub rank: usize,
    /// Numerator of their scale.
    pub alpha: f64,
    /// Dropout before them.
    pub dropout: f64,
    /// Layers that are adapted, by the end of their keys; none for the method's own choice.
    pub targets: Vec<String>,
    /// Virtual tokens of a prefix, or context vectors of a prompt.
    pub tokens: usize,
    /// Factor on the rate from each block to the one before it, for full fine-tuning.
    pub layer_decay: f64,
    /// First blocks of each tower that stay as they are, for full fine-tuning; the stem and the embeddings count as block 0.
    pub frozen_blocks: usize,
    /// Whether the image tower stays as it is while the text tower learns to fit it, for contrastive training. Source: Zhai et al. 2022
    /// (LiT), section 3.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked_images: bool,
    /// Whether linear heads are fitted on frozen towers in closed form instead of any weight being trained, for contrastive training. See
    /// [`ReportHeads`](super::ReportHeads).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub report_heads: bool,
    /// Whether the towers' blocks are computed again in the backward pass instead of kept: less memory, one forward pass more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checkpointing: bool,
    /// In which types of numbers weights are kept and towers compute; losses and moments are f32 in all.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
}

impl TunePlan {
    /// Sensible numbers for some hundreds of cases.
    pub fn preset(method: Method) -> Self {
        let (peak, epochs) = match method {
            Method::Prompt => (5e-3, 60),
            Method::Ia3 => (1e-2, 30),
            Method::Prefix => (5e-3, 30),
            Method::Full => (1e-4, 20),
            Method::Contrastive => (1e-3, 40),
            Method::Lora | Method::Probe => (1e-3, 30),
        };
        Self {
            method,
            seed: 1,
            epochs,
            batch: if method == Method::Contrastive {
                64
            } else {
                32
            },
            chunk: 16,
            rate: Rate::Cosine {
                peak,
                warmup_epochs: 1.0,
                floor: 0.02,
            },
            optimiser: AdamWConfig {
                beta2: 0.999,
                eps: 1e-8,
                weight_decay: 0.01,
                ..AdamWConfig::default()
            },
            clip_norm: 1.0,
            patience: 8,
            augment: method != Method::Prompt,
            rank: 8,
            alpha: 16.0,
            dropout: if method == Method::Lora { 0.1 } else { 0.0 },
            targets: Vec::new(),
            tokens: 8,
            layer_decay: if method == Method::Full { 0.75 } else { 1.0 },
            frozen_blocks: 0,
            locked_images: method == Method::Contrastive,
            report_heads: false,
            checkpointing: false,
            precision: Precision::F32,
        }
    }

    /// Linear heads on frozen towers, for some hundred reports: there are no steps.
    pub fn report_heads() -> Self {
        Self {
            report_heads: true,
            ..Self::preset(Method::Contrastive)
        }
    }

    /// PubMedCLIP's recipe: Adam at a constant 1e-5, batches of 64, 50 passes, all weights.
    ///
    /// Source: Eslami, Meinel and de Melo 2023, section 3.1.
    pub fn pubmedclip() -> Self {
        Self {
            epochs: 50,
            batch: 64,
            rate: Rate::Constant { rate: 1e-5 },
            optimiser: AdamWConfig {
                beta2: 0.98,
                eps: 1e-6,
                weight_decay: 0.0,
                ..AdamWConfig::default()
            },
            clip_norm: f64::INFINITY,
            patience: 0,
            locked_images: false,
            ..Self::preset(Method::Contrastive)
        }
    }

    /// Checks that the numbers can work together.
    ///
    /// Errors name the number.
    pub fn check(&self) -> Result<()> {
        let refuse = |what: &str| Err(TrainError::Plan(what.to_string()));
        match self {
            Self { epochs: 0, .. } => refuse("at least one epoch"),
            Self { batch: 0 | 1, .. } => refuse("a batch has at least two cases"),
            Self { chunk: 0, .. } => refuse("a chunk has at least one case"),
            Self { rank: 0, .. } => refuse("a rank is at least 1"),
            Self { tokens: 0, .. } => refuse("at least one token"),
            _ if !(0.0..1.0).contains(&self.dropout) => {
                refuse("a dropout lies in 0 to 1, without 1")
            }
            _ if !(self.layer_decay > 0.0 && self.layer_decay <= 1.0) => {
                refuse("a layer decay lies above 0 and is at most 1")
            }
            _ => Ok(()),
        }
    }

    /// What layers get, if the method adds parts to layers.
    ///
    /// Errors as [`Adaptation::new`].
    pub fn adaptation(&self, config: &ClipConfig) -> Result<Option<Adaptation>> {
        let kind = match self.method {
            Method::Lora => AdapterKind::Lora {
                rank: self.rank,
                alpha: self.alpha,
                dropout: self.dropout,
            },
            Method::Ia3 => AdapterKind::Ia3 {
                feedforward: feedforward(config),
            },
            Method::Prefix => AdapterKind::Prefix {
                tokens: self.tokens,
            },
            Method::Probe | Method::Prompt | Method::Full | Method::Contrastive => return Ok(None),
        };
        let targets = match self.targets.is_empty() {
            true => default_targets(self.method, config),
            false => self.targets.clone(),
        };
        Ok(Some(Adaptation::new(kind, targets, self.seed)?))
    }
}

/// Layers behind the widening of an MLP, whose input IA3 scales.
fn feedforward(config: &ClipConfig) -> Vec<String> {
    vec![
        match config.layout {
            KeyLayout::HuggingFace => "mlp.fc2",
            KeyLayout::OpenAi => "mlp.c_proj",
        }
        .to_string(),
    ]
}

/// Stages of a ResNet whose convolutions get low-rank updates, counted from 1: the earlier ones see four times as many positions each,
/// cost the most and change the least.
const ADAPTED_STAGES: [usize; 2] = [3, 4];

/// What a method adapts where the plan does not say: attention's maps in transformers; in a ResNet the later convolutions and the
/// attention pool's maps.
fn default_targets(method: Method, config: &ClipConfig) -> Vec<String> {
    let resnet = matches!(config.vision, VisionConfig::ResNet(_));
    let names: &[&str] = match (method, config.layout) {
        (Method::Prefix, KeyLayout::HuggingFace) => &["self_attn"],
        (Method::Prefix, KeyLayout::OpenAi) => &["attn"],
        (Method::Lora, KeyLayout::HuggingFace) => &["q_proj", "k_proj", "v_proj", "out_proj"],
        (Method::Lora, KeyLayout::OpenAi) if resnet => &[
            "attn",
            "out_proj",
            "q_proj",
            "k_proj",
            "v_proj",
            "attnpool.c_proj",
        ],
        (Method::Lora, KeyLayout::OpenAi) => &["attn", "out_proj"],
        (_, KeyLayout::HuggingFace) => &["k_proj", "v_proj", "mlp.fc2"],
        (_, KeyLayout::OpenAi) if resnet => &["attn", "k_proj", "v_proj", "mlp.c_proj", "conv3"],
        (_, KeyLayout::OpenAi) => &["attn", "mlp.c_proj"],
    };
    let mut targets: Vec<String> = names.iter().map(|n| (*n).to_string()).collect();
    if let (Method::Lora, VisionConfig::ResNet(resnet)) = (method, &config.vision) {
        for stage in ADAPTED_STAGES {
            for block in 0..resnet.layers[stage - 1] {
                targets.extend((1..=3).map(|i| format!("layer{stage}.{block}.conv{i}")));
            }
        }
    }
    targets
}

/// How deep a tensor lies in its tower: 0 for the stem and the embeddings, i + 1 for block i, `blocks + 1` for what follows.
pub(super) fn depth(key: &str, blocks: usize) -> usize {
    let mut parts = key.split('.').peekable();
    let stem = [
        "embeddings",
        "conv1",
        "conv2",
        "conv3",
        "bn1",
        "bn2",
        "bn3",
        "token_embedding",
        "positional_embedding",
        "class_embedding",
        "ln_pre",
        "pre_layrnorm",
    ];
    while let Some(part) = parts.next() {
        if let Some(number) = part
            .strip_prefix("layer")
            .and_then(|n| n.parse::<usize>().ok())
        {
            return number; // a ResNet's stages count from 1
        }
        if matches!(part, "layers" | "resblocks")
            && let Some(number) = parts.peek().and_then(|n| n.parse::<usize>().ok())
        {
            return number + 1;
        }
        if part == "attnpool" {
            return blocks + 1;
        }
        if stem.contains(&part) {
            return 0;
        }
    }
    blocks + 1
}

/// Blocks of the deepest tower.
pub(super) fn blocks(config: &ClipConfig) -> usize {
    let vision = match &config.vision {
        VisionConfig::Vit(vit) => vit.layers,
        VisionConfig::ResNet(_) => 4,
    };
    vision.max(config.text.layers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_blocks_from_the_input() {
        for (key, wanted) in [
            ("visual.conv1.weight", 0),
            ("visual.layer1.0.conv1.weight", 1),
            ("visual.layer4.0.bn3.bias", 4),
            ("visual.attnpool.q_proj.weight", 5),
            ("visual.attnpool.positional_embedding", 5),
            ("token_embedding.weight", 0),
            ("transformer.resblocks.2.ln_1.weight", 3),
            ("text_model.encoder.layers.0.mlp.fc1.weight", 1),
            ("vision_model.embeddings.class_embedding", 0),
            ("text_projection", 5),
            ("logit_scale", 5),
        ] {
            assert_eq!(depth(key, 4), wanted, "{key}");
        }
    }

    #[test]
    fn plans_that_cannot_work_are_refused() {
        assert!(TunePlan::preset(Method::Lora).check().is_ok());
        assert!(TunePlan::pubmedclip().check().is_ok());
        let bad = TunePlan {
            batch: 1,
            ..TunePlan::preset(Method::Full)
        };
        assert!(bad.check().unwrap_err().to_string().contains("batch"));
    }
}
