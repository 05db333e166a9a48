//! A pack's question-answering network: MEVF or QCR, trained by `lucency train vqa`.

use candle_core::Tensor;
use lucency_packs::Pack;
use lucency_train::vqa::TrainedVqa;
use lucency_zoo::clip::{Clip, ClipConfig};
use lucency_zoo::preprocess::{Filter, Image8, Preprocess, resize};
use rayon::prelude::*;

use crate::dto::{Alternative, HeatMap, RegionDto};
use crate::error::{AssistantError, Result};
use crate::evaluate::encoder::{clip_features, preprocessing};
use crate::explain::normalised;
use crate::picture::Picture;

/// Rows and columns of patches that are covered for a heat map.
const PATCHES: usize = 8;
/// Longest side of the image whose patches are covered.
const COVERED_SIDE: usize = 256;

/// A network that reads images and questions by itself.
pub(crate) struct QuestionNetwork {
    trained: TrainedVqa,
    clip_input: Option<Preprocess>,
}

impl QuestionNetwork {
    /// The network of a pack, if it has one.
    ///
    /// Errors if a file of it is missing or does not fit the others, or if it was trained with features of another tower.
    pub(crate) fn of(pack: &Pack, towers: &ClipConfig) -> Result<Option<Self>> {
        let Some(folder) = pack.network_dir() else {
            return Ok(None);
        };
        let trained = TrainedVqa::open(&folder)?;
        let plan = trained.plan();
        let dim = towers.embed_dim;
        if plan.clip_dim.is_some_and(|wanted| wanted != dim) {
            return Err(AssistantError::Data(format!(
                "the network of pack {} was trained with features of another image tower; compose the pack again with that tower's pack",
                pack.name()
            )));
        }
        let clip_input = plan
            .clip_dim
            .map(|_| preprocessing(&pack.manifest().preprocessing, plan.conduct));
        Ok(Some(Self {
            trained,
            clip_input,
        }))
    }

    /// Below this confidence the answer is not given.
    pub(crate) fn threshold(&self) -> f64 {
        self.trained.calibration().threshold
    }

    /// Features of an image, batch 1.
    pub(crate) fn features(&self, clip: &Clip, image: &Image8) -> Result<Tensor> {
        let of_tower = match &self.clip_input {
            Some(input) => Some(clip_features(clip, input, image)?),
            None => None,
        };
        Ok(self.trained.features(image, of_tower)?)
    }

    /// Answers with calibrated probabilities, best first.
    pub(crate) fn answer(&self, features: &Tensor, question: &str) -> Result<Vec<Alternative>> {
        let ranked = self.trained.answer(features, question)?.ranked;
        Ok(ranked
            .into_iter()
            .map(|(answer, confidence)| Alternative { answer, confidence })
            .collect())
    }

    /// How much the probability of `answer` falls when a patch of the image is covered with its mean grey.
    ///
    /// Source: Zeiler and Fergus 2014, section 4.2. None if no patch speaks for the answer.
    pub(crate) fn explain(
        &self,
        clip: &Clip,
        picture: &Picture,
        question: &str,
        answer: &str,
    ) -> Result<Option<HeatMap>> {
        let image = &smaller(&picture.image);
        let probability = |image: &Image8| -> Result<f64> {
            let ranked = self.answer(&self.features(clip, image)?, question)?;
            let found = ranked.into_iter().find(|a| a.answer == answer);
            Ok(found.map_or(0.0, |a| a.confidence))
        };
        let whole = probability(image)?;
        let falls: Vec<f32> = (0..PATCHES * PATCHES)
            .into_par_iter()
            .map(|patch| {
                let left = probability(&covered(image, patch / PATCHES, patch % PATCHES))?;
                Ok((whole - left).max(0.0) as f32)
            })
            .collect::<Result<_>>()?;
        let region = RegionDto {
            x: 0.0,
            y: 0.0,
            width: picture.image.width as f64,
            height: picture.image.height as f64,
        };
        Ok(normalised(&falls).map(|values| HeatMap {
            rows: PATCHES,
            columns: PATCHES,
            values,
            region,
        }))
    }
}

/// The image with its longest side at most [`COVERED_SIDE`]: the networks see no more than that.
fn smaller(image: &Image8) -> Image8 {
    let longest = image.width.max(image.height);
    if longest <= COVERED_SIDE {
        return image.clone();
    }
    let side = |n: usize| (n * COVERED_SIDE / longest).max(PATCHES);
    resize::resize(
        image,
        Filter::Bicubic,
        side(image.width),
        side(image.height),
    )
}

/// The image with one patch of a grid in its mean grey.
fn covered(image: &Image8, row: usize, column: usize) -> Image8 {
    let mut out = image.clone();
    let channels = image.channels;
    let n = (image.data.len() / channels.max(1)).max(1);
    let span = |k: usize, length: usize| k * length / PATCHES..(k + 1) * length / PATCHES;
    for c in 0..channels {
        let sum: u64 = image
            .data
            .iter()
            .skip(c)
            .step_by(channels)
            .map(|v| u64::from(*v))
            .sum();
        let mean = (sum / n as u64) as u8;
        for y in span(row, image.height) {
            for x in span(column, image.width) {
                out.data[(y * image.width + x) * channels + c] = mean;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_patch_takes_the_mean_of_its_channel_and_the_rest_stays() {
        let data: Vec<u8> = (0..16 * 24)
            .map(|i| if i % 2 == 0 { 0 } else { 100 })
            .collect();
        let image = Image8 {
            width: 24,
            height: 16,
            channels: 1,
            data,
        };
        let out = covered(&image, 1, 7);
        let changed: Vec<usize> = (0..out.data.len())
            .filter(|i| out.data[*i] != image.data[*i])
            .collect();
        assert_eq!(
            changed.len(),
            2 * 3,
            "a patch of two rows and three columns"
        );
        assert!(
            changed
                .iter()
                .all(|i| out.data[*i] == 50 && i / 24 / 2 == 1 && i % 24 >= 21)
        );
    }
}
