//! What frozen image networks make of the images and of other views of them, computed once.

use candle_core::Tensor;
use lucency_nn::{Bias, Linear, Mode, Weights};
use lucency_zoo::vqa::{Cdae, MamlCnn, VisualBatch};
use rand::Rng;

use super::image_set::ImageSet;
use super::model::{CHUNK, mean_over_views};
use super::plan::VqaPlan;
use crate::Result;
use crate::data::{Augment, Facing, rng_for};

/// Random views that are kept of an image where training wants such.
const VIEWS: usize = 4;
/// Slot of the generator of those views.
const KEPT_VIEWS: u64 = 34;

/// Where the features of an image's views lie: one block of all images after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shelf {
    images: usize,
    views: usize,
    mirrored: bool,
    averaged: bool,
}

impl Shelf {
    pub(super) fn of(plan: &VqaPlan, images: usize) -> Self {
        Self {
            images,
            views: plan.augment.map_or(0, |_| VIEWS),
            mirrored: plan.mirror > 0.0,
            averaged: plan.asked_views > 1,
        }
    }

    /// Random views of an image beside the image itself.
    pub(super) fn views(&self) -> usize {
        self.views
    }

    /// The place of one view; view 0 is the image itself, or its mirror image.
    pub(super) fn place(&self, image: usize, facing: Facing, view: usize) -> usize {
        let block = match facing {
            Facing::Same => view,
            Facing::Mirrored => self.views + 1 + view,
        };
        block * self.images + image
    }

    /// The place of the features by which questions are asked about an image.
    fn asked(&self, image: usize) -> usize {
        match self.averaged {
            true => (self.views + 1) * (1 + usize::from(self.mirrored)) * self.images + image,
            false => image,
        }
    }

    /// Which way each block of views looks, and which view of it is meant.
    fn blocks(&self) -> Vec<(Facing, usize)> {
        let mut facings = vec![Facing::Same];
        if self.mirrored {
            facings.push(Facing::Mirrored);
        }
        facings
            .into_iter()
            .flat_map(|facing| (0..=self.views).map(move |view| (facing, view)))
            .collect()
    }
}

/// Outputs of frozen image networks by image and view; the linear layer after the autoencoder is still trained.
pub struct FrozenFeatures {
    shelf: Shelf,
    maml: Option<Tensor>,
    code: Option<Tensor>,
    clip: Option<Tensor>,
    convert: Option<Linear>,
}

/// The frozen networks.
struct Networks {
    maml: Option<MamlCnn>,
    cdae: Option<Cdae>,
}

impl Networks {
    fn embed(&self, batch: &VisualBatch) -> Result<Option<Tensor>> {
        match (&self.maml, &batch.maml) {
            (Some(net), Some(x)) => Ok(Some(net.forward(x, Mode::Eval)?.detach())),
            _ => Ok(None),
        }
    }

    fn encode(&self, batch: &VisualBatch) -> Result<Option<Tensor>> {
        match (&self.cdae, &batch.ae) {
            (Some(net), Some(x)) => Ok(Some(net.encode(x)?.flatten_from(1)?.detach())),
            _ => Ok(None),
        }
    }
}

/// Rows that are gathered block by block.
#[derive(Default)]
struct Gathered {
    maml: Vec<Tensor>,
    code: Vec<Tensor>,
    clip: Vec<Tensor>,
}

impl Gathered {
    fn push(&mut self, networks: &Networks, batch: VisualBatch) -> Result<()> {
        self.maml.extend(networks.embed(&batch)?);
        self.code.extend(networks.encode(&batch)?);
        self.clip.extend(batch.clip);
        Ok(())
    }
}

