//! Extra supervision that speeds the image tower up and is dropped after training: where findings are, and all claims at once.

use candle_core::Tensor;
use lucency_nn::{Init, Linear, Weights};
use lucency_zoo::clip::Clip;

use crate::Result;
use crate::losses::focal_cross_entropy;

/// How much a cell that holds a finding counts beside one that does not; findings cover few cells.
const PRESENT_WEIGHT: f32 = 4.0;
/// Factor on the unit-length embedding before the linear claims.
const SHARPNESS: f64 = 8.0;

/// Two linear read-outs: findings from every position of the trunk, claims from the embedding.
///
/// Keys `guide.local` and `guide.global`.
/// Source: Lee et al. 2015 (deep supervision); Long et al. 2015 for the position-wise read-out.
#[derive(Clone, Debug)]
pub struct Guide {
    local: Linear,
    global: Linear,
    claims: usize,
    focus: f32,
}

impl Guide {
    /// A guide for a prompt pool of `claims` claims.
    ///
    /// - `channels`: of the trunk's output
    /// - `focus`: how much the losses lean on what is still hard; see [`focal_cross_entropy`]
    pub fn load(
        weights: &Weights,
        channels: usize,
        embed_dim: usize,
        claims: usize,
        focus: f32,
    ) -> Result<Self> {
        let linear = |name: &str, inputs: usize| -> Result<Linear> {
            let view = weights.pp("guide").pp(name);
            let init = Init::KaimingUniform { fan_in: inputs };
            let weight = view.get_or_init((claims, inputs), "weight", init)?;
            // Findings are rare: start from a low probability.
            let bias = view.get_or_init(claims, "bias", Init::Const(-2.0))?;
            Ok(Linear::from_tensors(weight, Some(bias)))
        };
        Ok(Self {
            local: linear("local", channels)?,
            global: linear("global", embed_dim)?,
            claims,
            focus,
        })
    }

    /// Cross-entropy of the findings in every cell of the trunk's grid.
    ///
    /// - `hidden`: the trunk's output
    /// - `truth`: `[n, cells, claims]`, 1, 0 or -1 (not known)
    pub fn local_loss(&self, clip: &Clip, hidden: &Tensor, truth: &[f32]) -> Result<Tensor> {
        let tokens = clip.spatial_tokens(hidden)?; // [n, cells, c]
        let logits = self.local.forward(&tokens)?; // [n, cells, claims]
        let weights: Vec<f32> = truth
            .iter()
            .map(|t| {
                if *t < 0.0 {
                    0.0
                } else {
                    1.0 + (PRESENT_WEIGHT - 1.0) * t
                }
            })
            .collect();
        let labels: Vec<f32> = truth.iter().map(|t| t.max(0.0)).collect();
        focal_cross_entropy(&logits, &labels, &weights, self.focus)
    }

    /// Cross-entropy of all claims from the embedding.
    ///
    /// - `images`: `[n, d]`, unit length
    /// - `truth`: `[n, claims]`, 1, 0 or -1 (not known)
    pub fn global_loss(&self, images: &Tensor, truth: &[f32]) -> Result<Tensor> {
        let logits = self.global.forward(&(images * SHARPNESS)?)?; // [n, claims]
        let weights: Vec<f32> = truth
            .iter()
            .map(|t| if *t < 0.0 { 0.0 } else { 1.0 })
            .collect();
        let labels: Vec<f32> = truth.iter().map(|t| t.max(0.0)).collect();
        focal_cross_entropy(&logits, &labels, &weights, self.focus)
    }

    /// Claims of the pool.
    pub fn claims(&self) -> usize {
        self.claims
    }
}
