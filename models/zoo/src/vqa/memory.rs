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
use super::{Question, QuestionForm};
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
    /// Factor on the likeness of a yes-or-no question and one of another form.
    pub other_form: f64,
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
    yes_no: Vec<bool>, // [wordings]
    answer_of: Vec<u32>,
    scores: Tensor, // [cases, answers]
    drawn: Tensor,  // [f + 1], the last is the constant
}

/// What a memory makes of a batch of questions.
pub struct Recalled {
    /// Scores of all answers, about 1 for one that is certain, `[b, answers]`; the gradient reaches the image features.
    pub scores: Tensor,
    /// The same as if every image were the image: what the wording alone recalls, `[b, answers]`.
    pub wording_alone: Tensor,
    /// Likeness of each question with every remembered case's wording, `[b][cases]`.
    pub wordings: Vec<Vec<f32>>,
    /// Likeness of each question's image with every remembered case's, `[b][cases]`.
    pub images: Vec<Vec<f32>>,
    /// How much each image is like the drawings that the head learned from, rather than like remembered images: 0 to 1, `[b]`.
    pub drawn: Vec<f32>,
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
            answer_of: index("answer_of", config.cases, answers)?,
            yes_no: index("yes_no", config.wordings, 2)?
                .into_iter()
                .map(|flag| flag == 1)
                .collect(),
            wordings: Wordings {
                rarity: float("rarity", &[2 * config.buckets])?.to_vec1()?,
                starts,
                buckets: index("buckets", config.terms, 2 * config.buckets)?,
                values: float("values", &[config.terms])?.to_vec1()?,
            },
            scores: float("scores", &[config.cases, answers])?,
            drawn: float("drawn", &[features + 1])?,
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
    /// - returns `[b, answers]`; its gradient reaches `features`
    pub fn logits(&self, features: &Tensor, questions: &[&Question]) -> Result<Tensor> {
        Ok((self.recall(features, questions)?.scores * self.config.weight)?)
    }

    /// Scores of every answer, and what they rest on.
    ///
    /// - `features`: `[b, f]` from [`super::image_features`]
    pub fn recall(&self, features: &Tensor, questions: &[&Question]) -> Result<Recalled> {
        let x = unit_features(features, &self.mean, &self.inverse_std)?; // [b, f]
        let likeness = image_likeness(&x, &self.images, &self.config.sharpness)?; // [b, images]
        let images = likeness.index_select(&self.image_of, 1)?; // [b, cases]
        let wordings: Vec<Vec<f32>> = questions.iter().map(|q| self.wording_likeness(q)).collect();
        let shape = (questions.len(), self.config.cases);
        let wording = Tensor::from_vec(wordings.concat(), shape, &Device::Cpu)?;
        let kernel = ((&images + self.config.everywhere)? * &wording)?; // [b, cases]
        let f = x.dim(1)?;
        let slope = self.drawn.narrow(0, 0, f)?.unsqueeze(1)?; // [f, 1]
        let drawn = x
            .matmul(&slope)?
            .squeeze(1)?
            .broadcast_add(&self.drawn.narrow(0, f, 1)?)?;
        Ok(Recalled {
            drawn: drawn.clamp(0f32, 1f32)?.to_vec1()?,
            scores: kernel.matmul(&self.scores)?,
            wording_alone: wording.matmul(&self.scores)?,
            images: images.to_vec2()?,
            wordings,
        })
    }

    /// Likeness of a question with the wording of every case, `[cases]`.
    fn wording_likeness(&self, question: &Question) -> Vec<f32> {
        let asks_yes_no = question.form == QuestionForm::YesNo;
        let mut likeness = self.wordings.likeness(&question.text);
        for (value, yes_no) in likeness.iter_mut().zip(&self.yes_no) {
            *value *= form_factor(asks_yes_no, *yes_no, self.config.other_form);
        }
        self.wording_of
            .iter()
            .map(|w| likeness[*w as usize])
            .collect()
    }

    /// A text as a vector of terms, weighted as the wordings' are; see [`term_vector`].
    pub fn terms(&self, text: &str) -> Vec<(u32, f32)> {
        term_vector(text, &self.wordings.rarity)
    }

    /// Cosine of a vector of terms with the wording of a case.
    pub fn likeness_of_case(&self, terms: &[(u32, f32)], case: usize) -> f32 {
        sparse_dot(terms, self.wordings.vector(self.wording_of[case] as usize))
    }

    /// The answer to a case, a place in the head's list.
    pub fn answer_of(&self, case: usize) -> usize {
        self.answer_of[case] as usize
    }
}

impl Wordings {
    /// Cosine of a question with every wording.
    fn likeness(&self, question: &str) -> Vec<f32> {
        let mut asked = vec![0f32; self.rarity.len()];
        for (bucket, value) in term_vector(question, &self.rarity) {
            asked[bucket as usize] = value;
        }
        (0..self.starts.len() - 1)
            .map(|w| {
                let terms = self.vector(w);
                terms.map(|(b, v)| asked[b as usize] * v).sum()
            })
            .collect()
    }

    /// The terms of a wording, by bucket.
    fn vector(&self, wording: usize) -> impl Iterator<Item = (u32, f32)> {
        let terms = self.starts[wording] as usize..self.starts[wording + 1] as usize;
        let values = &self.values[terms.clone()];
        self.buckets[terms]
            .iter()
            .copied()
            .zip(values.iter().copied())
    }
}

/// Product of two sparse vectors, both sorted by bucket.
pub fn sparse_dot(a: &[(u32, f32)], b: impl Iterator<Item = (u32, f32)>) -> f32 {
    let mut rest = a;
    let mut sum = 0.0;
    for (bucket, value) in b {
        let skip = rest.partition_point(|(other, _)| *other < bucket);
        rest = &rest[skip..];
        match rest.first() {
            Some((other, own)) if *other == bucket => sum += own * value,
            Some(_) => {}
            None => break,
        }
    }
    sum
}

/// Factor on the likeness of two wordings: 1 if both or neither ask for yes or no.
pub fn form_factor(a_yes_no: bool, b_yes_no: bool, other_form: f64) -> f32 {
    match a_yes_no == b_yes_no {
        true => 1.0,
        false => other_form as f32,
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
