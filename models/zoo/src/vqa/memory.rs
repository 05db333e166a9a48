//! What is remembered of questions about known images: kernel ridge regression over pairs of an image and a question.
//!
//! The kernel of two cases is the likeness of their questions times the likeness of their images, so a remembered case counts only
//! where both are alike; an image that is like none of the remembered ones gets next to nothing from the memory.
//! Source: Saunders et al. 1998 (ridge regression in dual variables); the product kernel of two inputs as in Ben-Hur and Noble 2005.

use candle_core::{Device, Tensor};
use lucency_nn::ops::l2_normalise;
use lucency_nn::{Init, Weights};
use serde::{Deserialize, Serialize};

use super::terms::term_vector;
use crate::Result;
use crate::error::ZooError;

/// Sizes and constants of a memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryConfig {
    /// Remembered cases: pairs of an image and a question.
    pub cases: usize,
    /// Their images.
    pub images: usize,
    /// Their wordings.
    pub wordings: usize,
    /// Terms of all wordings.
    pub terms: usize,
    /// Buckets of word n-grams, and as many of pieces of words.
    pub buckets: usize,
    /// Images are alike by the mean of `exp(s · (cosine − 1))` over these.
    pub sharpness: Vec<f64>,
    /// Added to the likeness of any two images: what a question counts whatever the image.
    pub everywhere: f64,
    /// Factor from a remembered score, about 1 for an answer that is certain, to a logit.
    pub weight: f64,
    /// Factor on the head's own log-probabilities before the two are added.
    pub trust: f64,
}

/// A memory that can be asked.
pub struct Memory {
    config: MemoryConfig,
    mean: Tensor,
    inverse_std: Tensor,
    images: Tensor,   // [images, f], unit length
    image_of: Tensor, // [cases]
    wordings: Wordings,
    wording_of: Vec<u32>,
    scores: Tensor, // [cases, answers]
}

/// Sparse vectors of all wordings.
struct Wordings {
    rarity: Vec<f32>,
    starts: Vec<u32>, // [wordings + 1]
    buckets: Vec<u32>,
    values: Vec<f32>,
}

impl Memory {
    /// Loads a memory for `answers` answers over `features` image features.
    ///
    /// Errors name the tensor that is missing or misshapen, or an index that leads nowhere.
    pub fn load(
        weights: &Weights,
        config: &MemoryConfig,
        features: usize,
        answers: usize,
    ) -> Result<Self> {
        let float = |name: &str, shape: &[usize]| weights.get(shape, name, Init::Zeros);
        let index = |name: &str, n: usize, below: usize| -> Result<Vec<u32>> {
            let ids: Vec<u32> = weights.get(n, name, Init::Zeros)?.to_vec1()?;
            match ids.iter().find(|id| **id as usize >= below) {
                Some(id) => Err(ZooError::Config(format!(
                    "{} holds {id}, beyond the last of {below}",
                    weights.key(name)
                ))),
                None => Ok(ids),
            }
        };
        let starts = index("starts", config.wordings + 1, config.terms + 1)?;
        if starts.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err(ZooError::Config(format!(
                "{} does not rise",
                weights.key("starts")
            )));
        }
        let image_of = index("image_of", config.cases, config.images)?;
        Ok(Self {
            mean: float("mean", &[features])?,
            inverse_std: float("inverse_std", &[features])?,
            images: float("images", &[config.images, features])?,
            image_of: Tensor::from_vec(image_of, config.cases, &Device::Cpu)?,
            wording_of: index("wording_of", config.cases, config.wordings)?,
            wordings: Wordings {
                rarity: float("rarity", &[2 * config.buckets])?.to_vec1()?,
                starts,
                buckets: index("buckets", config.terms, 2 * config.buckets)?,
                values: float("values", &[config.terms])?.to_vec1()?,
            },
            scores: float("scores", &[config.cases, answers])?,
            config: config.clone(),
        })
    }

    /// Sizes and constants.
    pub fn config(&self) -> &MemoryConfig {
        &self.config
    }

    /// What the memory adds to the logits of every answer.
    ///
    /// - `features`: `[b, f]` from [`super::image_features`]
    /// - `questions`: `b` texts
    /// - returns `[b, answers]`; its gradient reaches `features`
    pub fn logits(&self, features: &Tensor, questions: &[&str]) -> Result<Tensor> {
        let x = unit_features(features, &self.mean, &self.inverse_std)?; // [b, f]
        let likeness = image_likeness(&x, &self.images, &self.config.sharpness)?; // [b, images]
        let likeness = (likeness + self.config.everywhere)?.index_select(&self.image_of, 1)?;
        let mut wording = Vec::with_capacity(questions.len() * self.config.cases);
        for question in questions {
            let likeness = self.wordings.likeness(question);
            wording.extend(self.wording_of.iter().map(|w| likeness[*w as usize]));
        }
        let wording =
            Tensor::from_vec(wording, (questions.len(), self.config.cases), &Device::Cpu)?;
        let kernel = (likeness * wording)?; // [b, cases]
        Ok((kernel.matmul(&self.scores)? * self.config.weight)?)
    }
}

impl Wordings {
    /// Cosine of a question with every wording.
    fn likeness(&self, question: &str) -> Vec<f32> {
        let mut asked = vec![0f32; self.rarity.len()];
        for (bucket, value) in term_vector(question, &self.rarity) {
            asked[bucket as usize] = value;
        }
        self.starts
            .windows(2)
            .map(|pair| {
                let terms = pair[0] as usize..pair[1] as usize;
                self.buckets[terms.clone()]
                    .iter()
                    .zip(&self.values[terms])
                    .map(|(bucket, value)| asked[*bucket as usize] * value)
                    .sum()
            })
            .collect()
    }
}

/// Standardised features of length 1.
///
/// - `features`: `[b, f]`; `mean`, `inverse_std`: `[f]`
pub fn unit_features(features: &Tensor, mean: &Tensor, inverse_std: &Tensor) -> Result<Tensor> {
    let standard = features
        .broadcast_sub(mean)?
        .broadcast_mul(inverse_std)?
        .clamp(-6f32, 6f32)?;
    Ok(l2_normalise(&standard)?)
}

/// Mean over `sharpness` of `exp(s · (cosine − 1))`: 1 for the same image, towards 0 for a different one.
///
/// - `x`: `[b, f]`, `images`: `[m, f]`, both of unit length; returns `[b, m]`
pub fn image_likeness(x: &Tensor, images: &Tensor, sharpness: &[f64]) -> Result<Tensor> {
    let distance = (x.matmul(&images.t()?)? - 1.0)?; // [b, m]
    let mut sum = distance.zeros_like()?;
    for s in sharpness {
        sum = (sum + (&distance * *s)?.exp()?)?;
    }
    Ok((sum * (1.0 / sharpness.len().max(1) as f64))?)
}
