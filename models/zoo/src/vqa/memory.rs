//! The memory of training questions.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use lucency_nn::{Init, Weights};

use super::{MemoryConfig, Question};
use crate::Result;

/// Training questions with their images and answers.
///
/// Keys in the weights: `images` `[images, f]` unit-length standardised image features; `row_image`, `row_answer` `[rows]`;
/// `row_grams` `[rows, grams]`, padded with the bucket count; `idf` `[buckets]`; `scales` `[4]`: the weight of image similarity, of
/// question similarity, of their product, and the null slot's logit.
#[derive(Clone, Debug)]
pub struct Memory {
    images: Tensor,
    row_image: Tensor,
    answers_of_rows: Tensor, // [rows, answers], one-hot
    row_grams: Vec<Vec<u32>>,
    row_norms: Vec<f32>,
    postings: HashMap<u32, Vec<u32>>, // rows of each gram
    idf: Vec<f32>,
    scales: Tensor,
}

impl Memory {
    /// Loads a memory. Errors name what is missing or misshapen.
    pub fn load(
        weights: &Weights,
        config: &MemoryConfig,
        features: usize,
        buckets: usize,
        answers: usize,
    ) -> Result<Self> {
        let images = weights.get((config.images, features), "images", Init::Zeros)?;
        let row_image = weights.get(config.rows, "row_image", Init::Zeros)?;
        let row_answer = weights.get(config.rows, "row_answer", Init::Zeros)?;
        let row_grams = weights.get((config.rows, config.grams), "row_grams", Init::Zeros)?;
        let idf: Vec<f32> = weights.get(buckets, "idf", Init::Ones)?.to_vec1()?;
        let scales = weights.get(4, "scales", Init::Zeros)?;
        let as_u32 = |t: &Tensor| t.to_dtype(candle_core::DType::U32);
        let row_image = as_u32(&row_image)?;
        let row_answer: Vec<u32> = as_u32(&row_answer)?.to_vec1()?;
        let mut one_hot = vec![0f32; config.rows * answers];
        for (row, answer) in row_answer.iter().enumerate() {
            if let Some(cell) = one_hot.get_mut(row * answers + *answer as usize) {
                *cell = 1.0;
            }
        }
        let row_grams: Vec<Vec<u32>> = as_u32(&row_grams)?
            .to_vec2::<u32>()?
            .into_iter()
            .map(|row| {
                row.into_iter()
                    .filter(|g| (*g as usize) < buckets)
                    .collect()
            })
            .collect();
        let mut postings: HashMap<u32, Vec<u32>> = HashMap::new();
        for (row, grams) in row_grams.iter().enumerate() {
            for gram in grams {
                postings.entry(*gram).or_default().push(row as u32);
            }
        }
        let row_norms = row_grams.iter().map(|g| norm(g, &idf)).collect();
        Ok(Self {
            images,
            row_image,
            answers_of_rows: Tensor::from_vec(one_hot, (config.rows, answers), &Device::Cpu)?,
            row_grams,
            row_norms,
            postings,
            idf,
            scales,
        })
    }

    /// Cosine of the question's weighted n-grams with those of every row.
    pub fn question_similarity(&self, question: &Question) -> Vec<f32> {
        let own = norm(&question.grams, &self.idf);
        let mut dots = vec![0f32; self.row_grams.len()];
        for gram in &question.grams {
            let weight = self.idf[*gram as usize].powi(2);
            for row in self.postings.get(gram).into_iter().flatten() {
                dots[*row as usize] += weight;
            }
        }
        dots.iter()
            .zip(&self.row_norms)
            .map(|(dot, norm)| dot / (norm * own))
            .collect()
    }

    /// How much the memory says for every answer, beside the null slot.
    ///
    /// - `images`: `[b, f]`, unit-length standardised features
    /// - `excluded`: for each question a row that must not be seen, such as the question itself in training
    /// - returns (`[b, answers]`, `[b, 1]`): shares that sum to one together; the second is the null slot's
    pub fn recall(
        &self,
        images: &Tensor,
        questions: &[&Question],
        excluded: Option<&[usize]>,
    ) -> Result<(Tensor, Tensor)> {
        let rows = self.row_grams.len();
        let mut similar = Vec::with_capacity(questions.len() * rows);
        let mut hidden = vec![0f32; questions.len() * rows];
        for (i, question) in questions.iter().enumerate() {
            similar.extend(self.question_similarity(question));
            if let Some(row) = excluded.and_then(|e| e.get(i)).filter(|r| **r < rows) {
                hidden[i * rows + row] = -1e4;
            }
        }
        let shape = (questions.len(), rows);
        let by_question = Tensor::from_vec(similar, shape, &Device::Cpu)?; // [b, rows]
        let hidden = Tensor::from_vec(hidden, shape, &Device::Cpu)?;
        let by_image = images
            .matmul(&self.images.t()?)? // [b, images]
            .index_select(&self.row_image, 1)?; // [b, rows]
        let scale = |i: usize| self.scales.narrow(0, i, 1);
        let product = (&by_image * &by_question)?;
        let logits =
            (by_image.broadcast_mul(&scale(0)?)? + by_question.broadcast_mul(&scale(1)?)?)?;
        let logits = ((logits + product.broadcast_mul(&scale(2)?)?)? + hidden)?; // [b, rows]
        let null = scale(3)?.broadcast_as((questions.len(), 1))?; // [b, 1]
        let shares =
            lucency_nn::ops::softmax_last(&Tensor::cat(&[logits, null.contiguous()?], 1)?)?;
        let recalled = shares
            .narrow(1, 0, rows)?
            .contiguous()?
            .matmul(&self.answers_of_rows)?; // [b, answers]
        Ok((recalled, shares.narrow(1, rows, 1)?))
    }
}

/// The length of a question's weighted n-gram vector.
fn norm(grams: &[u32], idf: &[f32]) -> f32 {
    let sum: f32 = grams.iter().map(|g| idf[*g as usize].powi(2)).sum();
    sum.sqrt().max(1e-6)
}
