//! What lies at a place: air, holder, scalp, skull, brain and its lesion.

use super::patient::{Cut, Focus, Head};
use crate::draw::smoothstep;
use crate::spec::{Finding, Place};

/// Hounsfield units of cerebrospinal fluid.
pub(super) const FLUID: f32 = 7.0;

impl Head {
    /// Hounsfield units at a point.
    pub(super) fn value(&self, cut: &Cut, x: f32, y: f32, z: f32) -> f32 {
        let depth = Self::depth(cut, x, y);
        if depth < 0.0 {
            return self.holder(x, y);
        }
        if depth < self.scalp {
            return if depth < 1.6 {
                35.0
            } else {
                -12.0 + 38.0 * self.texture.octave(x * 0.08, y * 0.08 + z)
            };
        }
        let bone = depth - self.scalp;
        let thick = self.skull * (1.0 + 0.18 * self.texture.octave(x * 0.03 + 9.0, y * 0.03))
            + if z > 60.0 { 2.0 } else { 0.0 };
        if bone < thick {
            let t = bone / thick;
            let tables = (2.0 * (t - 0.5)).abs();
            return 620.0 + 780.0 * tables * tables + 120.0 * self.texture.octave(x * 0.4, y * 0.4);
        }
        let inner = bone - thick;
        if z < -4.0
            && let Some(base) = self.skull_base(cut, x, y, z, inner)
        {
            return base;
        }
        self.brain(x, y, z, inner)
    }

    /// The head holder of the table, outside the head.
    fn holder(&self, x: f32, y: f32) -> f32 {
        let r = ((x * 0.92).powi(2) + (y - 8.0).powi(2)).sqrt();
        let shell = (r - self.half_y - 8.0).abs();
        if y > 30.0 && shell < 1.6 {
            -650.0
        } else {
            -1000.0
        }
    }

    /// Brain, its fluid spaces and its lesion; `inner` is the depth below the inner table.
    fn brain(&self, x: f32, y: f32, z: f32, inner: f32) -> f32 {
        let (mut x, y) = (x, y);
        let mut swell = 0.0;
        if let Some(focus) = &self.focus {
            if let Some(blood) = self.subdural(focus, y, z, inner, x) {
                return blood;
            }
            let push = self.push(focus);
            if push > 0.0 {
                let fade =
                    (-((y - focus.at.1) / 62.0).powi(2) - ((z - focus.at.2) / 46.0).powi(2)).exp();
                let middle = 1.0 - smoothstep(20.0, 62.0, x.abs());
                x += focus.sign * push * fade * middle;
                if x * focus.sign > -4.0 {
                    swell = fade * (push / 9.0).min(1.0);
                }
            }
        }
        let normal = self.healthy(x, y, z, inner, swell);
        match &self.focus {
            Some(focus) if focus.lesion.place != Place::Subdural => {
                self.with_lesion(focus, x, y, z, inner, normal)
            }
            _ => normal,
        }
    }

    /// How far the lesion pushes the midline, millimetres.
    pub(super) fn push(&self, focus: &Focus) -> f32 {
        let l = &focus.lesion;
        match (l.finding, l.place) {
            (Finding::Mass, _) => 4.0 + 7.0 * l.conspicuity,
            (_, Place::Subdural) => 0.5 * (l.size_mm - 5.0).max(0.0),
            (Finding::Haemorrhage, _) => 0.13 * (l.size_mm - 18.0).max(0.0),
            _ => 1.2 * l.conspicuity,
        }
    }

    fn subdural(&self, focus: &Focus, y: f32, z: f32, inner: f32, x: f32) -> Option<f32> {
        if focus.lesion.place != Place::Subdural || x * focus.sign < 4.0 {
            return None;
        }
        let along = (y - focus.at.1) / focus.half.1;
        let up = (z - focus.at.2) / focus.half.2;
        let s = 1.0 - along * along - up * up * up * up;
        if s <= 0.0 {
            return None;
        }
        let thick = focus.lesion.size_mm * s.sqrt();
        (inner < thick).then(|| {
            60.0 + 10.0 * focus.lesion.conspicuity + 5.0 * self.texture.octave(x * 0.1, y * 0.1)
        })
    }

    fn with_lesion(&self, focus: &Focus, x: f32, y: f32, z: f32, inner: f32, normal: f32) -> f32 {
        let l = &focus.lesion;
        let t = &self.texture;
        let (dx, dy, dz) = (
            (x - focus.at.0) / focus.half.0,
            (y - focus.at.1) / focus.half.1,
            (z - focus.at.2) / focus.half.2,
        );
        let rho = (dx * dx + dy * dy + dz * dz).sqrt();
        let wobble = 0.24
            * t.fractal(
                0.8 * x + 0.6 * y + 80.0,
                0.8 * y - 0.6 * x + 35.0 + z,
                13.0,
                3,
                0.6,
            );
        match l.finding {
            Finding::Haemorrhage => {
                let blood = 61.0 + 11.0 * l.conspicuity + 4.0 * t.octave(x * 0.12, y * 0.12);
                let oedema = 1.0 - smoothstep(1.05, 1.38, rho + wobble);
                let value = normal + (20.0 - normal) * 0.7 * oedema;
                value + (blood - value) * (1.0 - smoothstep(0.90, 1.02, rho + wobble))
            }
            Finding::Infarct => {
                if x * focus.sign < 3.0 {
                    return normal;
                }
                let region = if l.place == Place::MiddleCerebral {
                    // A wedge: wide at the cortex, its point at the insula.
                    let along = dy.abs() * (1.0 + 0.9 * smoothstep(40.0, 16.0, x.abs()));
                    let deep = smoothstep(16.0, 22.0, x.abs());
                    (1.0 - smoothstep(0.82, 1.08, along + wobble))
                        * deep
                        * (1.0 - smoothstep(0.8, 1.05, dz.abs()))
                } else {
                    1.0 - smoothstep(0.85, 1.1, rho + wobble)
                };
                let low = 21.0 - 7.0 * l.conspicuity;
                let tissue = normal.max(self.white - 2.0).min(self.grey);
                let share = region * smoothstep(0.0, 2.0, inner);
                let wet = low + 0.25 * (tissue - self.white);
                normal.min(tissue)
                    + share * (wet - normal.min(tissue))
                    + (1.0 - share) * (normal - normal.min(tissue))
            }
            _ => {
                // Vasogenic oedema follows white matter in fingers; the mass is a rim round necrosis.
                let fingers = 0.30 * t.fractal(x + 20.0, y + 60.0, 22.0, 3, 0.6);
                let oedema = 1.0 - smoothstep(1.5, 2.1, rho + fingers);
                let in_white = smoothstep(self.grey + 1.0, self.white, normal);
                let mut value = normal + (14.0 - normal) * oedema * (0.35 + 0.65 * in_white);
                let body = 1.0 - smoothstep(0.92, 1.04, rho + 0.6 * wobble);
                let core = 1.0 - smoothstep(0.45, 0.62, rho + wobble);
                let solid = 45.0 + 7.0 * l.conspicuity - 24.0 * core * l.position.0;
                value += (solid - value) * body;
                value
            }
        }
    }
}
