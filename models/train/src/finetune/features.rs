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
    /// The unit embedding, `embed_dim` numbers.
    Embedding,
    /// Mean and standard deviation of every channel of a ResNet's first three stages, in logarithms, or of a transformer's last
    /// block.
    Texture,
    /// Means over a 3 × 3 grid of every channel of a ResNet's first two stages, or of a transformer's last block.
    Layout,
    /// Texture and layout together.
    TextureAndLayout,
}

impl FeatureSet {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 4] = [
        Self::Embedding,
        Self::Texture,
        Self::Layout,
        Self::TextureAndLayout,
    ];
}

/// Images a forward pass.
const BATCH: usize = 16;
/// Added before a logarithm, so that a silent channel has one.
const LEAST: f64 = 1e-3;
/// Cells along a side of the layout.
const GRID: usize = 3;

/// Features of pictures, for several sets from one pass.
///
/// - returns `[pictures, ..]` for each set
///
/// Errors if a picture cannot be read.
pub fn extract(
    clip: &Clip,
    preprocess: &Preprocess,
    pictures: &dyn Pictures,
    sets: &[FeatureSet],
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Vec<Features>> {
    let total = pictures.len();
    if total == 0 {
        return Err(TrainError::Data("there is no case to look at".into()));
    }
    let mut rows: Vec<Vec<Vec<f32>>> = vec![Vec::with_capacity(total); sets.len()];
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
        let references: Vec<&Image8> = images.iter().collect();
        let pixels = preprocess.batch(&references, &Device::Cpu)?;
        let maps = match sets.iter().any(|s| *s != FeatureSet::Embedding) {
            true => maps_of(clip, &pixels)?,
            false => Vec::new(),
        };
        for (set, rows) in sets.iter().zip(&mut rows) {
            let tensor = match set {
                FeatureSet::Embedding => clip.embed_images(&pixels, Mode::Eval)?,
                FeatureSet::Texture => texture(&maps)?,
                FeatureSet::Layout => layout(&maps)?,
                FeatureSet::TextureAndLayout => Tensor::cat(&[texture(&maps)?, layout(&maps)?], 1)?,
            };
            rows.extend(tensor.to_vec2::<f32>()?);
        }
    }
    report(Progress::new(
        "looking at images",
        total as u64,
        total as u64,
    ));
    rows.iter().map(|rows| Features::from_rows(rows)).collect()
}

/// Maps with positions, `[b, channels, rows, columns]` each, from early to late.
fn maps_of(clip: &Clip, pixels: &Tensor) -> Result<Vec<Tensor>> {
    let inside = clip.image_activations(pixels, Mode::Eval)?;
    match &clip.config().vision {
        VisionConfig::ResNet(_) => Ok(inside[1..4].to_vec()),
        VisionConfig::Vit(vit) => {
            let grid = vit.image_size / vit.patch_size;
            let (b, n, width) = inside[0].dims3()?;
            let tokens = inside[0].narrow(1, 1, n - 1)?.transpose(1, 2)?; // [b, width, n - 1]
            Ok(vec![tokens.contiguous()?.reshape((b, width, grid, grid))?])
        }
    }
}

/// Mean and standard deviation of every channel, `[b, 2 · channels]`; logarithms where activations cannot be negative, since their
/// sizes differ by orders of magnitude between films.
fn texture(maps: &[Tensor]) -> Result<Tensor> {
    let log = |x: Tensor| -> Result<Tensor> { Ok((x + LEAST)?.log()?) };
    let mut parts = Vec::new();
    for map in maps {
        let flat = map.flatten_from(2)?; // [b, channels, positions]
        let mean = flat.mean_keepdim(D::Minus1)?;
        let spread = flat.broadcast_sub(&mean)?.sqr()?.mean(D::Minus1)?.sqrt()?;
        let mean = mean.squeeze(D::Minus1)?;
        let rectified = maps.len() > 1; // a ResNet's stages end with a rectifier
        parts.push(if rectified { log(mean)? } else { mean });
        parts.push(log(spread)?);
    }
    Ok(Tensor::cat(&parts, 1)?)
}

/// Means over a grid of the first two maps, `[b, 9 · channels]`.
fn layout(maps: &[Tensor]) -> Result<Tensor> {
    let mut parts = Vec::new();
    for map in maps.iter().take(2) {
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
