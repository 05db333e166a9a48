//! Images that are no radiographs, told by their pixels alone.

use lucency_zoo::preprocess::Image8;

use crate::dto::{Caution, CautionReason};
use crate::picture::Picture;

/// DICOM modalities that are photographs, drawings or curves.
const NOT_RADIOLOGY: &[&str] = &[
    "XC", "ES", "GM", "SM", "OP", "OPT", "DMS", "ECG", "EPS", "HD", "DOC",
];
/// A pixel whose channels differ by more than this is coloured.
const COLOURED: u8 = 24;
/// Share of coloured pixels that annotations on a radiograph do not reach. The most of VQA-RAD's 314 training images: 0.8 %.
const COLOUR_SHARE: f64 = 0.02;
/// Correlation of neighbouring pixels below which an image is noise. The least of any radiograph seen, a MedNIST chest CT
/// of 64 × 64 pixels: 0.26.
const LEAST_CORRELATION: f64 = 0.2;
/// Fewer grey levels than this make a drawing; the fewest of any radiograph seen: 64.
const FEWEST_LEVELS: usize = 16;
/// A level that covers less than this share of the image does not count.
const LEVEL_SHARE: f64 = 0.0002;
/// One level on more than this share leaves nothing to look at; the most of any radiograph seen: 78 %.
const UNIFORM_SHARE: f64 = 0.95;
/// Rows that are looked at; of larger images as many, evenly spread.
const ROWS: usize = 512;

/// Why a picture is no radiograph, if it is none.
pub(super) fn doubt(picture: &Picture) -> Option<Caution> {
    let why = if NOT_RADIOLOGY.contains(&picture.modality.as_str()) {
        format!("The file's modality is {}", picture.modality)
    } else {
        look(&picture.image)?.to_owned()
    };
    Some(Caution {
        reason: CautionReason::NotARadiograph,
        message: format!("{why}. The model knows radiographs, CT and MR images only."),
    })
}

fn look(image: &Image8) -> Option<&'static str> {
    let seen = Seen::of(image);
    if seen.coloured > COLOUR_SHARE {
        Some("The image is in colour, which radiographs are not")
    } else if seen.commonest > UNIFORM_SHARE {
        Some("The image is almost uniform: there is nothing to answer from")
    } else if seen.levels < FEWEST_LEVELS {
        Some("The image has very few shades, like a drawing")
    } else if seen.correlation < LEAST_CORRELATION {
        Some("The image is noise")
    } else {
        None
    }
}

/// What is counted in an image.
struct Seen {
    /// Share of coloured pixels.
    coloured: f64,
    /// Correlation of pixels with their right neighbours.
    correlation: f64,
    /// Grey levels in use.
    levels: usize,
    /// Share of the commonest grey level.
    commonest: f64,
}

impl Seen {
    fn of(image: &Image8) -> Self {
        let step = image.height.div_ceil(ROWS).max(1);
        let (mut coloured, mut total) = (0usize, 0usize);
        let mut counts = [0usize; 256];
        let mut pairs = Pairs::default();
        for row in image
            .data
            .chunks_exact(image.width * image.channels)
            .step_by(step)
        {
            let mut left = None;
            for pixel in row.chunks_exact(image.channels) {
                let (grey, spread) = grey_and_spread(pixel);
                coloured += usize::from(spread > COLOURED);
                total += 1;
                counts[usize::from(grey)] += 1;
                if let Some(left) = left.replace(grey) {
                    pairs.add(f64::from(left), f64::from(grey));
                }
            }
        }
        let share = |n: usize| n as f64 / total.max(1) as f64;
        Self {
            coloured: share(coloured),
            correlation: pairs.correlation(),
            levels: counts.iter().filter(|&&n| share(n) > LEVEL_SHARE).count(),
            commonest: share(counts.iter().copied().max().unwrap_or(0)),
        }
    }
}

fn grey_and_spread(pixel: &[u8]) -> (u8, u8) {
    let (low, high) = pixel
        .iter()
        .fold((255, 0), |(l, h), &v| (v.min(l), v.max(h)));
    let sum: usize = pixel.iter().map(|&v| usize::from(v)).sum();
    ((sum / pixel.len().max(1)) as u8, high - low)
}

/// Sums over pairs of neighbours.
#[derive(Default)]
struct Pairs {
    n: f64,
    a: f64,
    b: f64,
    aa: f64,
    bb: f64,
    ab: f64,
}

impl Pairs {
    fn add(&mut self, a: f64, b: f64) {
        self.n += 1.0;
        self.a += a;
        self.b += b;
        self.aa += a * a;
        self.bb += b * b;
        self.ab += a * b;
    }

    /// Pearson's correlation; 1 where nothing varies.
    fn correlation(&self) -> f64 {
        let covariance = self.n * self.ab - self.a * self.b;
        let variances = (self.n * self.aa - self.a * self.a) * (self.n * self.bb - self.b * self.b);
        if variances > 0.0 {
            covariance / variances.sqrt()
        } else {
            1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(channels: usize, value: impl Fn(usize, usize, usize) -> u8) -> Image8 {
        let side = 96;
        let at = |i: usize| value(i / channels % side, i / channels / side, i % channels);
        let data = (0..side * side * channels).map(at).collect();
        Image8::new(side, side, channels, data).expect("the sizes fit")
    }

    /// A number that looks random.
    fn hash(x: usize, y: usize, c: usize) -> u8 {
        let mut z = (x * 73_856_093) ^ (y * 19_349_663) ^ (c * 83_492_791);
        z = (z ^ (z >> 13)).wrapping_mul(0x5bd1_e995);
        (z >> 11) as u8
    }

    #[test]
    fn noise_drawings_and_uniform_images_are_told_from_radiographs() {
        let noise = look(&image(1, hash)).expect("noise is no radiograph");
        assert!(noise.contains("noise"), "{noise}");
        let colour = look(&image(3, hash)).expect("colour noise is no radiograph");
        assert!(colour.contains("colour"), "{colour}");
        let lines = |x: usize, y: usize, _| {
            if x.is_multiple_of(9) || y == x {
                0
            } else {
                255
            }
        };
        let drawing = look(&image(1, lines)).expect("a drawing is no radiograph");
        assert!(drawing.contains("drawing"), "{drawing}");
        let black = look(&image(1, |_, _, _| 0)).expect("nothing is no radiograph");
        assert!(black.contains("uniform"), "{black}");
    }

    #[test]
    fn a_grey_picture_with_a_small_coloured_mark_may_be_one() {
        let film = |x: usize, y: usize, c: usize| match (x, y) {
            (0..4, 0..4) => [255, 0, 0][c],
            _ => (128.0 + 90.0 * (x as f64 / 17.0).sin() * (y as f64 / 23.0).cos()) as u8,
        };
        assert_eq!(look(&image(3, film)), None);
    }
}
