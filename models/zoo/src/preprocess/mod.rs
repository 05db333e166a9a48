//! From an 8-bit image to the numbers an image tower takes.
//!
//! The pipeline is data: a model pack states it, and it is carried out exactly as the reference implementations do.

mod image8;
pub mod resize;

pub use image8::Image8;
pub use resize::Filter;

use crate::error::{Result, ZooError};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How the image's rectangle becomes the model's square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Geometry {
    /// The short side becomes `short_side`, the aspect ratio is kept, and a square of `side` is cut from the centre.
    ShortSideCentreCrop {
        /// Length of the short side after resizing, at least `side`.
        short_side: usize,
        /// Side of the square.
        side: usize,
    },
    /// Both sides become `side`; the aspect ratio is not kept and nothing is cut off.
    Squash {
        /// Side of the square.
        side: usize,
    },
    /// The long side becomes `side`, the aspect ratio is kept, and the rest is filled evenly on both sides.
    PadToSquare {
        /// Side of the square.
        side: usize,
        /// Grey level of the padding.
        fill: u8,
    },
}

impl Geometry {
    /// Side of the square that the model sees.
    pub fn side(&self) -> usize {
        match *self {
            Self::ShortSideCentreCrop { side, .. }
            | Self::Squash { side }
            | Self::PadToSquare { side, .. } => side,
        }
    }
}

/// Which channels the model sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    /// Three channels; a grey image is repeated after it has been resized.
    Rgb,
    /// One channel of luminance.
    Grey,
    /// Luminance, three times.
    GreyAsRgb,
}

impl Channels {
    /// How many channels the model sees.
    pub fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb | Self::GreyAsRgb => 3,
        }
    }
}

/// How samples are laid out in the model's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleOrder {
    /// One plane a channel, as `[channels, side, side]` says.
    #[default]
    Planar,
    /// Interleaved samples read as if they were planes. MEVF with a CLIP tower was trained on pixels scrambled this way,
    /// and its weights need them so.
    InterleavedReadAsPlanar,
}

/// The rectangle of the source image that the model sees, in source pixels.
///
/// It reaches beyond the image where padding was added.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// A preprocessing pipeline: resize, cut or pad, choose channels, normalise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// How the rectangle becomes a square.
    pub geometry: Geometry,
    /// The interpolation kernel, always antialiased.
    pub filter: Filter,
    /// Which channels the model sees.
    pub channels: Channels,
    /// Subtracted from a level divided by 255, one number a channel.
    pub mean: Vec<f32>,
    /// Divides what is left, one number a channel.
    pub std: Vec<f32>,
    /// How samples are laid out.
    #[serde(default)]
    pub order: SampleOrder,
}

/// Channel means of the images CLIP was trained on. Source: openai/CLIP, `clip/clip.py`.
pub const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// Channel standard deviations of the images CLIP was trained on. Source: openai/CLIP, `clip/clip.py`.
pub const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];
/// Channel means of ImageNet.
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Channel standard deviations of ImageNet.
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

impl Preprocess {
    /// CLIP's own: bicubic to a short side of `side`, centre crop, CLIP's mean and standard deviation.
    pub fn clip(side: usize) -> Self {
        Self {
            geometry: Geometry::ShortSideCentreCrop {
                short_side: side,
                side,
            },
            filter: Filter::Bicubic,
            channels: Channels::Rgb,
            mean: CLIP_MEAN.to_vec(),
            std: CLIP_STD.to_vec(),
            order: SampleOrder::Planar,
        }
    }

    /// Luminance squashed to a square, three times, scaled to -1..1. Nothing of the image is cut off.
    pub fn squash_grey(side: usize) -> Self {
        Self {
            geometry: Geometry::Squash { side },
            filter: Filter::Bicubic,
            channels: Channels::GreyAsRgb,
            mean: vec![0.5; 3],
            std: vec![0.5; 3],
            order: SampleOrder::Planar,
        }
    }

    /// Luminance padded with black to a square, three times, scaled to -1..1. The aspect ratio is kept.
    pub fn pad_grey(side: usize) -> Self {
        Self {
            geometry: Geometry::PadToSquare { side, fill: 0 },
            ..Self::squash_grey(side)
        }
    }

    /// The input of MEVF's and QCR's MAML tower: luminance, 84x84, 0..1.
    pub fn maml84() -> Self {
        Self::squash_unit(84, Channels::Grey)
    }

