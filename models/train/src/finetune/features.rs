//! What a frozen image tower says about a picture beside its embedding.

use candle_core::{D, Device, Tensor};
use lucency_nn::{Interrupt, Mode, Progress, ops};
use lucency_zoo::clip::{Clip, VisionConfig};
use lucency_zoo::preprocess::{Image8, Preprocess};
use serde::{Deserialize, Serialize};

use crate::probe::Features;
use crate::{Result, TrainError};

/// Pictures that are read when they are wanted.
pub trait Pictures: Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// True without any.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One picture as displayed.
    fn picture(&self, index: usize) -> Result<Image8>;
}

/// Which activations a probe reads.
///
/// The embedding keeps what the pack was trained to name. Earlier maps still hold texture and layout that it has thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureSet {
    /// Mean and standard deviation of every channel of a ResNet's stem and stages, in logarithms, or of a transformer's last block; of
    /// the picture as displayed and with its histogram equalised.
    Texture,
    /// Means over a 3 × 3 grid of every channel of a ResNet's first two stages, or of a transformer's last block.
    Layout,
    /// The unit embedding, `embed_dim` numbers.
    Embedding,
}

/// How a picture is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    AsDisplayed,
    /// Grey levels in equal shares: what is left of window and exposure.
    Equalised,
}

impl FeatureSet {
    /// All of them, in the order in which they are tried: on few cases a later one must be clearly better.
    pub const ALL: [Self; 3] = [Self::Texture, Self::Layout, Self::Embedding];

    fn readings(self) -> &'static [Reading] {
        match self {
            Self::Texture => &[Reading::AsDisplayed, Reading::Equalised],
            Self::Layout | Self::Embedding => &[Reading::AsDisplayed],
        }
    }
}

/// Images a forward pass.
const BATCH: usize = 16;
/// Added before a logarithm, so that a silent channel has one.
const LEAST: f64 = 1e-3;
/// Cells along a side of the layout.
const GRID: usize = 3;

