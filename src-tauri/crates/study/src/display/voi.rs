//! Values of interest: windows and VOI look-up tables.

use super::Lut;

/// Shape of a window's ramp, VOI LUT Function (0028,1056).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VoiFunction {
    /// PS3.3 C.11.2.1.2.1, with its half and its one.
    #[default]
    Linear,
    /// PS3.3 C.11.2.1.3.2.
    LinearExact,
    /// PS3.3 C.11.2.1.3.1.
    Sigmoid,
}

/// A window in modality values.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Window {
    /// Window Center (0028,1050).
    pub center: f64,
    /// Window Width (0028,1051).
    pub width: f64,
    /// VOI LUT Function (0028,1056).
    pub function: VoiFunction,
}

impl Window {
    /// A window with the LINEAR function.
    pub fn linear(center: f64, width: f64) -> Self {
        Self {
            center,
            width,
            function: VoiFunction::Linear,
        }
    }

    /// The window that maps `low` to black and `high` to white.
    pub fn spanning(low: f64, high: f64) -> Self {
        let width = high - low;
        Self {
            center: low + width / 2.0,
            width: if width > 0.0 { width } else { 1.0 },
            function: VoiFunction::LinearExact,
        }
    }

    /// Display fraction in 0..1 of a modality value.
    pub fn apply(&self, x: f64) -> f64 {
        let c = self.center;
        match self.function {
            VoiFunction::Linear => {
                let w = self.width.max(1.0);
                if x <= c - 0.5 - (w - 1.0) / 2.0 {
                    0.0
                } else if x > c - 0.5 + (w - 1.0) / 2.0 {
                    1.0
                } else {
                    (x - (c - 0.5)) / (w - 1.0) + 0.5
                }
            }
            VoiFunction::LinearExact => {
                let w = self.width.max(0.0);
                if x <= c - w / 2.0 {
                    0.0
                } else if x > c + w / 2.0 {
                    1.0
                } else {
                    (x - c) / w + 0.5
                }
            }
            VoiFunction::Sigmoid if self.width <= 0.0 => f64::from(u8::from(x > c)),
            VoiFunction::Sigmoid => 1.0 / (1.0 + (-4.0 * (x - c) / self.width).exp()),
        }
    }
}

/// One way to map modality values to the display range.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Voi {
    /// A window.
    Window(Window),
    /// A table.
    Lut(Lut),
}

impl Voi {
    /// Display fraction in 0..1 of a modality value.
    pub fn apply(&self, x: f64) -> f64 {
        match self {
            Self::Window(window) => window.apply(x),
            Self::Lut(lut) => lut.fraction_at(x),
        }
    }
}

/// A VOI transform with the explanation that the file gives for it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LabelledVoi {
    /// Window Center & Width Explanation (0028,1055) or LUT Explanation (0028,3003); may be empty.
    pub label: String,
    /// The transform.
    #[serde(flatten)]
    pub voi: Voi,
}