    /// The input of MEVF's and QCR's denoising autoencoder: luminance, 128x128, 0..1.
    pub fn cdae128() -> Self {
        Self::squash_unit(128, Channels::Grey)
    }

    /// The CLIP input of MEVF and QCR as their code reads it: 250x250, 0..1, without CLIP's mean and standard deviation.
    pub fn mevf_clip250() -> Self {
        Self {
            order: SampleOrder::InterleavedReadAsPlanar,
            ..Self::squash_unit(250, Channels::Rgb)
        }
    }

    /// The validation chain of PubMedCLIP's fine-tuning: bilinear to 285, centre crop 250, ImageNet's mean and deviation.
    pub fn pubmedclip_val250() -> Self {
        Self {
            geometry: Geometry::ShortSideCentreCrop {
                short_side: 285,
                side: 250,
            },
            filter: Filter::Bilinear,
            channels: Channels::Rgb,
            mean: IMAGENET_MEAN.to_vec(),
            std: IMAGENET_STD.to_vec(),
            order: SampleOrder::Planar,
        }
    }

    fn squash_unit(side: usize, channels: Channels) -> Self {
        Self {
            geometry: Geometry::Squash { side },
            filter: Filter::Bicubic,
            channels,
            mean: vec![0.0; channels.count()],
            std: vec![1.0; channels.count()],
            order: SampleOrder::Planar,
        }
    }

    /// Side of the square that the model sees.
    pub fn side(&self) -> usize {
        self.geometry.side()
    }

    /// Checks that the description can be carried out.
    ///
    /// Errors if a side is zero or larger than 4096, the crop exceeds the resized short side, or there is not one finite mean
    /// and positive deviation a channel.
    pub fn check(&self) -> Result<()> {
        let refuse = |why: &str| Err(ZooError::Preprocess(why.into()));
        let side = self.side();
        if side == 0 || side > MAX_SIDE {
            return refuse("the side must lie between 1 and 4096");
        }
        if let Geometry::ShortSideCentreCrop { short_side, side } = self.geometry
            && (short_side < side || short_side > MAX_SIDE)
        {
            return refuse("the short side must lie between the crop's side and 4096");
        }
        if self.mean.len() != self.channels.count() || self.std.len() != self.channels.count() {
            return refuse("there must be one mean and one standard deviation a channel");
        }
        if !self.mean.iter().all(|m| m.is_finite()) || !self.std.iter().all(|s| *s > 0.0) {
            return refuse("means must be finite and standard deviations positive");
        }
        Ok(())
    }

    /// The model's square before normalisation: `side` x `side`, with the image's channels or one if luminance is wanted.
    ///
    /// Errors if the description is unusable (see [`check`](Self::check)).
    pub fn resize_u8(&self, image: &Image8) -> Result<Image8> {
        self.check()?;
        let grey;
        let image = match self.channels {
            Channels::Rgb => image,
            Channels::Grey | Channels::GreyAsRgb => {
                grey = image.to_grey();
                &grey
            }
        };
        let side = self.side();
        let plan = Placement::of(self.geometry, image.width, image.height);
        Ok(match self.geometry {
            Geometry::Squash { .. } => resize::resize(image, self.filter, side, side),
            Geometry::ShortSideCentreCrop { .. } => resize::resize_part(
                image,
                self.filter,
                (plan.width, plan.height),
                plan.left..plan.left + side,
                plan.top..plan.top + side,
            ),
            Geometry::PadToSquare { fill, .. } => {
                let inner = resize::resize(image, self.filter, plan.width, plan.height);
                let mut data = vec![fill; side * side * inner.channels];
                let row = inner.width * inner.channels;
                for (y, source) in inner.data.chunks_exact(row).enumerate() {
                    let start = ((plan.top + y) * side + plan.left) * inner.channels;
                    data[start..start + row].copy_from_slice(source);
                }
                Image8::new(side, side, inner.channels, data)?
            }
        })
    }

    /// The model's input for one image.
    ///
    /// - returns `channels * side * side` numbers, `[channels, side, side]`
    ///
    /// Errors if the description is unusable (see [`check`](Self::check)).
    pub fn apply(&self, image: &Image8) -> Result<Vec<f32>> {
        let square = self.resize_u8(image)?;
        Ok(self.normalise(&square))
    }

