//! Questions and images as numbers, and the batches made of them.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use lucency_zoo::preprocess::{Filter, Geometry, Image8, Preprocess, resize};
use lucency_zoo::vqa::VisualBatch;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::dictionary::Dictionary;
use super::plan::VqaPlan;
use super::records::QaRecord;
use super::vocabulary::AnswerVocabulary;
use crate::data::{Facing, Warp, augment, swap_sides};
use crate::metrics::vqa::AnswerType;
use crate::{Result, TrainError};

/// Side of the grey image that random views are cut from.
const KEPT_SIDE: usize = 160;
/// Side of the MAML network's input.
const MAML_SIDE: usize = 84;

/// Images in every form that a plan wants.
pub struct ImageSet {
    count: usize,
    maml: Option<Vec<Vec<f32>>>,
    ae: Option<(usize, Vec<Vec<f32>>)>,
    clip: Option<Vec<Vec<f32>>>,
    kept: Vec<Image8>,
}

impl ImageSet {
    /// Preprocesses images as the published code does: luminance, squashed to 84×84 and to the autoencoder's side, 0..1.
    ///
    /// - `load`: the image of a place, any size, with its CLIP features where the plan wants them; called on several threads
    ///
    /// Errors with `load`'s first error, or if an image is empty.
    pub fn gather<E: From<TrainError> + Send>(
        count: usize,
        plan: &VqaPlan,
        load: impl Fn(usize) -> Result<(Image8, Option<Vec<f32>>), E> + Sync,
    ) -> Result<Self, E> {
        let forms: Vec<Forms> = (0..count)
            .into_par_iter()
            .map(|i| {
                let (image, clip) = load(i)?;
                Ok(Forms::of(&image, clip, plan)?)
            })
            .collect::<Result<_, E>>()?;
        let mut set = Self {
            count,
            maml: plan.maml.then(Vec::new),
            ae: plan.ae_side.map(|side| (side, Vec::new())),
            clip: plan.clip_dim.map(|_| Vec::new()),
            kept: Vec::new(),
        };
        for forms in forms {
            if let (Some(rows), Some(values)) = (&mut set.maml, forms.maml) {
                rows.push(values);
            }
            if let (Some((_, rows)), Some(values)) = (&mut set.ae, forms.ae) {
                rows.push(values);
            }
            if let (Some(rows), Some(values)) = (&mut set.clip, forms.clip) {
                rows.push(values);
            }
            set.kept.extend(forms.kept);
        }
        Ok(set)
    }

    /// Images.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True without any image.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Some images as the networks take them.
    pub fn batch(&self, images: &[usize]) -> Result<VisualBatch> {
        let pick = |rows: &[Vec<f32>]| -> Vec<f32> {
            images
                .iter()
                .flat_map(|i| rows[*i].iter().copied())
                .collect()
        };
        let n = images.len();
        Ok(VisualBatch {
            maml: match &self.maml {
                Some(rows) => Some(square(pick(rows), n, MAML_SIDE)?),
                None => None,
            },
            ae: match &self.ae {
                Some((side, rows)) => Some(square(pick(rows), n, *side)?),
                None => None,
            },
            clip: self.clip_batch(images)?,
        })
    }

    fn clip_batch(&self, images: &[usize]) -> Result<Option<Tensor>> {
        let Some(rows) = &self.clip else {
            return Ok(None);
        };
        let width = rows.first().map_or(0, Vec::len);
        let flat: Vec<f32> = images
            .iter()
            .flat_map(|i| rows[*i].iter().copied())
            .collect();
        let shape = (images.len(), width);
        Ok(Some(Tensor::from_vec(flat, shape, &Device::Cpu)?))
    }

