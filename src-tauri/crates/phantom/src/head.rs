//! Computed tomography of the head in Hounsfield units, from analytic shapes.
//!
//! Axes in millimetres: x to the patient's left, y to the back, z up; the origin lies in the midline
//! between the third ventricle and the brainstem. Tissue values follow the usual ranges (grey
//! matter 37–41, white matter 26–30, cerebrospinal fluid 5–12, fresh blood 55–80 HU; Hofer, "CT
//! Teaching Manual").

use rand::Rng;

use crate::draw::{Plane, Texture, smoothstep};
use crate::random::{Purpose, between, chance, counter_normal, mix, stream};
use crate::spec::{Finding, Lesion, Place, Side, Site, Spec};

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

/// A lesion's ellipsoid.
#[derive(Clone, Copy, Debug)]
struct Focus {
    lesion: Lesion,
    sign: f32,
    at: (f32, f32, f32),
    half: (f32, f32, f32),
}

/// The head of one patient.
struct Head {
    half_x: f32,
    half_y: f32,
    scalp: f32,
    skull: f32,
    atrophy: f32,
    ventricle: f32,
    grey: f32,
    white: f32,
    angle: (f32, f32),
    shift: (f32, f32),
    noise: f32,
    kernel_mm: f32,
    calcified: bool,
    texture: Texture,
    focus: Option<Focus>,
}

/// What is the same for a whole slice.
struct Cut {
    half_x: f32,
    half_y: f32,
}

/// A named ellipsoid: centre (x by side), half axes, value.
struct Nucleus {
    at: (f32, f32, f32),
    half: (f32, f32, f32),
}

const FLUID: f32 = 7.0;