/// Features of pictures, for several sets at once.
///
/// - returns for each set `[pictures, ..]` for each way in which it looks at a picture
///
/// Errors if a picture cannot be read.
pub fn extract(
    clip: &Clip,
    preprocess: &Preprocess,
    pictures: &dyn Pictures,
    sets: &[FeatureSet],
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Vec<Vec<Features>>> {
    let total = pictures.len();
    if total == 0 {
        return Err(TrainError::Data("there is no case to look at".into()));
    }
    let mut rows: Vec<Vec<Rows>> = sets
        .iter()
        .map(|set| set.readings().iter().map(|_| Rows::default()).collect())
        .collect();
    for start in (0..total).step_by(BATCH) {
        if stop.is_stopped() {
            return Err(TrainError::Stopped);
        }
        report(Progress::new(
            "looking at images",
            start as u64,
            total as u64,
        ));
        let images: Vec<Image8> = (start..(start + BATCH).min(total))
            .map(|i| pictures.picture(i))
            .collect::<Result<_>>()?;
        for reading in [Reading::AsDisplayed, Reading::Equalised] {
            let wanted = |set: &FeatureSet| set.readings().iter().position(|r| *r == reading);
            if sets.iter().any(|set| wanted(set).is_some()) {
                let seen = Seen::new(clip, preprocess, &images, reading, sets)?;
                for (set, rows) in sets.iter().zip(&mut rows) {
                    if let Some(place) = wanted(set) {
                        rows[place].take(seen.features(*set)?)?;
                    }
                }
            }
        }
    }
    report(Progress::new(
        "looking at images",
        total as u64,
        total as u64,
    ));
    rows.into_iter()
        .map(|readings| readings.into_iter().map(Rows::features).collect())
        .collect()
}

/// Features so far, and how many columns belong to each part.
#[derive(Default)]
struct Rows {
    rows: Vec<Vec<f32>>,
    parts: Vec<usize>,
}

impl Rows {
    /// - `parts`: `[b, columns]` each
    fn take(&mut self, parts: Vec<Tensor>) -> Result<()> {
        self.parts = parts
            .iter()
            .map(|part| part.dim(1))
            .collect::<Result<_, _>>()?;
        self.rows.extend(Tensor::cat(&parts, 1)?.to_vec2::<f32>()?);
        Ok(())
    }

    fn features(self) -> Result<Features> {
        Features::from_rows(&self.rows)?.in_parts(self.parts)
    }
}

/// What the tower makes of a batch.
struct Seen {
    embedding: Option<Tensor>,
    maps: Vec<Tensor>,
}

impl Seen {
    fn new(
        clip: &Clip,
        preprocess: &Preprocess,
        images: &[Image8],
        reading: Reading,
        sets: &[FeatureSet],
    ) -> Result<Self> {
        let equalised: Vec<Image8>;
        let images: Vec<&Image8> = match reading {
            Reading::AsDisplayed => images.iter().collect(),
            Reading::Equalised => {
                equalised = images.iter().map(Image8::equalised).collect();
                equalised.iter().collect()
            }
        };
        let pixels = preprocess.batch(&images, &Device::Cpu)?;
        let read = |wanted: &[FeatureSet]| {
            let mut sets = sets.iter().filter(|set| set.readings().contains(&reading));
            sets.any(|set| wanted.contains(set))
        };
        Ok(Self {
            embedding: match read(&[FeatureSet::Embedding]) {
                true => Some(clip.embed_images(&pixels, Mode::Eval)?),
                false => None,
            },
            maps: match read(&[FeatureSet::Texture, FeatureSet::Layout]) {
                true => maps_of(clip, &pixels)?,
                false => Vec::new(),
            },
        })
    }

    /// Parts of a set, `[b, columns]` each.
    fn features(&self, set: FeatureSet) -> Result<Vec<Tensor>> {
        match set {
            FeatureSet::Embedding => Ok(self.embedding.iter().cloned().collect()),
            FeatureSet::Texture => texture(&self.maps),
            FeatureSet::Layout => Ok(vec![layout(&self.maps)?]),
        }
    }
}

/// The numbers of [`FeatureSet::Texture`] of prepared pictures as displayed, `[pictures, features]`.
pub(super) fn texture_of(clip: &Clip, pixels: &Tensor) -> Result<Tensor> {
    Ok(Tensor::cat(&texture(&maps_of(clip, pixels)?)?, 1)?)
}

/// Maps with positions, `[b, channels, rows, columns]` each, from early to late.
fn maps_of(clip: &Clip, pixels: &Tensor) -> Result<Vec<Tensor>> {
    let inside = clip.image_activations(pixels, Mode::Eval)?;
    match &clip.config().vision {
        VisionConfig::ResNet(_) => Ok(inside),
        VisionConfig::Vit(vit) => {
            let grid = vit.image_size / vit.patch_size;
            let (b, n, width) = inside[0].dims3()?;
            let tokens = inside[0].narrow(1, 1, n - 1)?.transpose(1, 2)?; // [b, width, n - 1]
            Ok(vec![tokens.contiguous()?.reshape((b, width, grid, grid))?])
        }
    }
}

/// Mean and standard deviation of every channel, `[b, 2 · channels]` a map; logarithms where activations cannot be negative, since
/// their sizes differ by orders of magnitude between films.
fn texture(maps: &[Tensor]) -> Result<Vec<Tensor>> {
    let log = |x: Tensor| -> Result<Tensor> { Ok((x + LEAST)?.log()?) };
    let rectified = maps.len() > 1; // a ResNet's stem and stages end with a rectifier
    let of = |map: &Tensor| -> Result<Tensor> {
        let flat = map.flatten_from(2)?; // [b, channels, positions]
        let mean = flat.mean_keepdim(D::Minus1)?;
        let spread = flat.broadcast_sub(&mean)?.sqr()?.mean(D::Minus1)?.sqrt()?;
        let mean = mean.squeeze(D::Minus1)?;
        let mean = if rectified { log(mean)? } else { mean };
        Ok(Tensor::cat(&[mean, log(spread)?], 1)?)
    };
    maps.iter().map(of).collect()
}

/// Means over a grid of a ResNet's first two stages, or of the only map, `[b, 9 · channels]`.
fn layout(maps: &[Tensor]) -> Result<Tensor> {
    let mut parts = Vec::new();
    for map in maps.get(1..3).unwrap_or(maps) {
        let (_, _, height, width) = map.dims4()?;
        for (row, column) in (0..GRID).flat_map(|r| (0..GRID).map(move |c| (r, c))) {
            let (top, bottom) = cell(height, row);
            let (left, right) = cell(width, column);
            let part = map.narrow(2, top, bottom - top)?;
            let part = part.narrow(3, left, right - left)?.contiguous()?;
            parts.push(part.flatten_from(2)?.mean(D::Minus1)?);
        }
    }
    Ok(Tensor::cat(&parts, 1)?)
}

/// First position of a cell and the one behind its last; cells overlap where the side is no multiple, as adaptive pooling's.
fn cell(side: usize, index: usize) -> (usize, usize) {
    let from = index * side / GRID;
    (from, ((index + 1) * side).div_ceil(GRID).max(from + 1))
}

/// The unit embeddings of pictures, `[pictures][embed_dim]`.
pub(super) fn embeddings(
    clip: &Clip,
    preprocess: &Preprocess,
    images: &[&Image8],
) -> Result<Vec<Vec<f32>>> {
    let pixels = preprocess.batch(images, &Device::Cpu)?;
    let unit = ops::l2_normalise(&clip.encode_image(&pixels, Mode::Eval)?)?;
    Ok(unit.to_vec2()?)
}
