//! Linear heads on frozen towers, fitted in closed form: what the texture of an image says of the words of its report.
//!
//! On some hundred reports the gradients of InfoNCE find little that holds for other patients, while a linear map from the probe's features to
//! word counts does. Image and report meet in a space of directions of word counts: a report lies there by its words, an image by a ridge
//! regression on them.

mod fit;
mod ridge;
mod words;

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};
use lucency_nn::ops;
use lucency_zoo::clip::Clip;
use lucency_zoo::tokenizer::ClipTokenizer;

use super::features::texture_of;
use crate::{Result, TrainError};

pub(super) use fit::fit_heads;

/// Keys of the heads' tensors in an adapter.
const KEYS: [&str; 5] = [
    "report_heads.image.mean",
    "report_heads.image.map",
    "report_heads.text.weights",
    "report_heads.text.map",
    "report_heads.text.offset",
];

/// A linear map of an image's features and one of a text's words, into one space of `d` dimensions.
#[derive(Clone, Debug)]
pub struct ReportHeads {
    /// Mean features, `[f]`.
    mean: Tensor,
    /// From features less their mean, `[f, d]`.
    image: Tensor,
    /// Weight of each token of the vocabulary, `[v]`; 0 for tokens that were not learned.
    weights: Tensor,
    /// From unit vectors of weighted counts, `[v, d]`.
    text: Tensor,
    /// Taken from a mapped text, `[d]`.
    offset: Tensor,
}

impl ReportHeads {
    /// Takes the heads out of an adapter's tensors; none if they are not among them.
    ///
    /// Errors if some of them are missing or their shapes do not fit together.
    pub fn take(tensors: &mut HashMap<String, Tensor>) -> Result<Option<Self>> {
        let [mean, image, weights, text, offset] = KEYS.map(|key| tensors.remove(key));
        let heads = match (mean, image, weights, text, offset) {
            (None, None, None, None, None) => return Ok(None),
            (Some(mean), Some(image), Some(weights), Some(text), Some(offset)) => Self {
                mean,
                image,
                weights,
                text,
                offset,
            },
            _ => {
                return Err(TrainError::Data(
                    "some of the report heads' tensors are missing: train or import the adapter again".into(),
                ));
            }
        };
        let (f, d) = heads.image.dims2()?;
        let v = heads.weights.dim(0)?;
        let fits =
            heads.mean.dims() == [f] && heads.text.dims() == [v, d] && heads.offset.dims() == [d];
        match fits {
            true => Ok(Some(heads)),
            false => Err(TrainError::Data(
                "the report heads' tensors do not fit together: train or import the adapter again"
                    .into(),
            )),
        }
    }

    /// The heads' tensors by key.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        let own = [
            &self.mean,
            &self.image,
            &self.weights,
            &self.text,
            &self.offset,
        ];
        KEYS.map(str::to_owned)
            .into_iter()
            .zip(own.map(Tensor::clone))
            .collect()
    }

    /// Images as unit vectors, `[images, d]`.
    ///
    /// - `pixels`: as the model takes them, `[images, channels, side, side]`
    ///
    /// Errors if the tower has other features than the heads were fitted on.
    pub fn images(&self, clip: &Clip, pixels: &Tensor) -> Result<Tensor> {
        let features = texture_of(clip, pixels)?;
        let (has, wants) = (features.dim(1)?, self.mean.dim(0)?);
        if has != wants {
            return Err(TrainError::Data(format!(
                "the report heads want {wants} features of an image, the pack has {has}: they belong to another pack"
            )));
        }
        let mapped = features.broadcast_sub(&self.mean)?.matmul(&self.image)?;
        Ok(ops::l2_normalise(&mapped)?)
    }

    /// Short texts as unit vectors, `[texts, d]`, by their words alone.
    pub fn texts(&self, tokenizer: &ClipTokenizer, texts: &[String]) -> Result<Tensor> {
        let weights = self.weights.to_vec1::<f32>()?;
        let mut rows = vec![0f32; texts.len() * weights.len()];
        for (row, text) in rows.chunks_exact_mut(weights.len().max(1)).zip(texts) {
            for (token, value) in words::unit_counts(&tokenizer.encode(text), &weights) {
                row[token] = value;
            }
        }
        let counts = Tensor::from_vec(rows, (texts.len(), weights.len()), &Device::Cpu)?;
        let mapped = counts.matmul(&self.text)?.broadcast_sub(&self.offset)?;
        Ok(ops::l2_normalise(&mapped)?)
    }
}
