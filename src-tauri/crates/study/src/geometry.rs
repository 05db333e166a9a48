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
