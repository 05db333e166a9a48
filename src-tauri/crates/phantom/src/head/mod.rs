//! Computed tomography of the head in Hounsfield units, from analytic shapes.
//!
//! Axes in millimetres: x to the patient's left, y to the back, z up; the origin lies in the midline
//! between the third ventricle and the brainstem. Tissue values follow the usual ranges (grey
//! matter 37–41, white matter 26–30, cerebrospinal fluid 5–12, fresh blood 55–80 HU; Hofer, "CT
//! Teaching Manual").

mod healthy;
mod patient;
mod tissue;

use rand::Rng;

use patient::Head;

use crate::draw::Plane;
use crate::random::{counter_normal, mix};
use crate::spec::{Place, Spec};

/// One axial slice.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadSlice {
    /// Rows and columns.
    pub size: usize,
    /// Hounsfield units, row by row; row 0 is the front, column 0 the patient's right.
    pub values: Vec<i16>,
    /// Distance between pixel centres in millimetres.
    pub spacing_mm: f32,
    /// Height of the slice in millimetres.
    pub z_mm: f32,
}

impl HeadSlice {
    /// The slice through a window of this centre and width (Hounsfield units) as grey levels.
    /// Source: DICOM PS3.3 C.11.2.1.3.2 (LINEAR_EXACT).
    pub fn to_display_u8(&self, centre: f32, width: f32) -> Vec<u8> {
        let low = centre - width / 2.0;
        self.values
            .iter()
            .map(|&v| {
                ((f32::from(v) - low) / width * 255.0)
                    .clamp(0.0, 255.0)
                    .round() as u8
            })
            .collect()
    }
}

/// Field of view in millimetres.
pub const FIELD_MM: f32 = 222.0;
/// Lowest slice of a volume.
const LOWEST: f32 = -34.0;
/// Distance between slices.
pub const SLICE_STEP_MM: f32 = 5.0;
/// Slices of a volume.
pub const SLICES: usize = 24;

/// Heights of the slices of a volume, from below.
pub fn slice_positions() -> Vec<f32> {
    (0..SLICES)
        .map(|i| LOWEST + SLICE_STEP_MM * i as f32)
        .collect()
}

/// The height of the slice that shows most: through the lesion, or through the ventricles.
pub fn key_slice(spec: &Spec) -> f32 {
    let head = Head::of(spec);
    let wanted = head.focus.map_or(20.0, |f| f.at.2);
    slice_positions()
        .into_iter()
        .min_by(|a, b| (a - wanted).abs().total_cmp(&(b - wanted).abs()))
        .expect("a volume has slices")
}

/// True if the slice at this height cuts the lesion widely enough to be seen.
pub fn slice_shows(spec: &Spec, z_mm: f32) -> bool {
    let head = Head::of(spec);
    head.focus
        .is_some_and(|f| (z_mm - f.at.2).abs() < 0.62 * f.half.2)
}

/// Renders the axial slice at a height (millimetres, see [`slice_positions`]).
pub fn render_head(spec: &Spec, z_mm: f32, size: usize) -> HeadSlice {
    let head = Head::of(spec);
    let spacing_mm = FIELD_MM / size as f32;
    let mut plane = Plane::new(size, size);
    let cut = head.cut(z_mm);
    for py in 0..size {
        for px in 0..size {
            let (x, y) = head.to_body(px, py, size);
            plane.values[py * size + px] = head.value(&cut, x, y, z_mm);
        }
    }
    plane.blur(head.kernel_mm / spacing_mm);
    let key = mix(spec.seed ^ (z_mm as i64 as u64).wrapping_mul(0x51_7CC1));
    let mut noise = Plane::new(size, size);
    for (i, n) in noise.values.iter_mut().enumerate() {
        *n = counter_normal(key, i as u64);
    }
    // Reconstruction correlates noise over about a millimetre.
    let sigma_px = 0.55 / spacing_mm;
    noise.blur(sigma_px);
    let lost = if sigma_px < 0.3 {
        1.0
    } else {
        1.0 + 2.2 * sigma_px
    };
    let values = plane
        .values
        .iter()
        .zip(&noise.values)
        .map(|(v, n)| (v + head.noise * lost * n).clamp(-1024.0, 3071.0).round() as i16)
        .collect();
    HeadSlice {
        size,
        values,
        spacing_mm,
        z_mm,
    }
}

/// Box of the lesion on a slice, pixels: x, y, width, height; None if the slice misses it.
pub(crate) fn lesion_box(spec: &Spec, z_mm: f32, size: usize) -> Option<(f32, f32, f32, f32)> {
    let head = Head::of(spec);
    let focus = head.focus?;
    if !slice_shows(spec, z_mm) {
        return None;
    }
    let up = (z_mm - focus.at.2) / focus.half.2;
    let share = (1.0 - up * up).max(0.05).sqrt();
    let (hx, hy) = match focus.lesion.place {
        Place::Subdural | Place::MiddleCerebral => (focus.half.0, focus.half.1 * share),
        _ => (focus.half.0 * share, focus.half.1 * share),
    };
    let corners = [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)]
        .map(|(sx, sy)| head.to_pixel(focus.at.0 + sx * hx, focus.at.1 + sy * hy, size));
    let x0 = corners.iter().map(|c| c.0).fold(f32::MAX, f32::min);
    let x1 = corners.iter().map(|c| c.0).fold(f32::MIN, f32::max);
    let y0 = corners.iter().map(|c| c.1).fold(f32::MAX, f32::min);
    let y1 = corners.iter().map(|c| c.1).fold(f32::MIN, f32::max);
    Some((x0, y0, x1 - x0, y1 - y0))
}

/// Midline shift in millimetres, 0 without a lesion that pushes.
pub fn midline_shift_mm(spec: &Spec) -> f32 {
    let head = Head::of(spec);
    head.focus.map_or(0.0, |f| head.push(&f))
}

/// A random height among those that show the lesion (or the brain above the skull base).
pub fn sample_slice(spec: &Spec, rng: &mut impl Rng) -> f32 {
    let shown: Vec<f32> = slice_positions()
        .into_iter()
        .filter(|&z| {
            if spec.lesions.is_empty() {
                (0.0..66.0).contains(&z)
            } else {
                slice_shows(spec, z)
            }
        })
        .collect();
    if shown.is_empty() {
        key_slice(spec)
    } else {
        shown[rng.random_range(0..shown.len())]
    }
}
