//! Who answers an evaluation's questions: a pack, or the folder of a training run.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;
use lucency_train::vqa::TrainedVqa;

use super::ImageEncoder;
use crate::assistant::Assistant;
use crate::error::{AssistantError, Result};
use crate::picture::{self, Picture};

/// The answer to one question of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// The answer; empty if there is none.
    pub answer: String,
    /// Calibrated probability.
    pub confidence: f64,
    /// Whether it was declined to answer.
    pub abstained: bool,
    /// Whether a blank image gets the same answer with about the same confidence.
    pub image_made_no_difference: bool,
}

impl Given {
    /// A question that was refused.
    fn refused() -> Self {
        Self {
            answer: String::new(),
            confidence: 0.0,
            abstained: true,
            image_made_no_difference: true,
        }
    }
}

/// What can be asked.
pub trait Answerer {
    /// Answers a question about a picture; a question that cannot be asked is an abstention.
    fn answer(&self, picture: &Picture, question: &str) -> Result<Given>;
}

impl Answerer for Assistant {
    fn answer(&self, picture: &Picture, question: &str) -> Result<Given> {
        let decision = match self.decide(picture, question) {
            Err(AssistantError::Question(_)) => return Ok(Given::refused()),
            decision => decision?,
        };
        Ok(Given {
            answer: decision.best().answer.clone(),
            confidence: decision.best().confidence,
            abstained: decision.abstained,
            image_made_no_difference: decision.image_made_no_difference,
        })
    }
}

/// Confidence that a blank image may lack before the image counts as having made a difference.
const BLANK_MARGIN: f64 = 0.1;

/// A training run's folder that answers.
pub struct RunAnswerer {
    trained: TrainedVqa,
    encoder: Option<ImageEncoder>,
    features: Mutex<HashMap<String, Arc<Tensor>>>,
}

impl RunAnswerer {
    /// Opens a run of `lucency train vqa`, with the image tower of `encoder` if it was trained with CLIP features.
    ///
    /// Errors if the folder is no finished run, or if a tower is wanted and none or another one is named.
    pub fn open(run: &Path, encoder: Option<&str>) -> Result<Self> {
        let trained = TrainedVqa::open(run)?;
        let encoder = match (trained.plan().clip_dim, encoder) {
            (None, _) => None,
            (Some(dim), Some(pack)) => {
                let encoder = ImageEncoder::open(pack, trained.plan().conduct)?;
                if encoder.dim() != dim {
                    return Err(AssistantError::Data(format!(
                        "the run was trained with {dim} CLIP features and the pack {pack} gives {}",
                        encoder.dim()
                    )));
                }
                Some(encoder)
            }
            (Some(_), None) => {
                return Err(AssistantError::Data(
                    "the run was trained with CLIP features; name the pack with --encoder".into(),
                ));
            }
        };
        Ok(Self {
            trained,
            encoder,
            features: Mutex::default(),
        })
    }

    /// The same, asked about the mean of so many small views of an image, itself among them.
    pub fn with_views(mut self, views: Option<u64>) -> Self {
        if let Some(views) = views {
            self.trained = self.trained.with_asked_views(views);
        }
        self
    }

    fn features(&self, picture: &Picture) -> Result<Arc<Tensor>> {
        let lock = || self.features.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = lock().get(&picture.pixel_hash) {
            return Ok(found.clone());
        }
        let clip = match &self.encoder {
            Some(encoder) => Some(encoder.features(&picture.image)?),
            None => None,
        };
        let made = Arc::new(self.trained.features(&picture.image, clip)?);
        lock().insert(picture.pixel_hash.clone(), made.clone());
        Ok(made)
    }
}

impl Answerer for RunAnswerer {
    fn answer(&self, picture: &Picture, question: &str) -> Result<Given> {
        let own = self.trained.answer(&*self.features(picture)?, question)?;
        let blank = self
            .trained
            .answer(&*self.features(&picture::blank())?, question)?;
        let (Some(best), Some(without)) = (own.ranked.first(), blank.ranked.first()) else {
            return Ok(Given::refused());
        };
        Ok(Given {
            answer: best.0.clone(),
            confidence: best.1,
            abstained: own.abstained,
            image_made_no_difference: best.0 == without.0 && best.1 - without.1 <= BLANK_MARGIN,
        })
    }
}
