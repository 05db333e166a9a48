//! Zero-shot figures on held-out samples.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use lucency_nn::Mode;
use lucency_nn::ops::l2_normalise;
use lucency_zoo::clip::Clip;
use lucency_zoo::preprocess::Preprocess;
use lucency_zoo::tokenizer::ClipTokenizer;

use super::{PromptPool, TextBatch, normalise};
use crate::Result;
use crate::data::{Sample, centre_view};
use crate::metrics::{argmax, auroc};

/// The ensembles of a prompt pool: the mean of a wording list's unit embeddings, at unit length again.
pub struct PoolEmbedding {
    /// For each claim the ensemble of its wordings minus the ensemble of its denials, `[d]`.
    pub claims: Vec<Vec<f32>>,
    /// For each class set, for each class its ensemble, `[d]`.
    pub classes: Vec<Vec<Vec<f32>>>,
    /// The factor on similarities.
    pub scale: f32,
}

impl PoolEmbedding {
    /// Embeds every wording once.
    ///
    /// Source: Radford et al. 2021, section 3.1.4 (prompt ensembling in embedding space).
    pub fn new(
        clip: &Clip,
        tokenizer: &ClipTokenizer,
        pool: &PromptPool,
        longest: usize,
    ) -> Result<Self> {
        let mut texts = TextBatch::default();
        for text in pool.texts() {
            texts.place(text);
        }
        let embedded: Vec<Vec<f32>> = if texts.is_empty() {
            Vec::new()
        } else {
            l2_normalise(&texts.embed(clip, tokenizer, longest)?)?.to_vec2()?
        };
        let mut ensemble = |wordings: &[String]| {
            let mut mean = vec![0f32; embedded.first().map_or(0, Vec::len)];
            for wording in wordings {
                let row = &embedded[texts.place(wording) as usize];
                mean.iter_mut().zip(row).for_each(|(m, v)| *m += v);
            }
            let norm = mean.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
            mean.iter_mut().for_each(|v| *v /= norm);
            mean
        };
        let claims = pool
            .claims
            .iter()
            .map(|claim| {
                let denial = ensemble(&claim.negative);
                let positive = ensemble(&claim.positive);
                positive.iter().zip(&denial).map(|(p, n)| p - n).collect()
            })
            .collect();
        let classes = pool
            .class_sets
            .iter()
            .map(|set| set.classes.iter().map(|c| ensemble(&c.texts)).collect())
            .collect();
        let scale = clip.logit_scale()?.to_scalar::<f32>()?.exp().min(100.0);
        Ok(Self {
            claims,
            classes,
            scale,
        })
    }
}

/// Unit-length embeddings of whole images, without augmentation.
///
/// - returns one `[d]` a sample
pub fn embed_images(
    clip: &Clip,
    preprocess: &Preprocess,
    samples: &[Arc<Sample>],
) -> Result<Vec<Vec<f32>>> {
    let side = preprocess.side();
    let mut out = Vec::with_capacity(samples.len());
    for chunk in samples.chunks(32) {
        let mut pixels = Vec::with_capacity(chunk.len() * 3 * side * side);
        for sample in chunk {
            pixels.extend(normalise(&centre_view(&sample.image, side), preprocess));
        }
        let pixels = Tensor::from_vec(pixels, (chunk.len(), 3, side, side), &Device::Cpu)?;
        let embedded = l2_normalise(&clip.encode_image(&pixels, Mode::Eval)?)?;
        out.extend(embedded.to_vec2::<f32>()?);
    }
    Ok(out)
}

/// AUROC of every claim that occurs both ways (`auroc:<claim>`), their mean (`auroc`), and accuracy of every class set
/// (`accuracy:<set>`).
///
/// - `images`: unit-length embeddings of `samples`
pub fn zero_shot(
    pool: &PoolEmbedding,
    prompts: &PromptPool,
    images: &[Vec<f32>],
    samples: &[Arc<Sample>],
) -> Result<BTreeMap<String, f64>> {
    let dot = |a: &[f32], b: &[f32]| f64::from(a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>());
    let mut figures = BTreeMap::new();
    let mut sum = 0.0;
    let mut count = 0.0;
    for (claim, direction) in pool.claims.iter().enumerate() {
        let (mut scores, mut labels) = (Vec::new(), Vec::new());
        for (image, sample) in images.iter().zip(samples) {
            if let Some((_, holds)) = sample.claims.iter().find(|(c, _)| *c == claim) {
                scores.push(dot(image, direction));
                labels.push(*holds);
            }
        }
        if labels.contains(&true) && labels.contains(&false) {
            let value = auroc(&scores, &labels)?;
            figures.insert(format!("auroc:{}", prompts.claims[claim].name), value);
            sum += value;
            count += 1.0;
        }
    }
    if count > 0.0 {
        figures.insert("auroc".into(), sum / count);
    }
    for (set, classes) in pool.classes.iter().enumerate() {
        let mut right = 0usize;
        let mut all = 0usize;
        for (image, sample) in images.iter().zip(samples) {
            if let Some((_, class)) = sample.classes.iter().find(|(s, _)| *s == set) {
                let scores: Vec<f64> = classes.iter().map(|c| dot(image, c)).collect();
                right += usize::from(argmax(&scores) == *class);
                all += 1;
            }
        }
        if all > 0 {
            let name = &prompts.class_sets[set].name;
            figures.insert(format!("accuracy:{name}"), right as f64 / all as f64);
        }
    }
    Ok(figures)
}
