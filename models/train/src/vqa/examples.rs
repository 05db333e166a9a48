//! Questions and images as numbers, and the batches made of them.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use lucency_zoo::vqa::{QuestionForm, VisualBatch};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::dictionary::Dictionary;
use super::frozen::Shelf;
use super::image_set::ImageSet;
use super::model::OTHER_BRANCH;
use super::plan::VqaPlan;
use super::records::QaRecord;
use super::vocabulary::AnswerVocabulary;
use crate::Result;
use crate::data::{Augment, Facing, swap_sides};
use crate::metrics::vqa::AnswerType;

/// A question with its classes.
#[derive(Clone, Debug, PartialEq)]
struct Wording {
    tokens: Vec<u32>,
    target: Vec<(usize, f32)>,
    form: QuestionForm,
}

/// One question about one image.
struct Example {
    image: usize,
    answer_type: AnswerType,
    wording: Wording,
    /// With left and right swapped; none if the swapped answer is not in the list.
    mirrored: Option<Wording>,
}

/// Questions and images, ready for training.
pub struct Examples {
    rows: Vec<Example>,
    /// The images.
    pub images: ImageSet,
    classes: usize,
    unknown: Option<u32>,
    single: Vec<bool>,
    /// Which classes are yes and no, where the question's form rules answers out.
    yes_no: Option<Vec<bool>>,
}

/// One step's input.
pub struct Batch {
    /// The images.
    pub visual: VisualBatch,
    /// The places of the images in the set; with frozen image networks those of their views' features.
    pub images: Vec<usize>,
    /// Padded tokens.
    pub tokens: Vec<Vec<u32>>,
    /// Soft scores, `[n, answers]`.
    pub targets: Tensor,
    /// Which questions are closed.
    pub closed: Vec<bool>,
    /// Added to the logits where the question's form rules answers out, `[n, answers]`: 0, or far below any logit.
    pub gate: Option<Tensor>,
}

impl Examples {
    /// Numbers for records.
    ///
    /// - `image_of`: each record's place in `images`
    /// - `learned`: the records whose words the dictionary holds
    pub fn of(
        records: &[QaRecord],
        image_of: &[usize],
        images: ImageSet,
        dictionary: &Dictionary,
        vocabulary: &AnswerVocabulary,
        plan: &VqaPlan,
        learned: &[usize],
    ) -> Self {
        let mut known: HashMap<(String, AnswerType), Vec<(usize, f32)>> = HashMap::new();
        let mut wording = |record: &QaRecord| Wording {
            tokens: dictionary.tokens(&record.question, plan.question_length),
            target: known
                .entry((record.answers.join("\n"), record.answer_type))
                .or_insert_with(|| vocabulary.target(record))
                .clone(),
            form: QuestionForm::of(&record.question),
        };
        let rows = records
            .iter()
            .zip(image_of)
            .map(|(record, image)| {
                let own = wording(record);
                let swapped = QaRecord {
                    question: swap_sides(&record.question),
                    answers: record.answers.iter().map(|a| swap_sides(a)).collect(),
                    ..record.clone()
                };
                let mirrored = Some(wording(&swapped))
                    .filter(|w| w.target.is_empty() == own.target.is_empty());
                Example {
                    image: *image,
                    answer_type: record.answer_type,
                    wording: own,
                    mirrored,
                }
            })
            .collect();
        let asked = learned.iter().map(|i| records[*i].question.as_str());
        Self {
            rows,
            images,
            classes: vocabulary.len(),
            unknown: dictionary.has_own_unknown().then(|| dictionary.unknown()),
            single: dictionary.singletons(asked),
            yes_no: vocabulary.yes_no().filter(|_| plan.gate),
        }
    }

    /// Questions.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True without any question.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The image of a question.
    pub fn image(&self, row: usize) -> usize {
        self.rows[row].image
    }

    /// A question's padded tokens.
    pub fn tokens(&self, row: usize) -> &[u32] {
        &self.rows[row].wording.tokens
    }

    /// Whether a question's form rules a class out.
    pub fn ruled_out(&self, row: usize, class: usize) -> bool {
        rules_out(self.yes_no.as_deref(), self.rows[row].wording.form, class)
    }

    /// Whether a question is open or closed.
    pub fn answer_type(&self, row: usize) -> AnswerType {
        self.rows[row].answer_type
    }

    /// The class with the highest score, `None` if the list lacks the answer.
    pub fn expected(&self, row: usize) -> Option<usize> {
        let target = &self.rows[row].wording.target;
        target
            .iter()
            .fold(None, |best: Option<&(usize, f32)>, t| match best {
                Some(b) if b.1 >= t.1 => Some(b),
                _ => Some(t),
            })
            .map(|t| t.0)
    }