    /// The model's input for one image as a tensor `[channels, side, side]`, f32.
    pub fn tensor(&self, image: &Image8, device: &Device) -> Result<Tensor> {
        let shape = (self.channels.count(), self.side(), self.side());
        Ok(Tensor::from_vec(self.apply(image)?, shape, device)?)
    }

    /// The model's input for several images as a tensor `[images, channels, side, side]`, f32.
    pub fn batch(&self, images: &[&Image8], device: &Device) -> Result<Tensor> {
        let planes: Vec<Vec<f32>> = images
            .par_iter()
            .map(|image| self.apply(image))
            .collect::<Result<_>>()?;
        let shape = (
            images.len(),
            self.channels.count(),
            self.side(),
            self.side(),
        );
        Ok(Tensor::from_vec(planes.concat(), shape, device)?)
    }

    /// Normalises a square of [`resize_u8`](Self::resize_u8), or one that was cached.
    pub fn normalise(&self, square: &Image8) -> Vec<f32> {
        let channels = self.channels.count();
        let levels: Vec<[f32; 256]> = (0..channels)
            .map(|c| std::array::from_fn(|v| (v as f32 / 255.0 - self.mean[c]) / self.std[c]))
            .collect();
        let pixels = square.width * square.height;
        let stored = square.channels;
        // Position of output sample `i` of plane `c` among the interleaved samples, were all channels stored.
        let (mut out, interleaved) = (Vec::with_capacity(channels * pixels), |at: usize| {
            if stored == channels {
                square.data[at]
            } else {
                square.data[at / channels]
            }
        });
        for (c, levels) in levels.iter().enumerate() {
            match self.order {
                SampleOrder::Planar => {
                    let first = if stored == channels { c } else { 0 };
                    out.extend(
                        square.data[first..]
                            .iter()
                            .step_by(stored)
                            .map(|&v| levels[usize::from(v)]),
                    );
                }
                SampleOrder::InterleavedReadAsPlanar => out.extend(
                    (c * pixels..(c + 1) * pixels).map(|at| levels[usize::from(interleaved(at))]),
                ),
            }
        }
        out
    }

    /// The rectangle of a `width` x `height` image that the model sees.
    pub fn source_region(&self, width: usize, height: usize) -> Region {
        let plan = Placement::of(self.geometry, width, height);
        let (fx, fy) = (
            width as f64 / plan.width as f64,
            height as f64 / plan.height as f64,
        );
        let side = self.side() as f64;
        let (left, top) = match self.geometry {
            Geometry::PadToSquare { .. } => (-(plan.left as f64), -(plan.top as f64)),
            _ => (plan.left as f64, plan.top as f64),
        };
        Region {
            x: left * fx,
            y: top * fy,
            width: side * fx,
            height: side * fy,
        }
    }
}

/// Largest side that a description may ask for.
const MAX_SIDE: usize = 4096;

/// Size of the resized image, and where the model's square lies in it (crop) or it in the square (padding).
struct Placement {
    width: usize,
    height: usize,
    left: usize,
    top: usize,
}

impl Placement {
    fn of(geometry: Geometry, width: usize, height: usize) -> Self {
        match geometry {
            Geometry::Squash { side } => Self {
                width: side,
                height: side,
                left: 0,
                top: 0,
            },
            Geometry::ShortSideCentreCrop { short_side, side } => {
                let short = width.min(height);
                // The long side is truncated, not rounded.
                let (width, height) = (short_side * width / short, short_side * height / short);
                Self {
                    width,
                    height,
                    left: half_to_even(width - side),
                    top: half_to_even(height - side),
                }
            }
            Geometry::PadToSquare { side, .. } => {
                let long = width.max(height);
                let scaled = |n: usize| ((2 * side * n + long) / (2 * long)).max(1);
                let (width, height) = (scaled(width), scaled(height));
                Self {
                    width,
                    height,
                    left: (side - width) / 2,
                    top: (side - height) / 2,
                }
            }
        }
    }
}

/// `n / 2` rounded to the nearest, halves to even, as Python's `round`.
fn half_to_even(n: usize) -> usize {
    let half = n / 2;
    if n % 2 == 1 && half % 2 == 1 {
        half + 1
    } else {
        half
    }
}
