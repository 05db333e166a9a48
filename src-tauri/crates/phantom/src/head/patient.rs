//! The head of one patient: sizes, tissues, the lesion, and how it lies in the scanner.

use super::FIELD_MM;
use crate::draw::Texture;
use crate::random::{Purpose, between, chance, stream};
use crate::spec::{Lesion, Place, Side, Site, Spec};

/// A lesion's ellipsoid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Focus {
    pub(super) lesion: Lesion,
    pub(super) sign: f32,
    pub(super) at: (f32, f32, f32),
    pub(super) half: (f32, f32, f32),
}

/// The head of one patient.
pub(super) struct Head {
    pub(super) half_x: f32,
    pub(super) half_y: f32,
    pub(super) scalp: f32,
    pub(super) skull: f32,
    pub(super) atrophy: f32,
    pub(super) ventricle: f32,
    pub(super) grey: f32,
    pub(super) white: f32,
    pub(super) angle: (f32, f32),
    pub(super) shift: (f32, f32),
    pub(super) noise: f32,
    pub(super) kernel_mm: f32,
    pub(super) calcified: bool,
    pub(super) texture: Texture,
    pub(super) focus: Option<Focus>,
}

/// What is the same for a whole slice.
pub(super) struct Cut {
    pub(super) half_x: f32,
    pub(super) half_y: f32,
}

impl Head {
    pub(super) fn of(spec: &Spec) -> Self {
        let rng = &mut stream(spec.seed, Purpose::Anatomy);
        let age = (spec.patient.age as f32 - 20.0) / 70.0;
        let stature = spec.patient.stature;
        let site_b = spec.site == Site::B;
        let mut head = Self {
            half_x: 74.0 * stature * between(rng, 0.95, 1.05),
            half_y: 93.0 * stature * between(rng, 0.95, 1.05),
            scalp: between(rng, 4.0, 8.0),
            skull: between(rng, 4.6, 7.2),
            atrophy: (0.25 + 0.75 * age * between(rng, 0.6, 1.3)).clamp(0.1, 1.2),
            ventricle: (0.86 + 0.42 * age * between(rng, 0.6, 1.4)) * between(rng, 0.9, 1.1),
            grey: between(rng, 37.0, 40.0),
            white: between(rng, 26.0, 29.0),
            angle: {
                let a = between(rng, -0.09, 0.09);
                (a.cos(), a.sin())
            },
            shift: (between(rng, -6.0, 6.0), between(rng, -6.0, 6.0)),
            noise: if site_b {
                between(rng, 2.6, 4.4)
            } else {
                between(rng, 1.2, 2.4)
            },
            kernel_mm: if site_b {
                between(rng, 0.35, 0.6)
            } else {
                between(rng, 0.55, 0.85)
            },
            calcified: chance(rng, 0.2 + 0.6 * age.max(0.0)),
            texture: Texture::new(rng),
            focus: None,
        };
        head.focus = spec.lesions.first().map(|l| head.place(l));
        head
    }

    fn place(&self, lesion: &Lesion) -> Focus {
        let sign = if lesion.side == Some(Side::Left) {
            1.0
        } else {
            -1.0
        };
        let (u, v) = lesion.position;
        let r = lesion.size_mm / 2.0;
        let (at, half) = match lesion.place {
            Place::Frontal => (
                (27.0 + 8.0 * u, -40.0 + 10.0 * v, 24.0 + 12.0 * u),
                (r, 1.1 * r, r),
            ),
            Place::Parietal => (
                (30.0 + 8.0 * u, 26.0 + 12.0 * v, 28.0 + 12.0 * u),
                (r, 1.1 * r, r),
            ),
            Place::BasalGanglia => (
                (25.0 + 5.0 * u, -2.0 + 8.0 * v, 14.0 + 6.0 * u),
                (0.85 * r, 1.25 * r, r),
            ),
            Place::Subdural => (
                (
                    self.half_x - self.scalp - self.skull - 0.5 * lesion.size_mm,
                    -12.0 + 24.0 * v,
                    30.0 + 8.0 * u,
                ),
                (lesion.size_mm * 0.6, 52.0, 34.0),
            ),
            Place::PosteriorCerebral => ((22.0, 56.0, 18.0 + 6.0 * u), (22.0, 24.0, 22.0)),
            _ => (
                (44.0, -4.0 + 6.0 * v, 20.0 + 8.0 * u),
                (24.0, 0.62 * lesion.size_mm, 28.0),
            ),
        };
        Focus {
            lesion: *lesion,
            sign,
            at: (sign * at.0, at.1, at.2),
            half,
        }
    }

    pub(super) fn to_body(&self, px: usize, py: usize, size: usize) -> (f32, f32) {
        let mm = FIELD_MM / size as f32;
        let half = (size as f32 - 1.0) / 2.0;
        let (ex, ey) = (
            (px as f32 - half) * mm - self.shift.0,
            (py as f32 - half) * mm - self.shift.1,
        );
        let (c, s) = self.angle;
        (c * ex + s * ey, -s * ex + c * ey)
    }

    pub(super) fn to_pixel(&self, x: f32, y: f32, size: usize) -> (f32, f32) {
        let mm = FIELD_MM / size as f32;
        let half = (size as f32 - 1.0) / 2.0;
        let (c, s) = self.angle;
        (
            (c * x - s * y + self.shift.0) / mm + half,
            (s * x + c * y + self.shift.1) / mm + half,
        )
    }

    pub(super) fn cut(&self, z: f32) -> Cut {
        let taper = if z > 12.0 {
            let t = (z - 12.0) / 78.0;
            (1.0 - t * t).max(0.02).sqrt()
        } else {
            let t = (12.0 - z) / 60.0;
            1.0 - 0.10 * t * t
        };
        Cut {
            half_x: self.half_x * taper,
            half_y: self.half_y * taper,
        }
    }

    /// Depth below the skin in millimetres; negative outside.
    pub(super) fn depth(cut: &Cut, x: f32, y: f32) -> f32 {
        // The forehead is narrower than the back of the head.
        let wide = cut.half_x * (1.0 + 0.07 * (y / cut.half_y).clamp(-1.0, 1.0));
        let (u, v) = (x / wide, y / cut.half_y);
        let e = (u * u + v * v).sqrt();
        let boxy = e * (1.0 + 0.10 * u * u * v * v / (e * e * e * e).max(1e-6));
        (1.0 - boxy) * (x * x + y * y).sqrt().max(20.0) / e.max(0.25)
    }
}