impl Head {
    fn of(spec: &Spec) -> Self {
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

    fn to_body(&self, px: usize, py: usize, size: usize) -> (f32, f32) {
        let mm = FIELD_MM / size as f32;
        let half = (size as f32 - 1.0) / 2.0;
        let (ex, ey) = (
            (px as f32 - half) * mm - self.shift.0,
            (py as f32 - half) * mm - self.shift.1,
        );
        let (c, s) = self.angle;
        (c * ex + s * ey, -s * ex + c * ey)
    }

    fn to_pixel(&self, x: f32, y: f32, size: usize) -> (f32, f32) {
        let mm = FIELD_MM / size as f32;
        let half = (size as f32 - 1.0) / 2.0;
        let (c, s) = self.angle;
        (
            (c * x - s * y + self.shift.0) / mm + half,
            (s * x + c * y + self.shift.1) / mm + half,
        )
    }

    fn cut(&self, z: f32) -> Cut {
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
    fn depth(cut: &Cut, x: f32, y: f32) -> f32 {
        // The forehead is narrower than the back of the head.
        let wide = cut.half_x * (1.0 + 0.07 * (y / cut.half_y).clamp(-1.0, 1.0));
        let (u, v) = (x / wide, y / cut.half_y);
        let e = (u * u + v * v).sqrt();
        let boxy = e * (1.0 + 0.10 * u * u * v * v / (e * e * e * e).max(1e-6));
        (1.0 - boxy) * (x * x + y * y).sqrt().max(20.0) / e.max(0.25)
    }

    /// Hounsfield units at a point.
    fn value(&self, cut: &Cut, x: f32, y: f32, z: f32) -> f32 {
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
    fn push(&self, focus: &Focus) -> f32 {
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

    /// Grey and white matter, sulci, ventricles, falx.
    fn healthy(&self, x: f32, y: f32, z: f32, inner: f32, swell: f32) -> f32 {
        let t = &self.texture;
        let ax = x.abs();
        let open = self.atrophy * (1.0 - 0.85 * swell);
        let warp = 5.0 * t.octave(x * 0.045 + 3.0, y * 0.045 + z * 0.05);
        let fold = t.octave(
            (x + warp) * 0.085 + z * 0.021,
            (y - warp) * 0.085 + z * 0.033,
        );
        let fold = fold.abs() + 0.05 * t.octave(x * 0.3, y * 0.3);
        // Depth to which sulci and cortex reach; deeper at the insula.
        let to_middle = ax + 2.5 * t.octave(y * 0.07, z * 0.09);
        let shell = inner.min(if z > 34.0 || y.abs() > 36.0 {
            to_middle
        } else {
            99.0
        });
        let reach = 1.0 - smoothstep(11.0, 20.0, shell);
        let mut value = self.white;
        let cortex = smoothstep(0.34, 0.18, fold + 0.022 * shell - 0.08) * reach;
        let cortex = cortex.max(1.0 - smoothstep(2.0, 4.5, shell));
        value += (self.grey - self.white) * cortex;
        let gap = 0.045 + 0.07 * open;
        let sulcus = smoothstep(gap + 0.03, gap - 0.02, fold) * smoothstep(15.0, 9.0, shell);
        let rim = 1.0 - smoothstep(0.5 + 1.6 * open, 1.4 + 2.0 * open, inner);
        value += (FLUID + 3.0 - value) * (sulcus * (0.45 + 0.5 * open).min(1.0)).max(rim * 0.9);

        let v = self.ventricle * (1.0 - 0.45 * swell);
        let side = if x < 0.0 { -1.0 } else { 1.0 };
        let inside = |n: &Nucleus, grow: f32| {
            let dx = (side * x - n.at.0) / (n.half.0 * grow);
            let dy = (y - n.at.1) / (n.half.1 * grow.sqrt());
            let dz = (z - n.at.2) / (n.half.2 * grow.sqrt());
            1.0 - (dx * dx + dy * dy + dz * dz).sqrt()
        };
        // Deep grey matter: caudate, lentiform, thalamus.
        for n in &NUCLEI {
            value += (self.grey - 2.5 - value) * smoothstep(-0.12, 0.22, inside(n, 1.0));
        }
        // The insula and the Sylvian fissure.
        let sylvian_x = 44.0 + 0.05 * (y + 6.0) - 0.12 * (z - 8.0);
        let sylvian = (ax - sylvian_x - 2.0 * fold * 4.0).abs();
        let span = (1.0 - smoothstep(14.0, 24.0, (y + 4.0).abs()))
            * (1.0 - smoothstep(8.0, 18.0, (z - 8.0).abs()));
        value += (self.grey - value) * span * (1.0 - smoothstep(3.0, 6.0, sylvian));
        value += (FLUID + 3.0 - value)
            * span
            * (1.0 - smoothstep(0.8 + 1.3 * open, 1.8 + 1.6 * open, sylvian));
        // The ventricles: horns lean outwards.
        for (k, n) in VENTRICLES.iter().enumerate() {
            let lean = match k {
                0 => 0.22 * (y - n.at.1).abs() * if y < n.at.1 { 1.0 } else { 0.1 },
                1 => 0.0,
                _ => 0.12 * (y - n.at.1),
            };
            let moved = Nucleus {
                at: (n.at.0 * (0.8 + 0.2 * v) + lean * 0.6, n.at.1, n.at.2),
                half: n.half,
            };
            value += (FLUID - value) * smoothstep(-0.10, 0.08, inside(&moved, v));
        }
        let third = 1.0
            - ((x / (2.4 * v)).powi(2) + ((y - 4.0) / 13.0).powi(2) + ((z - 8.0) / 11.0).powi(2))
                .sqrt();
        value += (FLUID - value) * smoothstep(-0.1, 0.1, third);
        // Basal cisterns: suprasellar and around the midbrain.
        let star = 1.0
            - ((x / 15.0).powi(2) + ((y + 14.0) / 9.0).powi(2) + ((z + 7.0) / 5.5).powi(2)).sqrt();
        let ring = ((x / 17.0).powi(2) + ((y - 12.0) / 16.0).powi(2)).sqrt();
        let ring = (1.0 - ((ring - 1.0).abs() / 0.10))
            * smoothstep(-2.0, 6.0, y)
            * (1.0 - smoothstep(4.0, 8.0, (z + 6.0).abs()));
        value +=
            (FLUID + 3.0 - value) * smoothstep(0.0, 0.25, star).max(smoothstep(0.0, 0.5, ring));
        // Fissure and falx.
        let falx = if z > 44.0 {
            1.0
        } else {
            smoothstep(30.0, 38.0, (y - 2.0).abs())
        } * smoothstep(2.0, 14.0, z);
        let width = 1.0 + 1.3 * open;
        value += (FLUID + 6.0 - value)
            * falx
            * (1.0 - smoothstep(width, width + 1.2, to_middle.min(ax + 0.8)))
            * 0.8;
        value += (46.0 - value) * falx * (1.0 - smoothstep(0.5, 1.1, ax));
        if self.calcified {
            let pineal =
                (x / 2.6).powi(2) + ((y - 22.0) / 2.6).powi(2) + ((z - 12.0) / 3.5).powi(2);
            if pineal < 1.0 {
                value = 130.0;
            }
            let choroid = ((ax - 25.0) / 3.0).powi(2)
                + ((y - 36.0) / 4.0).powi(2)
                + ((z - 19.0) / 4.0).powi(2);
            if choroid < 1.0 {
                value = 110.0;
            }
        }
        value
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

    /// Orbits, sinuses, petrous bones and the posterior fossa; None where there is plain brain.
    fn skull_base(&self, cut: &Cut, x: f32, y: f32, z: f32, inner: f32) -> Option<f32> {
        let t = &self.texture;
        let ax = x.abs();
        let deep = smoothstep(-6.0, -16.0, z);
        // Petrous ridges run from the side to the middle, forwards.
        let ridge = (y - 22.0 + 0.55 * (46.0 - ax)).abs();
        let wall = 6.0 + 6.0 * deep + 0.10 * ax;
        if z < -10.0 && ridge < wall && (14.0..66.0).contains(&ax) {
            let cells = t.octave(x * 0.33, y * 0.33 + z * 0.4);
            let mastoid = ax > 46.0 && cells > 0.05;
            return Some(if mastoid {
                -550.0
            } else {
                900.0 + 350.0 * cells
            });
        }
        // The face: orbits, ethmoid and sphenoid.
        let face = -cut.half_y + 46.0 + 0.012 * ax * ax;
        if z < -10.0 && y < face {
            if inner < 1.0 {
                return Some(700.0);
            }
            let globe =
                ((ax - 31.0).powi(2) + (y + cut.half_y - 27.0).powi(2) + (z + 24.0).powi(2)).sqrt();
            if globe < 12.0 {
                return Some(if globe > 10.8 { 55.0 } else { 14.0 });
            }
            let orbit = ((ax - 29.0) / 19.0).powi(2) + ((y + cut.half_y - 34.0) / 25.0).powi(2);
            if orbit < 1.0 {
                let nerve = (ax - 31.0 + 0.4 * (y + cut.half_y - 38.0)).abs() < 2.2
                    && y > -cut.half_y + 38.0;
                let muscle = orbit > 0.55 && orbit < 0.78;
                return Some(if nerve {
                    40.0
                } else if muscle {
                    30.0
                } else {
                    -85.0
                });
            }
            if orbit < 1.22 {
                return Some(650.0);
            }
            if ax < 12.0 {
                let septa = t.octave(x * 0.28, y * 0.22);
                return Some(if septa > 0.3 { 350.0 } else { -950.0 });
            }
            return Some(if t.octave(x * 0.1, y * 0.1) > 0.2 {
                60.0
            } else {
                500.0
            });
        }
        if z < -14.0 && ax < 15.0 && (face..face + 24.0).contains(&y) {
            return Some(if ax < 1.2 { 300.0 } else { -900.0 });
        }
        // Sphenoid wings separate the middle from the anterior fossa.
        let wing = (y + 34.0 - 0.35 * ax).abs();
        if z < -8.0 && wing < 3.5 + 3.0 * deep && ax > 12.0 {
            return Some(850.0);
        }
        // Cerebellum, brainstem and fourth ventricle.
        if y > 14.0 && z < -8.0 {
            let fourth =
                (x / 7.0).powi(2) + ((y - 34.0) / 5.0).powi(2) + ((z + 20.0) / 9.0).powi(2);
            if fourth < 1.0 {
                return Some(FLUID);
            }
            let folia = (y * 0.9 + 0.02 * x * x + 3.0 * t.octave(x * 0.06, y * 0.06)).sin();
            let rim = smoothstep(2.0, 1.0, inner);
            let tissue = 35.0 + 1.5 * folia + 2.0 * smoothstep(8.0, 22.0, ax);
            return Some(tissue + (FLUID + 4.0 - tissue) * rim);
        }
        None
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

const NUCLEI: [Nucleus; 3] = [
    Nucleus {
        at: (13.5, -17.0, 20.0),
        half: (5.0, 9.0, 11.0),
    },
    Nucleus {
        at: (25.0, -2.0, 13.0),
        half: (8.0, 16.0, 11.0),
    },
    Nucleus {
        at: (10.5, 13.0, 14.0),
        half: (9.0, 13.0, 10.0),
    },
];

const VENTRICLES: [Nucleus; 3] = [
    Nucleus {
        at: (6.5, -21.0, 23.0),
        half: (4.2, 15.0, 12.0),
    },
    Nucleus {
        at: (9.5, 3.0, 33.0),
        half: (5.6, 28.0, 8.5),
    },
    Nucleus {
        at: (23.0, 31.0, 20.0),
        half: (6.4, 14.0, 11.0),
    },
];

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
