//! Judging a head on questions, with controls that take the image away.

use candle_core::Tensor;
use lucency_zoo::vqa::AnswerHead;

use super::AnswerData;
use crate::Result;
use crate::calibration::softmax;
use crate::metrics::vqa::ScoredAnswer;

/// What happens to the image before a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The question's own image.
    Image,
    /// The mean image: what the question alone gives.
    NoImage,
    /// The image of another question.
    Shuffled,
}

/// Answers with what calibration needs.
pub struct Judged {
    /// Log-probabilities before calibration, `[n][answers]`.
    pub logits: Vec<Vec<f64>>,
    /// Whether each top answer is the expected one.
    pub right: Vec<bool>,
    answers: Vec<ScoredAnswer>,
    calibrated: bool,
}

impl Judged {
    /// The answers at a temperature and a threshold; a head that is calibrated by itself takes no temperature.
    pub fn at(&self, temperature: f64, threshold: f64) -> Vec<ScoredAnswer> {
        self.answers
            .iter()
            .zip(&self.logits)
            .map(|(answer, row)| {
                let top = match self.calibrated {
                    true => answer.confidence,
                    false => softmax(row, temperature).into_iter().fold(0.0, f64::max),
                };
                ScoredAnswer {
                    confidence: top,
                    abstained: top < threshold,
                    ..*answer
                }
            })
            .collect()
    }
}

impl Judged {
    /// Adds what was judged elsewhere.
    pub fn extend(&mut self, other: Self) {
        self.logits.extend(other.logits);
        self.right.extend(other.right);
        self.answers.extend(other.answers);
    }
}

/// Asks every question.
///
/// - `rows`: rows of `data` to ask
pub fn judge(
    head: &AnswerHead,
    data: &AnswerData,
    rows: &[usize],
    control: Control,
) -> Result<Judged> {
    let mut judged = Judged {
        logits: Vec::new(),
        right: Vec::new(),
        answers: Vec::new(),
        calibrated: head.is_calibrated(),
    };
    // A fixed rotation by about a third gives every question the image of another patient.
    let shift = rows.len() / 3 + 1;
    let strangers: Vec<usize> = (0..rows.len())
        .map(|i| rows[(i + shift) % rows.len()])
        .collect();
    for (chunk, others) in rows.chunks(128).zip(strangers.chunks(128)) {
        let features = match control {
            Control::Image => data.images_of(chunk)?,
            Control::Shuffled => data.images_of(others)?,
            Control::NoImage => mean_image(head, chunk.len())?,
        };
        let logits: Vec<Vec<f32>> = head
            .forward(&features, &data.questions_of(chunk))?
            .to_vec2()?;
        for (row, logits) in chunk.iter().zip(logits) {
            let row = &data.rows[*row];
            let logits: Vec<f64> = logits.into_iter().map(f64::from).collect();
            let best = crate::metrics::argmax(&logits);
            judged.answers.push(ScoredAnswer {
                answer_type: row.answer_type,
                right: row.answer == Some(best),
                confidence: logits[best].exp(),
                abstained: false,
            });
            judged.right.push(row.answer == Some(best));
            judged.logits.push(logits);
        }
    }
    Ok(judged)
}

/// Features that standardise to zero.
fn mean_image(head: &AnswerHead, n: usize) -> Result<Tensor> {
    let mean = head.mean_features();
    Ok(mean
        .unsqueeze(0)?
        .broadcast_as((n, mean.dim(0)?))?
        .contiguous()?)
}
