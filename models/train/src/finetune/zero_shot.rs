//! What the pack says about the same classes before it is adapted.

use lucency_nn::{Interrupt, Progress};
use lucency_zoo::clip::Clip;
use lucency_zoo::preprocess::{Image8, Preprocess};
use lucency_zoo::tokenizer::ClipTokenizer;

use super::features::{Pictures, embeddings};
use crate::contrastive::{ClaimWordings, ClassSet, ClassWordings, PoolEmbedding, PromptPool};
use crate::probe::squash;
use crate::{Result, TrainError};

/// Class or finding names as prompts in the pack's own templates.
pub struct ZeroShot {
    directions: Vec<Vec<f32>>, // [classes][embed_dim]; a finding's is presence minus absence
    scale: f64,
    exclusive: bool,
}

/// Images a forward pass.
const BATCH: usize = 16;

impl ZeroShot {
    /// Embeds the prompts of every class: each template with the name in place of `{}`; a finding also as `no {}`.
    ///
    /// Source: Radford et al. 2021, section 3.1.4; presence against absence as in CheXzero (Tiu et al. 2022).
    pub fn new(
        clip: &Clip,
        tokenizer: &ClipTokenizer,
        templates: &[String],
        names: &[String],
        exclusive: bool,
    ) -> Result<Self> {
        let plain = [String::from("{}")];
        let templates = if templates.is_empty() {
            &plain[..]
        } else {
            templates
        };
        let fill = |word: &str| -> Vec<String> {
            templates.iter().map(|t| t.replace("{}", word)).collect()
        };
        let mut pool = PromptPool::default();
        if exclusive {
            pool.class_sets.push(ClassSet {
                name: "classes".into(),
                classes: names
                    .iter()
                    .map(|name| ClassWordings {
                        name: name.clone(),
                        texts: fill(name),
                    })
                    .collect(),
            });
        } else {
            pool.claims = names
                .iter()
                .map(|name| ClaimWordings {
                    name: name.clone(),
                    positive: fill(name),
                    negative: fill(&format!("no {name}")),
                })
                .collect();
        }
        let longest = clip.config().text.context;
        let embedded = PoolEmbedding::new(clip, tokenizer, &pool, longest)?;
        let directions = match exclusive {
            true => embedded.classes.into_iter().next().unwrap_or_default(),
            false => embedded.claims,
        };
        Ok(Self {
            directions,
            scale: f64::from(embedded.scale),
            exclusive,
        })
    }

    /// Scaled similarities of one unit embedding, `[classes]`.
    pub fn logits(&self, embedding: &[f32]) -> Vec<f64> {
        self.directions
            .iter()
            .map(|direction| {
                let cosine: f64 = direction
                    .iter()
                    .zip(embedding)
                    .map(|(d, e)| f64::from(*d) * f64::from(*e))
                    .sum();
                self.scale * cosine
            })
            .collect()
    }

    /// Probabilities of every picture, `[pictures][classes]`.
    pub fn probabilities(
        &self,
        clip: &Clip,
        preprocess: &Preprocess,
        pictures: &dyn Pictures,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Vec<f64>>> {
        let total = pictures.len();
        let mut rows = Vec::with_capacity(total);
        for start in (0..total).step_by(BATCH) {
            if stop.is_stopped() {
                return Err(TrainError::Stopped);
            }
            report(Progress::new("asking the pack", start as u64, total as u64));
            let images: Vec<Image8> = (start..(start + BATCH).min(total))
                .map(|i| pictures.picture(i))
                .collect::<Result<_>>()?;
            let references: Vec<&Image8> = images.iter().collect();
            for embedding in embeddings(clip, preprocess, &references)? {
                rows.push(squash(&self.logits(&embedding), self.exclusive));
            }
        }
        Ok(rows)
    }
}
