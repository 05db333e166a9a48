//! Questions with cached features.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use lucency_zoo::vqa::Question;

use crate::Result;
use crate::metrics::vqa::AnswerType;

/// One question about one image.
#[derive(Clone, Debug)]
pub struct Row {
    /// The image's row in [`AnswerData::features`].
    pub image: usize,
    /// The question, ready for the head.
    pub question: Question,
    /// The expected answer's place in the head's list; `None` if the head does not know it.
    pub answer: Option<usize>,
    /// Open or closed.
    pub answer_type: AnswerType,
    /// How much it counts in the loss.
    pub weight: f32,
}

/// Rows that training may see in place of a row.
#[derive(Clone, Debug, Default)]
pub struct Variants {
    /// The same question about other views of the image.
    pub views: Vec<usize>,
    /// The image's mirror image, with left and right swapped in question and answer.
    pub mirrored: Option<usize>,
}

/// Images as features and questions about them.
#[derive(Clone, Debug, Default)]
pub struct AnswerData {
    /// Pooled features of each image, not standardised, `[features]`.
    pub features: Vec<Vec<f32>>,
    /// The questions.
    pub rows: Vec<Row>,
    /// What some rows may be replaced by in training, by row.
    pub variants: BTreeMap<usize, Variants>,
}

impl AnswerData {
    /// The features of the images of some questions, `[n, features]`.
    pub fn images_of(&self, rows: &[usize]) -> Result<Tensor> {
        let width = self.features.first().map_or(0, Vec::len);
        let mut flat = Vec::with_capacity(rows.len() * width);
        for row in rows {
            flat.extend_from_slice(&self.features[self.rows[*row].image]);
        }
        Ok(Tensor::from_vec(flat, (rows.len(), width), &Device::Cpu)?)
    }

    /// The questions of some rows.
    pub fn questions_of(&self, rows: &[usize]) -> Vec<&Question> {
        rows.iter().map(|row| &self.rows[*row].question).collect()
    }
}