    /// Random views of some images; both networks see the same view.
    fn views(
        &self,
        images: &[(usize, Facing)],
        plan: &VqaPlan,
        rng: &mut ChaCha8Rng,
    ) -> Result<VisualBatch> {
        let still = crate::data::Augment {
            scale_min: 1.0,
            scale_max: 1.0,
            rotation_deg: 0.0,
            aspect: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            gamma: 0.0,
            noise: 0.0,
        };
        let how = plan.augment.unwrap_or(still);
        let seeds: Vec<u64> = images.iter().map(|_| rng.random()).collect();
        let draw = |side: usize| -> Vec<f32> {
            let views: Vec<Vec<f32>> = images
                .par_iter()
                .zip(&seeds)
                .map(|((image, facing), seed)| {
                    let mut rng = crate::data::rng_for(*seed, 0, 7);
                    let warp = Warp::draw(&how, (KEPT_SIDE, KEPT_SIDE), *facing, &mut rng);
                    augment(&self.kept[*image], side, &how, &warp, &mut rng)
                })
                .collect();
            views.into_iter().flatten().collect()
        };
        let n = images.len();
        let plain: Vec<usize> = images.iter().map(|(i, _)| *i).collect();
        Ok(VisualBatch {
            maml: match self.maml {
                Some(_) => Some(square(draw(MAML_SIDE), n, MAML_SIDE)?),
                None => None,
            },
            ae: match self.ae {
                Some((side, _)) => Some(square(draw(side), n, side)?),
                None => None,
            },
            clip: self.clip_batch(&plain)?,
        })
    }
}

/// One image in the forms that a plan wants.
struct Forms {
    maml: Option<Vec<f32>>,
    ae: Option<Vec<f32>>,
    clip: Option<Vec<f32>>,
    kept: Option<Image8>,
}

impl Forms {
    fn of(image: &Image8, clip: Option<Vec<f32>>, plan: &VqaPlan) -> Result<Self> {
        if clip.as_ref().map(Vec::len) != plan.clip_dim {
            return Err(TrainError::Data(format!(
                "the plan wants {:?} CLIP features of an image, {:?} are given",
                plan.clip_dim,
                clip.as_ref().map(Vec::len)
            )));
        }
        let maml = match plan.maml {
            true => Some(Preprocess::maml84().apply(image)?),
            false => None,
        };
        let ae = match plan.ae_side {
            Some(side) => {
                let mut how = Preprocess::cdae128();
                how.geometry = Geometry::Squash { side };
                Some(how.apply(image)?)
            }
            None => None,
        };
        let kept = plan
            .moves_images()
            .then(|| resize::resize(&image.to_grey(), Filter::Bicubic, KEPT_SIDE, KEPT_SIDE));
        Ok(Self {
            maml,
            ae,
            clip,
            kept,
        })
    }
}

/// `[n, 1, side, side]`.
fn square(values: Vec<f32>, n: usize, side: usize) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, (n, 1, side, side), &Device::Cpu)?)
}

/// A question with its classes.
#[derive(Clone, Debug, PartialEq)]
struct Wording {
    tokens: Vec<u32>,
    target: Vec<(usize, f32)>,
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
}

/// One step's input.
pub struct Batch {
    /// The images.
    pub visual: VisualBatch,
    /// The places of the images in the set.
    pub images: Vec<usize>,
    /// Padded tokens.
    pub tokens: Vec<Vec<u32>>,
    /// Soft scores, `[n, answers]`.
    pub targets: Tensor,
    /// Which questions are closed.
    pub closed: Vec<bool>,
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
        let mut targets = vec![0f32; rows.len() * self.classes];
        for (row, scores) in rows.iter().zip(targets.chunks_mut(self.classes.max(1))) {
            let example = &self.rows[*row];
            let mirrors = plan.mirror > 0.0 && rng.random_bool(plan.mirror);
            let (wording, facing) = match (&example.mirrored, mirrors) {
                (Some(mirrored), true) => (mirrored, Facing::Mirrored),
                _ => (&example.wording, Facing::Same),
            };
            images.push((example.image, facing));
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
        }
        let plain: Vec<usize> = images.iter().map(|(i, _)| *i).collect();
        let visual = match (plan.freeze_visual, plan.moves_images()) {
            (true, _) => VisualBatch {
                maml: None,
                ae: None,
                clip: None,
            },
            (false, true) => self.images.views(&images, plan, rng)?,
            (false, false) => self.images.batch(&plain)?,
        };
        let shape = (rows.len(), self.classes);
        Ok(Batch {
            visual,
            images: plain,
            tokens,
            targets: Tensor::from_vec(targets, shape, &Device::Cpu)?,
            closed: rows
                .iter()
                .map(|r| self.rows[*r].answer_type == AnswerType::Closed)
                .collect(),
        })
    }
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
