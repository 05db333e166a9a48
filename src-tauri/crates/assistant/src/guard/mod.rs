//! Reasons not to answer that the confidence alone does not show: a question that cannot be understood, or an image that the
//! model cannot know.
//!
//! A question without words, or in another script, is an error ([`question::checked`]); everything softer is a [`Caution`]
//! and makes the assistant abstain.

mod image;
pub(crate) mod question;

use crate::assistant::Assistant;
use crate::dto::{Caution, CautionReason};
use crate::error::Result;
use crate::kind::QuestionKind;
use crate::picture::Picture;
use crate::region::Region;

/// Mean square of the answer head's standardised features from which an image counts as unlike the training images, whose
/// mean square is 1.
///
/// Measured with the demo pack (`lucency eval guard`; docs/vqa.md): none of VQA-RAD's 315 training images lies above it, none of
/// 169 phantom films and slices of fresh seeds, 3 % of 272 chest radiographs from other hospitals, 23 % of 180 MedNIST images (64 × 64
/// pixels); together with the checks of `image.rs`, all of 18 photographs and drawings in colour and 47 % of 32 in grey are refused.
const UNLIKE: f64 = 3.0;

/// The same from which an image must at least make a difference to the answer: nine in ten of VQA-RAD's images lie below it.
const RATHER_UNLIKE: f64 = 1.95;

impl Assistant {
    /// Every reason not to answer this question about this picture; empty if there is none.
    ///
    /// - `image_made_no_difference`: whether a blank image gets the same answer
    pub(crate) fn cautions(
        &self,
        picture: &Picture,
        question: &str,
        image_made_no_difference: bool,
    ) -> Result<Vec<Caution>> {
        let mut cautions = question::doubts(question, self.tokenizer()?);
        cautions.extend(self.doubt_about_image(picture)?);
        if cautions.is_empty() && image_made_no_difference {
            cautions.extend(self.doubt_about_habit(picture)?);
        }
        // What an image that is no radiograph seems to show means nothing.
        if cautions.iter().all(|c| !c.reason.is_about_image()) {
            cautions.extend(self.other_region(picture, question)?);
        }
        Ok(cautions)
    }

    /// Why a picture is not to be answered from, if it is not.
    pub(crate) fn doubt_about_image(&self, picture: &Picture) -> Result<Option<Caution>> {
        if let Some(caution) = image::doubt(picture) {
            return Ok(Some(caution));
        }
        let far = self.unlikeness(picture)?.filter(|&d| d > UNLIKE);
        Ok(far.map(|_| Caution {
            reason: CautionReason::UnlikeTraining,
            message: "This image is unlike those that the model learned from, so its answer cannot be trusted.".into(),
        }))
    }

    /// Why an answer that owes nothing to the picture is not to be given, if it is not: the picture is rather unlike those that the habit
    /// comes from.
    fn doubt_about_habit(&self, picture: &Picture) -> Result<Option<Caution>> {
        let far = self.unlikeness(picture)?.filter(|&d| d > RATHER_UNLIKE);
        Ok(far.map(|_| Caution {
            reason: CautionReason::UnlikeTraining,
            message: "The answer would be the same without this image, which is less like those that the model learned from than most.".into(),
        }))
    }

    /// How far the picture lies from the images that the answer head was trained on: 1 is their mean; none without a head.
    pub(crate) fn unlikeness(&self, picture: &Picture) -> Result<Option<f64>> {
        let Some(features) = self.features(picture)?.answer_features else {
            return Ok(None);
        };
        let standard = self.head()?.standardise(&features)?; // [1, f]
        let square = standard.sqr()?.mean_all()?.to_scalar::<f32>()?;
        Ok(Some(f64::from(square)))
    }

    fn other_region(&self, picture: &Picture, question: &str) -> Result<Option<Caution>> {
        let asked = Region::named_in(question);
        // "Is this the brain?" is a fair question about any image.
        if asked.is_empty() || QuestionKind::of(question) == QuestionKind::Organ {
            return Ok(None);
        }
        let Some(shown) = self.region_of(picture)? else {
            return Ok(None);
        };
        if asked.iter().any(|region| region.borders_on(shown.region)) {
            return Ok(None);
        }
        let names: Vec<&str> = asked.iter().map(|region| region.name()).collect();
        let names = names.join(" and the ");
        let seen = match shown.probability {
            None => format!("the file says that it shows the {}", shown.region.name()),
            Some(p) => format!(
                "the image looks like one of the {} ({:.0} %)",
                shown.region.name(),
                p * 100.0
            ),
        };
        Ok(Some(Caution {
            reason: CautionReason::OtherRegion,
            message: format!("The question is about the {names}, but {seen}."),
        }))
    }
}

impl CautionReason {
    fn is_about_image(self) -> bool {
        matches!(self, Self::NotARadiograph | Self::UnlikeTraining)
    }
}