impl FrozenFeatures {
    /// Runs the frozen networks over a set, and over other views of it where the plan wants them.
    ///
    /// - `weights`: of the whole model, in which `convert` is trainable
    pub fn of(weights: &Weights, plan: &VqaPlan, images: &ImageSet) -> Result<Self> {
        let (maml_key, ae_key) = plan.visual_prefixes();
        let networks = Networks {
            maml: match plan.maml {
                true => Some(MamlCnn::load(&weights.pp(maml_key))?),
                false => None,
            },
            cdae: match plan.ae_side {
                Some(_) => Some(Cdae::load(&weights.pp(ae_key))?),
                None => None,
            },
        };
        let shelf = Shelf::of(plan, images.len());
        let all: Vec<usize> = (0..images.len()).collect();
        let mut gathered = Gathered::default();
        for (number, (facing, view)) in shelf.blocks().into_iter().enumerate() {
            let mut rng = rng_for(plan.seed, number as u64, KEPT_VIEWS);
            for chunk in all.chunks(CHUNK) {
                let seeds: Vec<u64> = chunk.iter().map(|_| rng.random()).collect();
                let looked: Vec<(usize, Facing)> = chunk.iter().map(|i| (*i, facing)).collect();
                let batch = match (facing, view) {
                    (Facing::Same, 0) => images.batch(chunk)?,
                    (Facing::Mirrored, 0) => images.views(&looked, &Augment::still(), &seeds)?,
                    _ => images.views(&looked, &plan.augment.unwrap_or_default(), &seeds)?,
                };
                gathered.push(&networks, batch)?;
            }
        }
        if shelf.averaged {
            for chunk in all.chunks(CHUNK) {
                let each = (0..plan.asked_views)
                    .map(|view| images.small_view(chunk, view))
                    .collect::<Result<Vec<VisualBatch>>>()?;
                let mean =
                    |make: &dyn Fn(&VisualBatch) -> Result<Option<Tensor>>| match make(&each[0])? {
                        None => Ok(None),
                        Some(_) => mean_over_views(plan.asked_views, |view| {
                            make(&each[view as usize])?.ok_or_else(no_view)
                        })
                        .map(Some),
                    };
                gathered.maml.extend(mean(&|b| networks.embed(b))?);
                gathered.code.extend(mean(&|b| networks.encode(b))?);
                gathered.clip.extend(each[0].clip.clone());
            }
        }
        let join = |parts: Vec<Tensor>| -> Result<Option<Tensor>> {
            match parts.is_empty() {
                true => Ok(None),
                false => Ok(Some(Tensor::cat(&parts, 0)?)),
            }
        };
        let kept = Self {
            shelf,
            maml: join(gathered.maml)?,
            code: join(gathered.code)?,
            clip: join(gathered.clip)?,
            convert: None,
        };
        kept.with_weights(weights)
    }

    /// The same outputs with the linear layer of other weights.
    pub fn with_weights(&self, weights: &Weights) -> Result<Self> {
        let convert = match &self.code {
            Some(code) => {
                let inputs = code.dim(1)?;
                let layer = Linear::load(&weights.pp("convert"), inputs, 64, Bias::Yes)?;
                Some(layer)
            }
            None => None,
        };
        Ok(Self {
            shelf: self.shelf,
            maml: self.maml.clone(),
            code: self.code.clone(),
            clip: self.clip.clone(),
            convert,
        })
    }

    /// The features by which questions are asked about some images, `[n, v]`.
    pub fn asked(&self, images: &[usize]) -> Result<Tensor> {
        let places: Vec<usize> = images.iter().map(|i| self.shelf.asked(*i)).collect();
        self.features(&places)
    }

    /// The image features of some places, in the order of the published concatenation, `[n, v]`.
    pub fn features(&self, places: &[usize]) -> Result<Tensor> {
        let rows: Vec<u32> = places.iter().map(|i| *i as u32).collect();
        let rows = Tensor::from_vec(rows, places.len(), &candle_core::Device::Cpu)?;
        let pick = |t: &Option<Tensor>| -> Result<Option<Tensor>> {
            t.as_ref()
                .map(|t| Ok(t.index_select(&rows, 0)?))
                .transpose()
        };
        let ae = match (pick(&self.code)?, &self.convert) {
            (Some(code), Some(convert)) => Some(convert.forward(&code)?),
            _ => None,
        };
        let parts: Vec<Tensor> = match (pick(&self.maml)?, ae, pick(&self.clip)?) {
            (None, ae, Some(clip)) => [Some(clip), ae].into_iter().flatten().collect(),
            (maml, ae, clip) => [maml, ae, clip].into_iter().flatten().collect(),
        };
        Ok(Tensor::cat(&parts, 1)?)
    }
}

fn no_view() -> crate::TrainError {
    crate::TrainError::Data("a view of an image lacks a form that the image has".into())
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Method, Preset};
    use super::*;

    #[test]
    fn every_view_of_every_image_has_a_place_of_its_own() {
        let mut plan = VqaPlan::preset(Preset::Tuned, Method::Mevf);
        (plan.augment, plan.mirror, plan.asked_views) = (Some(Augment::default()), 0.5, 4);
        let shelf = Shelf::of(&plan, 7);
        let mut places: Vec<usize> = shelf
            .blocks()
            .into_iter()
            .flat_map(|(facing, view)| (0..7).map(move |i| shelf.place(i, facing, view)))
            .chain((0..7).map(|i| shelf.asked(i)))
            .collect();
        places.sort_unstable();
        let expected: Vec<usize> = (0..7 * (2 * (VIEWS + 1) + 1)).collect();
        assert_eq!(places, expected);
        let plain = Shelf::of(&VqaPlan::preset(Preset::Tuned, Method::Mevf), 7);
        assert_eq!((plain.asked(3), plain.blocks().len()), (3, 1));
    }
}
