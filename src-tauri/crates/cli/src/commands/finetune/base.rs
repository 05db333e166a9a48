//! The pack that is adapted.

use candle_core::Device;
use lucency_assistant::{DEFAULT_PACK, Options};
use lucency_packs::Pack;
use lucency_train::finetune::{BasePack, ZeroShot};
use lucency_zoo::clip::Clip;
use lucency_zoo::preprocess::Preprocess;

use crate::output::CommandError;

/// A pack with its towers.
pub struct Base {
    /// The pack.
    pub pack: Pack,
    /// Its towers.
    pub clip: Clip,
    /// Where the user's files are.
    pub options: Options,
}

impl Base {
    /// Opens a pack by name or folder; the demo pack if none is named.
    pub fn open(name: Option<&str>) -> Result<Self, CommandError> {
        let options = Options::standard(name.map(str::to_owned))?;
        let pack = options
            .store()
            .find(name.unwrap_or(DEFAULT_PACK))
            .map_err(lucency_assistant::AssistantError::from)?;
        let clip = pack
            .load_clip(&Device::Cpu)
            .map_err(lucency_assistant::AssistantError::from)?;
        Ok(Self {
            pack,
            clip,
            options,
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

    /// The pack as it is, asked about classes by name.
    pub fn zero_shot(&self, names: &[String], exclusive: bool) -> Result<ZeroShot, CommandError> {
        let tokenizer = self
            .pack
            .tokenizer()
            .map_err(lucency_assistant::AssistantError::from)?;
        let templates = &self.pack.manifest().zero_shot_templates;
        Ok(ZeroShot::new(
            &self.clip, &tokenizer, templates, names, exclusive,
        )?)
    }
}
