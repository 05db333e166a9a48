//! Where pixels lie and how large they are.

/// What a spacing may be trusted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpacingKind {
    /// Millimetres in the patient: cross-sectional images, or radiographs that say how they were calibrated.
    Calibrated,
    /// Millimetres at the detector: a radiograph magnifies, so the object is smaller than measured.
    AtDetector,
}

/// Distance between pixel centres.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Spacing {
    /// Between rows (downwards), millimetres.
    pub row_mm: f64,
    /// Between columns (to the right), millimetres.
    pub column_mm: f64,
    /// What it may be trusted for.
    pub kind: SpacingKind,
}

/// What a file says about pixel size.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SpacingAttributes {
    /// Pixel Spacing (0028,0030).
    pub pixel_spacing: Option<[f64; 2]>,
    /// Imager Pixel Spacing (0018,1164).
    pub imager_pixel_spacing: Option<[f64; 2]>,
    /// Pixel Spacing Calibration Type (0028,0A02) is present.
    pub calibration_stated: bool,
    /// A projection: the image magnifies what lies off the detector.
    pub projection: bool,
}

impl Spacing {
    /// Decides what the attributes may be trusted for. Source: PS3.3 10.7.1.3.
    ///
    /// Cross-sectional: Pixel Spacing is calibrated. Projection: Pixel Spacing is calibrated when its calibration type is
    /// stated or when it differs from Imager Pixel Spacing; otherwise it, or Imager Pixel Spacing alone, is at the detector.
    pub fn from_attributes(attributes: &SpacingAttributes) -> Option<Self> {
        let valid = |s: &[f64; 2]| s.iter().all(|v| v.is_finite() && *v > 0.0);
        let pixel = attributes.pixel_spacing.filter(valid);
        let imager = attributes.imager_pixel_spacing.filter(valid);
        let kind_of_pixel = |spacing: [f64; 2]| {
            let differs = imager.is_some_and(|i| {
                i.iter()
                    .zip(spacing)
                    .any(|(i, p)| (i - p).abs() > 1e-6 * p.abs())
            });
            if !attributes.projection || attributes.calibration_stated || differs {
                SpacingKind::Calibrated
            } else {
                SpacingKind::AtDetector
            }
        };
        let (spacing, kind) = match (pixel, imager) {
            (Some(spacing), _) => (spacing, kind_of_pixel(spacing)),
            (None, Some(spacing)) => (spacing, SpacingKind::AtDetector),
            (None, None) => return None,
        };
        Some(Self {
            row_mm: spacing[0],
            column_mm: spacing[1],
            kind,
        })
    }
}

/// Which way the patient lies in an image, in words: Patient Orientation (0020,0020).
///
/// Each direction is one to three of the letters A, P, R, L, H and F, the strongest first. Source: PS3.3 C.7.6.1.1.1.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PatientOrientation {
    /// Where a row leads, from left to right.
    pub row: String,
    /// Where a column leads, from top to bottom.
    pub column: String,
}

impl PatientOrientation {
    /// From the attribute's two values; none unless both are directions of a biped.
    pub fn from_values<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut values = values.into_iter().map(str::trim);
        let (row, column) = (values.next()?, values.next()?);
        let directions = values.next().is_none() && is_direction(row) && is_direction(column);
        directions.then(|| Self {
            row: row.to_owned(),
            column: column.to_owned(),
        })
    }
}

/// One to three letters, at most one of each axis.
fn is_direction(word: &str) -> bool {
    let of_axis = |axis: &str| word.chars().filter(|&c| axis.contains(c)).count();
    let axes = [of_axis("AP"), of_axis("RL"), of_axis("HF")];
    !word.is_empty() && axes.iter().all(|&n| n <= 1) && axes.iter().sum::<usize>() == word.len()
}

/// Heights of a pixel in widths.
///
/// - `spacing`: decides if there is one
/// - `ratio`: Pixel Aspect Ratio (0028,0034), vertical and horizontal size in units of their own (PS3.3 C.7.6.3.1.7)
///
/// 1 if the file states neither, or nonsense.
pub fn pixel_aspect(spacing: Option<&Spacing>, ratio: Option<[f64; 2]>) -> f64 {
    let stated = spacing
        .map(|s| [s.row_mm, s.column_mm])
        .or(ratio)
        .map_or(1.0, |[vertical, horizontal]| vertical / horizontal);
    let sensible = 1.0 / LARGEST_ASPECT..=LARGEST_ASPECT;
    if sensible.contains(&stated) {
        stated
    } else {
        1.0
    }
}

/// A pixel that is longer than this in widths, or flatter, is a mistake of the file.
const LARGEST_ASPECT: f64 = 100.0;

/// Unit normal of the image plane, row direction × column direction; `None` when the directions are degenerate.
///
/// Source: PS3.3 C.7.6.2.1.1.
pub fn slice_normal(orientation: &[f64; 6]) -> Option<[f64; 3]> {
    let [rx, ry, rz, cx, cy, cz] = *orientation;
    let normal = [ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx];
    let length = dot(&normal, &normal).sqrt();
    (length > 0.1).then(|| normal.map(|v| v / length))
}

/// Scalar product.
pub fn dot(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
