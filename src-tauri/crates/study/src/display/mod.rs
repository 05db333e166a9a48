//! From stored values to what a screen shows: modality transform → VOI → polarity → 8 bit.
//!
//! Pure functions in small types. The arithmetic is fixed to the bit by `tests/vectors/display/README.md`, which the
//! TypeScript viewer obeys too. Sources: PS3.3 C.11.1 (modality), C.11.2 (VOI), C.11.6 (presentation LUT shape).

mod lut;
mod palette;
mod render;
mod voi;

pub use lut::Lut;
pub use palette::Palette;
pub use render::{Image, to_byte};
pub use voi::{LabelledVoi, Voi, VoiFunction, Window};

/// How stored values become modality values (Hounsfield units, counts, optical density, …).
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModalityTransform {
    /// Stored values are modality values.
    Identity,
    /// `stored * slope + intercept`.
    Rescale {
        /// Rescale Slope (0028,1053).
        slope: f64,
        /// Rescale Intercept (0028,1052).
        intercept: f64,
    },
    /// A table, ends clamped.
    Lut(Lut),
}

impl ModalityTransform {
    /// The modality value of one stored value. Source: PS3.3 C.11.1.
    pub fn apply(&self, stored: f64) -> f64 {
        match self {
            Self::Identity => stored,
            Self::Rescale { slope, intercept } => stored * slope + intercept,
            Self::Lut(lut) => lut.at(stored),
        }
    }
}

/// Whether large values are bright.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Polarity {
    /// MONOCHROME2: the largest value is white.
    Normal,
    /// MONOCHROME1 or Presentation LUT Shape INVERSE: the largest value is black, decided after the VOI step.
    Inverted,
}

impl Polarity {
    /// Turns a display fraction in 0..1 around when inverted.
    pub fn apply(self, fraction: f64) -> f64 {
        match self {
            Self::Normal => fraction,
            Self::Inverted => 1.0 - fraction,
        }
    }
}
