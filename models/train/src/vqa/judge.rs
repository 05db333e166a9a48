//! Judging a model on questions.

use std::collections::BTreeSet;

use candle_core::{Device, Tensor};
use lucency_nn::Dropout;

use super::examples::Examples;
use super::model::{AnswerModel, OTHER_BRANCH};
use super::plan::{Conduct, Method, VqaPlan};
use crate::Result;
use crate::calibration::softmax;
use crate::metrics::argmax;
use crate::metrics::vqa::{AnswerType, ScoredAnswer, VqaScore, score};

/// Questions a batch.
const CHUNK: usize = 64;

/// Which branch answers each question of a set; empty for a model without branches.
#[derive(Clone, Debug, Default)]
pub struct QuestionTypes(pub Vec<bool>);

/// Logits and what is expected.
pub struct Judged {
    /// `[n][answers]`.
    pub logits: Vec<Vec<f64>>,
    /// The expected class, `None` if the list lacks it.
    pub expected: Vec<Option<usize>>,
    /// Open or closed, by the file.
    pub types: Vec<AnswerType>,
}

impl Judged {
    /// Whether each top answer is the expected one.
    pub fn right(&self) -> Vec<bool> {
        self.logits
            .iter()
            .zip(&self.expected)
            .map(|(row, expected)| *expected == Some(argmax(row)))
            .collect()
    }

    /// Probabilities of the top answers.
    pub fn confidences(&self, temperature: f64) -> Vec<f64> {
        self.logits
            .iter()
            .map(|row| softmax(row, temperature).into_iter().fold(0.0, f64::max))
            .collect()
    }

    /// Rates before calibration.
    ///
    /// Errors if there is no question.
    pub fn score(&self) -> Result<VqaScore> {
        let answers: Vec<ScoredAnswer> = self
            .right()
            .into_iter()
            .zip(self.confidences(1.0))
            .zip(&self.types)
            .map(|((right, confidence), answer_type)| ScoredAnswer {
                answer_type: *answer_type,
                right,
                confidence,
                abstained: false,
            })
            .collect();
        score(&answers)
    }
}

/// The dropout that a published evaluation does not switch off; none for a right one, and none in MEVF.
pub fn evaluation_dropout(plan: &VqaPlan) -> Option<Dropout> {
    (plan.method == Method::Qcr && plan.conduct == Conduct::AsPublished)
        .then(|| Dropout::new(plan.seed))
}

/// Asks a model some rows of a set.
///
/// - `features`: image features of places of the set, `[n, v]`; called once, with every image that is needed
pub fn judge(
    model: &AnswerModel,
    features: &dyn Fn(&[usize]) -> Result<Tensor>,
    plan: &VqaPlan,
    examples: &Examples,
    rows: &[usize],
    types: &QuestionTypes,
    answers: usize,
) -> Result<Judged> {
    let needed: BTreeSet<usize> = rows.iter().map(|r| examples.image(*r)).collect();
    let needed: Vec<usize> = needed.into_iter().collect();
    let features = features(&needed)?.detach(); // [needed, v]
    let place = |row: &usize| needed.binary_search(&examples.image(*row)).unwrap_or(0) as u32;
    let mut dropout = evaluation_dropout(plan);
    let mut judged = Judged {
        logits: Vec::with_capacity(rows.len()),
        expected: Vec::with_capacity(rows.len()),
        types: Vec::with_capacity(rows.len()),
    };
    for chunk in rows.chunks(CHUNK) {
        let images: Vec<u32> = chunk.iter().map(place).collect();
        let index = Tensor::from_vec(images, chunk.len(), &Device::Cpu)?;
        let tokens: Vec<Vec<u32>> = chunk.iter().map(|r| examples.tokens(*r).to_vec()).collect();
        let closed: Vec<bool> = chunk
            .iter()
            .map(|r| types.0.get(*r).copied().unwrap_or(false))
            .collect();
        let logits = model.logits(
            &features.index_select(&index, 0)?,
            &tokens,
            &closed,
            answers,
            dropout.as_mut(),
        )?;
        for (row, logits) in chunk.iter().zip(logits) {
            let logits = logits.into_iter().enumerate().map(|(class, logit)| {
                f64::from(match examples.ruled_out(*row, class) {
                    true => OTHER_BRANCH,
                    false => logit,
                })
            });
            judged.logits.push(logits.collect());
            judged.expected.push(examples.expected(*row));
            judged.types.push(examples.answer_type(*row));
        }
    }
    Ok(judged)
}
