//! CLIP features of images for question-answering models that take them.

use std::path::Path;

use candle_core::Device;
use lucency_nn::{Mode, Place};
use lucency_packs::{Pack, PackStore};
use lucency_train::vqa::Conduct;
use lucency_zoo::clip::Clip;
use lucency_zoo::preprocess::{Image8, Preprocess, SampleOrder};

use crate::error::Result;
use crate::{Options, assets};

/// A pack's frozen image tower.
pub struct ImageEncoder {
    clip: Clip,
    preprocess: Preprocess,
}

impl ImageEncoder {
    /// Opens a pack by name or folder.
    ///
    /// As published, images go in as 0..1 without CLIP's mean and deviation, and height, width, channel are read as channel, height,
    /// width; else as the pack states.
    ///
    /// Errors if there is no such pack or it is damaged.
    pub fn open(pack: &str, conduct: Conduct) -> Result<Self> {
        let options = Options::standard(Some(pack.to_owned()))?;
        let store = PackStore::at(&options.home).with_bundled(vec![assets::packs(&options.assets)]);
        let pack: Pack = store.find(pack)?;
        let preprocess = preprocessing(&pack.manifest().preprocessing, conduct);
        Ok(Self {
            clip: pack.load_clip(&Place::processor())?,
            preprocess,
        })
    }

    /// Width of the features.
    pub fn dim(&self) -> usize {
        self.clip.config().embed_dim
    }

    /// The image's embedding, not normalised, `[dim]`.
    pub fn features(&self, image: &Image8) -> Result<Vec<f32>> {
        clip_features(&self.clip, &self.preprocess, image)
    }
}

/// How images go into the tower: as the pack states, or as published.
pub(crate) fn preprocessing(stated: &Preprocess, conduct: Conduct) -> Preprocess {
    match conduct {
        Conduct::Right => stated.clone(),
        Conduct::AsPublished => Preprocess {
            geometry: lucency_zoo::preprocess::Geometry::Squash {
                side: stated.side(),
            },
            order: SampleOrder::InterleavedReadAsPlanar,
            ..Preprocess::mevf_clip250()
        },
    }
}

/// The image's embedding, not normalised, `[dim]`.
pub(crate) fn clip_features(
    clip: &Clip,
    preprocess: &Preprocess,
    image: &Image8,
) -> Result<Vec<f32>> {
    let pixels = preprocess.batch(&[image], &Device::Cpu)?; // [1, 3, side, side]
    let trunk = clip.trunk(&pixels, Mode::Eval)?;
    let embedding = clip.head(&trunk.hidden, Mode::Eval)?; // [1, dim]
    Ok(embedding.squeeze(0)?.to_vec1()?)
}

/// The image of a file as the networks see it, DICOM or raster.
///
/// Errors if the file holds no image that can be read.
pub fn read_image(path: &Path) -> Result<Image8> {
    Ok(crate::picture::open(path, 1)?.image)
}
