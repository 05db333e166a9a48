//! The pack that is adapted.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use lucency_nn::Place;
use lucency_packs::Pack;
use lucency_train::finetune::{BasePack, Model, ZeroShot};
use lucency_zoo::clip::Clip;
use lucency_zoo::preprocess::Preprocess;
use lucency_zoo::tokenizer::ClipTokenizer;

use crate::error::Result;
use crate::{DEFAULT_PACK, Options};

/// A pack with its towers.
pub struct Base {
    /// The pack.
    pub pack: Pack,
    /// Its towers.
    pub clip: Clip,
    tensors: HashMap<String, Tensor>,
    tokenizer: ClipTokenizer,
    place: Place,
}

impl Base {
    /// Opens a pack by name or folder; the default one if none is named.
    ///
    /// Errors if it is not installed, damaged, or reads images only.
    pub fn open(options: &Options, name: Option<&str>) -> Result<Self> {
        let pack = options.store().find(name.unwrap_or(DEFAULT_PACK))?;
        Self::of(pack, &options.compute.place())
    }

    /// With a pack that was found.
    pub fn of(pack: Pack, place: &Place) -> Result<Self> {
        let weights = pack.weights("weights", &Device::Cpu)?;
        let clip = pack.load_clip(place)?;
        Ok(Self {
            place: place.clone(),
            tensors: weights.tensors().into_iter().collect(),
            tokenizer: pack.tokenizer()?,
            clip,
            pack,
        })
    }

    /// Name and hash, as adapters state them.
    pub fn identity(&self) -> BasePack {
        BasePack {
            name: self.pack.name().to_owned(),
            hash: self.pack.hash().to_owned(),
        }
    }

    /// How its images are prepared.
    pub fn preprocess(&self) -> &Preprocess {
        &self.pack.manifest().preprocessing
    }

    /// Its prompt templates.
    pub fn templates(&self) -> &[String] {
        &self.pack.manifest().zero_shot_templates
    }

    /// What training builds on.
    pub fn model(&self) -> Model<'_> {
        Model {
            tensors: &self.tensors,
            config: self.clip.config(),
            preprocess: self.preprocess(),
            tokenizer: &self.tokenizer,
            place: &self.place,
        }
    }

    /// The pack as it is, asked about classes by name.
    pub fn zero_shot(&self, names: &[String], exclusive: bool) -> Result<ZeroShot> {
        Ok(ZeroShot::new(
            &self.clip,
            &self.tokenizer,
            self.templates(),
            names,
            exclusive,
        )?)
    }
}