    /// Questions with their images, as a step of training sees them.
    ///
    /// - `rng`: of the step; unused if the plan has no augmentation
    pub fn batch(&self, rows: &[usize], plan: &VqaPlan, rng: &mut ChaCha8Rng) -> Result<Batch> {
        let mut images = Vec::with_capacity(rows.len());
        let mut tokens = Vec::with_capacity(rows.len());
        let shelf = Shelf::of(plan, self.images.len());
        let mut places = Vec::with_capacity(rows.len());
        let mut targets = vec![0f32; rows.len() * self.classes];
        let mut gate = vec![0f32; targets.len()];
        let width = self.classes.max(1);
        let outputs = targets.chunks_mut(width).zip(gate.chunks_mut(width));
        for (row, (scores, gate)) in rows.iter().zip(outputs) {
            let example = &self.rows[*row];
            let mirrors = plan.mirror > 0.0 && rng.random_bool(plan.mirror);
            let (wording, facing) = match (&example.mirrored, mirrors) {
                (Some(mirrored), true) => (mirrored, Facing::Mirrored),
                _ => (&example.wording, Facing::Same),
            };
            images.push((example.image, facing));
            let view = match plan.freeze_visual && shelf.views() > 0 {
                true => rng.random_range(0..=shelf.views()),
                false => 0,
            };
            places.push(shelf.place(example.image, facing, view));
            let mut words = wording.tokens.clone();
            if let (Some(unknown), true) = (self.unknown, plan.word_dropout > 0.0) {
                for word in &mut words {
                    let single = self.single.get(*word as usize) == Some(&true);
                    if single && rng.random_bool(plan.word_dropout) {
                        *word = unknown;
                    }
                }
            }
            tokens.push(words);
            smooth(&wording.target, plan.label_smoothing, scores);
            for (class, (score, gate)) in scores.iter_mut().zip(gate).enumerate() {
                if rules_out(self.yes_no.as_deref(), wording.form, class) {
                    (*score, *gate) = (0.0, OTHER_BRANCH);
                }
            }
        }
        let plain: Vec<usize> = images.iter().map(|(i, _)| *i).collect();
        let visual = match (plan.freeze_visual, plan.moves_images()) {
            (true, _) => VisualBatch {
                maml: None,
                ae: None,
                clip: None,
            },
            (false, true) => {
                let how = plan.augment.unwrap_or_else(Augment::still);
                let seeds: Vec<u64> = images.iter().map(|_| rng.random()).collect();
                self.images.views(&images, &how, &seeds)?
            }
            (false, false) => self.images.batch(&plain)?,
        };
        let shape = (rows.len(), self.classes);
        Ok(Batch {
            visual,
            images: match plan.freeze_visual {
                true => places,
                false => plain,
            },
            gate: match &self.yes_no {
                Some(_) => Some(Tensor::from_vec(gate, shape, &Device::Cpu)?),
                None => None,
            },
            tokens,
            targets: Tensor::from_vec(targets, shape, &Device::Cpu)?,
            closed: rows
                .iter()
                .map(|r| self.rows[*r].answer_type == AnswerType::Closed)
                .collect(),
        })
    }
}

/// Whether a question of a form rules a class out: yes and no belong to yes-or-no questions, and nothing else does.
///
/// - `yes_no`: which classes are yes and no; none rules nothing out
pub(super) fn rules_out(yes_no: Option<&[bool]>, form: QuestionForm, class: usize) -> bool {
    yes_no.is_some_and(|classes| classes[class] != (form == QuestionForm::YesNo))
}

/// Scores with a share taken from each answer and spread over all; a question without a known answer stays zero.
fn smooth(target: &[(usize, f32)], share: f64, scores: &mut [f32]) {
    let share = share as f32;
    let spread: f32 = target.iter().map(|t| t.1).sum::<f32>() * share / scores.len() as f32;
    scores.fill(spread);
    for (class, score) in target {
        scores[*class] += score * (1.0 - share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_the_sum_and_leaves_unknown_answers_alone() {
        let mut scores = [0f32; 4];
        smooth(&[(1, 1.0)], 0.2, &mut scores);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((scores[1] - 0.85).abs() < 1e-6 && (scores[0] - 0.05).abs() < 1e-6);
        smooth(&[], 0.2, &mut scores);
        assert_eq!(scores, [0.0; 4]);
    }
}
