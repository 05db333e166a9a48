//! Random views of an image: crop, scale, rotation, mirroring, contrast, noise.

use lucency_zoo::preprocess::Image8;
use rand::Rng;
use serde::{Deserialize, Serialize};

/// How far a random view may stray.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Least side of the crop as a fraction of the image.
    pub scale_min: f64,
    /// Largest side of the crop; above 1 the edge is repeated.
    pub scale_max: f64,
    /// Largest rotation either way, in degrees.
    pub rotation_deg: f64,
    /// Largest relative change of width against height.
    pub aspect: f64,
    /// Largest change of brightness, in fractions of the grey range.
    pub brightness: f64,
    /// Largest relative change of contrast.
    pub contrast: f64,
    /// Largest deviation of ln(gamma).
    pub gamma: f64,
    /// Largest standard deviation of added noise, in fractions of the grey range.
    pub noise: f64,
}

impl Default for Augment {
    fn default() -> Self {
        Self {
            scale_min: 0.82,
            scale_max: 1.04,
            rotation_deg: 7.0,
            aspect: 0.06,
            brightness: 0.08,
            contrast: 0.2,
            gamma: 0.25,
            noise: 0.03,
        }
    }
}

impl Augment {
    /// The image as it is.
    pub fn still() -> Self {
        Self {
            scale_min: 1.0,
            scale_max: 1.0,
            rotation_deg: 0.0,
            aspect: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            gamma: 0.0,
            noise: 0.0,
        }
    }

    /// Small shifts, scales and changes of contrast, between which an answer should not change.
    pub fn gentle() -> Self {
        Self {
            scale_min: 0.94,
            scale_max: 1.0,
            rotation_deg: 2.0,
            aspect: 0.02,
            brightness: 0.03,
            contrast: 0.08,
            gamma: 0.08,
            noise: 0.0,
        }
    }
}

/// Whether the view is a mirror image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facing {
    /// As stored.
    Same,
    /// Mirrored left to right.
    Mirrored,
}

/// From a position in a view to the position in the image that it shows.
#[derive(Clone, Copy, Debug)]
pub struct Warp {
    centre: (f64, f64),
    crop: (f64, f64),
    turn: (f64, f64), // sine and cosine
    flip: f64,
}

impl Warp {
    /// Draws a crop, a scale and a rotation of an image of `width × height`.
    pub fn draw(
        how: &Augment,
        (width, height): (usize, usize),
        facing: Facing,
        rng: &mut impl Rng,
    ) -> Self {
        let (w, h) = (width as f64, height as f64);
        let scale = rng.random_range(how.scale_min..=how.scale_max);
        let stretch = (rng.random_range(-how.aspect..=how.aspect) / 2.0).exp();
        let crop = (w * scale * stretch, h * scale / stretch);
        let mut wander = |room: f64| rng.random_range(-0.5..=0.5) * room;
        let centre = (
            w / 2.0 + wander((w - crop.0).abs() + 0.02 * w),
            h / 2.0 + wander((h - crop.1).abs() + 0.02 * h),
        );
        let angle = rng
            .random_range(-how.rotation_deg..=how.rotation_deg)
            .to_radians();
        Self {
            centre,
            crop,
            turn: angle.sin_cos(),
            flip: if facing == Facing::Mirrored {
                -1.0
            } else {
                1.0
            },
        }
    }

    /// Where a point of the view lies in the image, in pixels from its upper left corner.
    ///
    /// - `across`, `down`: position in the view, 0 to 1
    pub fn source(&self, across: f64, down: f64) -> (f64, f64) {
        let u = self.flip * (across - 0.5) * self.crop.0;
        let v = (down - 0.5) * self.crop.1;
        let (sin, cos) = self.turn;
        (
            self.centre.0 + u * cos - v * sin,
            self.centre.1 + u * sin + v * cos,
        )
    }
}

/// A random view.
///
/// - `image`: one channel
/// - `warp`: where it looks
/// - returns `side × side` grey values in 0..=1, row-major
pub fn augment(
    image: &Image8,
    side: usize,
    how: &Augment,
    warp: &Warp,
    rng: &mut impl Rng,
) -> Vec<f32> {
    let contrast = 1.0 + rng.random_range(-how.contrast..=how.contrast);
    let brightness = rng.random_range(-how.brightness..=how.brightness);
    let gamma = rng.random_range(-how.gamma..=how.gamma).exp();
    let noise = rng.random_range(0.0..=how.noise) as f32;
    // Grey values are changed through a table: the same for every pixel of one view.
    let table: Vec<f32> = (0..256)
        .map(|v| {
            let x = (f64::from(v) / 255.0).powf(gamma);
            ((x - 0.5) * contrast + 0.5 + brightness) as f32
        })
        .collect();
    let mut out = Vec::with_capacity(side * side);
    for row in 0..side {
        let down = (row as f64 + 0.5) / side as f64;
        for column in 0..side {
            let (x, y) = warp.source((column as f64 + 0.5) / side as f64, down);
            out.push(bilinear(image, &table, (x - 0.5) as f32, (y - 0.5) as f32));
        }
    }
    if noise > 0.0 {
        for v in &mut out {
            // The sum of four uniforms is close enough to a normal deviate: variance 4/12.
            let bits: u32 = rng.random();
            let sum: u32 = bits.to_le_bytes().iter().map(|b| u32::from(*b)).sum();
            *v += noise * (sum as f32 / 255.0 - 2.0) * 1.732;
        }
    }
    for v in &mut out {
        *v = v.clamp(0.0, 1.0);
    }
    out
}

/// The whole image without any change, at `side × side`; bilinear, for images close to that size.
///
/// - `image`: one channel
/// - returns `side × side` grey values in 0..=1, row-major
pub fn centre_view(image: &Image8, side: usize) -> Vec<f32> {
    let table: Vec<f32> = (0..256u16).map(|v| f32::from(v) / 255.0).collect();
    let (w, h) = (image.width as f32, image.height as f32);
    let mut out = Vec::with_capacity(side * side);
    for row in 0..side {
        for column in 0..side {
            let x = (column as f32 + 0.5) / side as f32 * w - 0.5;
            let y = (row as f32 + 0.5) / side as f32 * h - 0.5;
            out.push(bilinear(image, &table, x, y));
        }
    }
    out
}

/// The grey value between four pixels; outside the image its edge goes on.
fn bilinear(image: &Image8, table: &[f32], x: f32, y: f32) -> f32 {
    let (w, h) = (image.width, image.height);
    let x = x.clamp(0.0, (w - 1) as f32);
    let y = y.clamp(0.0, (h - 1) as f32);
    let (x0, y0) = (x as usize, y as usize);
    let (x1, y1) = ((x0 + 1).min(w - 1), (y0 + 1).min(h - 1));
    let (fx, fy) = (x - x0 as f32, y - y0 as f32);
    let at = |x: usize, y: usize| table[usize::from(image.data[y * w + x])];
    let top = at(x0, y0) * (1.0 - fx) + at(x1, y0) * fx;
    let bottom = at(x0, y1) * (1.0 - fx) + at(x1, y1) * fx;
    top * (1.0 - fy) + bottom * fy
}
