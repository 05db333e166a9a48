//! The images of a question file in the forms that the networks take.

use candle_core::{Device, Tensor};
use lucency_zoo::preprocess::{Filter, Geometry, Image8, Preprocess, resize};
use lucency_zoo::vqa::VisualBatch;
use rayon::prelude::*;

use super::plan::VqaPlan;
use crate::data::{Augment, Facing, Warp, augment};
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

    /// One small view of some images, over which answers may be averaged; the same for every image.
    ///
    /// - `view`: 0 is the image itself
    pub(super) fn small_view(&self, images: &[usize], view: u64) -> Result<VisualBatch> {
        if view == 0 {
            return self.batch(images);
        }
        let facing: Vec<(usize, Facing)> = images.iter().map(|i| (*i, Facing::Same)).collect();
        let seeds = vec![view; images.len()];
        self.views(&facing, &Augment::gentle(), &seeds)
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
    ///
    /// - `seeds`: of each image's view
    pub(super) fn views(
        &self,
        images: &[(usize, Facing)],
        how: &Augment,
        seeds: &[u64],
    ) -> Result<VisualBatch> {
        let draw = |side: usize| -> Vec<f32> {
            let views: Vec<Vec<f32>> = images
                .par_iter()
                .zip(seeds)
                .map(|((image, facing), seed)| {
                    let mut rng = crate::data::rng_for(*seed, 0, 7);
                    let warp = Warp::draw(how, (KEPT_SIDE, KEPT_SIDE), *facing, &mut rng);
                    augment(&self.kept[*image], side, how, &warp, &mut rng)
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
            .wants_views()
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
