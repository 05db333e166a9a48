//! A trained run, ready to answer.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use lucency_nn::Weights;
use lucency_zoo::preprocess::Image8;
use lucency_zoo::vqa::{QuestionForm, TypeClassifier};

use super::calibrate::Calibration;
use super::dictionary::Dictionary;
use super::examples::rules_out;
use super::fit::{ANSWERS, CALIBRATION, CONFIG, DICTIONARY, TYPES, chosen_weights, read_json};
use super::image_set::ImageSet;
use super::judge::evaluation_dropout;
use super::kind::open_types;
use super::model::{AnswerModel, OTHER_BRANCH};
use super::plan::{Method, VqaPlan};
use super::vocabulary::AnswerVocabulary;
use crate::calibration::softmax;
use crate::{Result, TrainError};

/// Networks, words, answers and calibration of a run's folder.
pub struct TrainedVqa {
    plan: VqaPlan,
    dictionary: Dictionary,
    vocabulary: AnswerVocabulary,
    model: AnswerModel,
    types: Option<TypeClassifier>,
    calibration: Calibration,
}

/// What a run answers to one question.
#[derive(Clone, Debug, PartialEq)]
pub struct RunAnswer {
    /// Answers with calibrated probabilities, most probable first; those of the other branch are left out.
    pub ranked: Vec<(String, f64)>,
    /// Whether the question was taken for a closed one; `None` if the method does not ask.
    pub closed: Option<bool>,
    /// Whether the best answer's probability is below the run's threshold.
    pub abstained: bool,
}

impl TrainedVqa {
    /// Opens a run's folder: its best weights, or the last.
    ///
    /// Errors if a file is missing or does not fit the others.
    pub fn open(run: &Path) -> Result<Self> {
        let plan = VqaPlan::load(&run.join(CONFIG))?;
        let dictionary: Dictionary = read_json(&run.join(DICTIONARY))?;
        let vocabulary: AnswerVocabulary = read_json(&run.join(ANSWERS))?;
        let weights = Weights::open(&chosen_weights(run, &plan)?, &Device::Cpu)?;
        let (words, answers) = (dictionary.words().len(), vocabulary.len());
        let model = AnswerModel::load(&weights, &plan, words, answers, vocabulary.closed)?;
        let types = match plan.method {
            Method::Mevf => None,
            Method::Qcr => Some(open_types(&plan, &dictionary, &run.join(TYPES))?),
        };
        let path = run.join(CALIBRATION);
        let calibration = match path.is_file() {
            true => read_json(&path)?,
            false => Calibration::default(),
        };
        Ok(Self {
            plan,
            dictionary,
            vocabulary,
            model,
            types,
            calibration,
        })
    }

    /// The same, asked about the mean of so many small views of an image, itself among them.
    pub fn with_asked_views(mut self, views: u64) -> Self {
        self.plan.asked_views = views;
        self
    }

    /// The plan of the run.
    pub fn plan(&self) -> &VqaPlan {
        &self.plan
    }

    /// Temperature and threshold.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Image features of a picture, `[1, v]`.
    ///
    /// - `clip`: its CLIP features, where the plan wants them
    ///
    /// Errors if they are missing or of another width.
    pub fn features(&self, image: &Image8, clip: Option<Vec<f32>>) -> Result<Tensor> {
        let load = |_| Ok::<_, TrainError>((image.clone(), clip.clone()));
        let set = ImageSet::gather(1, &self.plan, load)?;
        self.model.encode_set(&set, &[0], self.plan.asked_views)
    }

    /// Answers a question.
    ///
    /// - `features`: `[1, v]`
    pub fn answer(&self, features: &Tensor, question: &str) -> Result<RunAnswer> {
        let tokens = vec![self.dictionary.tokens(question, self.plan.question_length)];
        let closed = match &self.types {
            Some(types) => Some(types.closed(&tokens)?[0]),
            None => None,
        };
        let mut dropout = evaluation_dropout(&self.plan);
        let logits = self.model.logits(
            features,
            &tokens,
            &[closed.unwrap_or(false)],
            self.vocabulary.len(),
            dropout.as_mut(),
        )?;
        let yes_no = self.vocabulary.yes_no().filter(|_| self.plan.gate);
        let form = QuestionForm::of(question);
        let logits: Vec<f64> = logits[0]
            .iter()
            .enumerate()
            .map(
                |(class, v)| match rules_out(yes_no.as_deref(), form, class) {
                    true => f64::from(OTHER_BRANCH),
                    false => f64::from(*v),
                },
            )
            .collect();
        let probabilities = softmax(&logits, self.calibration.temperature);
        let mut ranked: Vec<(String, f64)> = self
            .vocabulary
            .answers
            .iter()
            .zip(probabilities)
            .zip(&logits)
            .filter(|(_, logit)| **logit > f64::from(OTHER_BRANCH))
            .map(|((answer, p), _)| (answer.clone(), p))
            .collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        let best = ranked.first().map_or(0.0, |r| r.1);
        Ok(RunAnswer {
            ranked,
            closed,
            abstained: best < self.calibration.threshold,
        })
    }
}

/// The folders of a run with several seeds, `seed-1`, `seed-2`, ..., in order; the folder itself for a single run.
///
/// Errors if it is neither.
pub fn seed_runs(run: &Path) -> Result<Vec<PathBuf>> {
    if run.join(CONFIG).is_file() {
        return Ok(vec![run.to_path_buf()]);
    }
    let runs: Vec<PathBuf> = (1..)
        .map(|k| run.join(format!("seed-{k}")))
        .take_while(|folder| folder.join(CONFIG).is_file())
        .collect();
    match runs.is_empty() {
        false => Ok(runs),
        true => Err(TrainError::Checkpoint {
            path: run.to_path_buf(),
            reason: "is no run of `lucency train vqa`: it has neither config.toml nor seed-1/config.toml".into(),
        }),
    }
}
