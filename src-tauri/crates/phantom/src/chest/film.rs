//! From path lengths to a film: exposure, scatter, noise, blur, processing, collimation.

use rand::Rng;

use crate::draw::{Fill, Knot, Plane, smoothstep};
use crate::random::{Purpose, between, chance, counter_normal, mix, stream_at};
use crate::spec::{Site, Spec, View};

/// A finished radiograph.
#[derive(Clone, Debug, PartialEq)]
pub struct Radiograph {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// 12-bit presentation values (0 black, 4095 white), row by row.
    pub values: Vec<u16>,
    /// Distance between pixel centres at the detector in millimetres.
    pub spacing_mm: f32,
}

impl Radiograph {
    /// The radiograph as 8-bit grey levels.
    pub fn to_display_u8(&self) -> Vec<u8> {
        self.values.iter().map(|&v| (v >> 4) as u8).collect()
    }
}

/// The placement of the reference body on the film.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    /// Pixels per millimetre.
    pub(crate) pixels_per_mm: f32,
    cos: f32,
    sin: f32,
    /// Reference point (mm, scaled body) at the film's centre.
    centre: (f32, f32),
    scale: (f32, f32),
    half: (f32, f32),
}

impl Placement {
    /// Centres the film of `field` millimetres on `centre` (scaled millimetres) and turns it.
    pub(crate) fn new(
        field: (f32, f32),
        centre: (f32, f32),
        scale: (f32, f32),
        angle: f32,
        size: (usize, usize),
    ) -> Self {
        let pixels_per_mm = (size.0 as f32 / field.0).min(size.1 as f32 / field.1);
        Self {
            pixels_per_mm,
            cos: angle.cos(),
            sin: angle.sin(),
            centre,
            scale,
            half: ((size.0 as f32 - 1.0) / 2.0, (size.1 as f32 - 1.0) / 2.0),
        }
    }

    /// Reference millimetres to pixels.
    pub(crate) fn to_pixel(self, x: f32, y: f32) -> (f32, f32) {
        let (dx, dy) = (
            x * self.scale.0 - self.centre.0,
            y * self.scale.1 - self.centre.1,
        );
        (
            self.half.0 + self.pixels_per_mm * (self.cos * dx - self.sin * dy),
            self.half.1 + self.pixels_per_mm * (self.sin * dx + self.cos * dy),
        )
    }

    /// Pixels to reference millimetres.
    pub(crate) fn to_body(self, px: f32, py: f32) -> (f32, f32) {
        let (ex, ey) = (
            (px - self.half.0) / self.pixels_per_mm,
            (py - self.half.1) / self.pixels_per_mm,
        );
        let (dx, dy) = (
            self.cos * ex + self.sin * ey,
            -self.sin * ex + self.cos * ey,
        );
        (
            (dx + self.centre.0) / self.scale.0,
            (dy + self.centre.1) / self.scale.1,
        )
    }

    /// Pixels per reference millimetre, averaged over directions.
    pub(crate) fn unit(self) -> f32 {
        self.pixels_per_mm * (self.scale.0 * self.scale.1).sqrt()
    }
}

/// What the rays cross, in millimetres of each material.
pub(crate) struct Paths {
    /// Water-equivalent soft tissue.
    pub(crate) soft: Plane,
    /// Mineral of bone, beyond soft tissue.
    pub(crate) bone: Plane,
    /// Metal.
    pub(crate) metal: Plane,
}

/// Attenuation per millimetre at an effective energy of about 60 keV (NIST XCOM: water 0.0206;
/// cortical bone 0.060, here what it adds to the water it displaces; steel and titanium far above).
const SOFT: f32 = 0.0175;
const BONE: f32 = 0.030;
const METAL: f32 = 0.55;

/// How a film was made.
#[derive(Clone, Debug)]
pub(crate) struct Acquisition {
    pub(crate) angle: f32,
    pub(crate) shift: (f32, f32),
    pub(crate) zoom: f32,
    scatter: f32,
    noise: f32,
    focus_mm: f32,
    contrast: f32,
    gamma: f32,
    edge: f32,
    flatten: f32,
    black: f32,
    white: f32,
    collimation: [f32; 4],
    pub(crate) marker: Option<Marker>,
    key: u64,
}

/// A lead letter on the film.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marker {
    pub(crate) letter: char,
    pub(crate) x: f32,
    pub(crate) y: f32,
}

impl Acquisition {
    pub(crate) fn of(spec: &Spec, view: View) -> Self {
        let rng = &mut stream_at(spec.seed, Purpose::Acquisition, view as u64);
        let portable = view == View::Ap;
        let b = spec.site == Site::B;
        let edge_crop = |rng: &mut rand_chacha::ChaCha8Rng| {
            if chance(rng, 0.25) {
                between(rng, 0.0, 0.045)
            } else {
                -1.0
            }
        };
        let marker = chance(rng, if b { 0.6 } else { 0.45 }).then(|| {
            let left = chance(rng, 0.5);
            Marker {
                letter: if left { 'L' } else { 'R' },
                x: if left {
                    between(rng, 0.88, 0.94)
                } else {
                    between(rng, 0.06, 0.12)
                },
                y: between(rng, 0.05, 0.16),
            }
        });
        Self {
            angle: between(rng, -0.035, 0.035) * if portable { 1.8 } else { 1.0 },
            shift: (between(rng, -9.0, 9.0), between(rng, -10.0, 10.0)),
            zoom: between(rng, 0.94, 1.06),
            scatter: between(rng, 0.38, 0.60) + if portable { 0.14 } else { 0.0 },
            noise: if b {
                between(rng, 0.010, 0.024)
            } else {
                between(rng, 0.004, 0.010)
            },
            focus_mm: between(rng, 0.25, 0.6) + if portable { 0.25 } else { 0.0 },
            contrast: if b {
                between(rng, 0.72, 1.25)
            } else {
                between(rng, 0.9, 1.2)
            },
            gamma: if b {
                between(rng, 0.85, 1.35)
            } else {
                between(rng, 0.85, 1.15)
            },
            edge: if b {
                between(rng, 0.0, 0.35)
            } else {
                between(rng, 0.1, 0.6)
            },
            flatten: between(rng, 0.1, 0.5),
            black: if b {
                between(rng, 0.02, 0.16)
            } else {
                between(rng, 0.01, 0.07)
            },
            white: if b {
                between(rng, 0.84, 1.0)
            } else {
                between(rng, 0.88, 0.99)
            },
            collimation: [
                edge_crop(rng),
                edge_crop(rng),
                edge_crop(rng),
                edge_crop(rng),
            ],
            marker: if rng.random::<bool>() || view.is_frontal() {
                marker
            } else {
                None
            },
            key: mix(spec.seed ^ (0xF11A << 8) ^ view as u64),
        }
    }

    /// Exposes and processes a film.
    pub(crate) fn develop(&self, paths: Paths, spacing_mm: f32) -> Radiograph {
        let Paths { soft, bone, metal } = paths;
        let (width, height) = (soft.width, soft.height);
        let per_mm = 1.0 / spacing_mm;
        let mut dose = soft.clone();
        for (d, (b, m)) in dose
            .values
            .iter_mut()
            .zip(bone.values.iter().zip(&metal.values))
        {
            *d = (-(SOFT * *d + BONE * *b + METAL * m.min(6.0))).exp();
        }
        let mut scattered = soft;
        for (s, d) in scattered.values.iter_mut().zip(&dose.values) {
            // Air beside the body scatters nothing.
            *s = d.min(0.30);
        }
        scattered.blur((38.0 * per_mm).max(1.0));
        dose.blur(self.focus_mm * per_mm);
        // Quantum noise falls with the number of photons in a pixel.
        let noise = self.noise * (0.6 + 0.4 * (0.3 / spacing_mm).min(1.6));
        for (i, (d, s)) in dose.values.iter_mut().zip(&scattered.values).enumerate() {
            let signal = *d + self.scatter * s;
            let sigma = noise * (0.12 / signal.max(0.004)).sqrt();
            *d = -signal.max(1e-4).ln() + sigma * counter_normal(self.key, i as u64);
        }
        let mut density = dose;
        if spacing_mm < 0.6 {
            density.blur((0.18 * per_mm).min(0.8));
        }
        let (low, high) = self.range(&density);
        let span = (high - low).max(0.2);
        for v in &mut density.values {
            *v = (*v - low) / span;
        }
        let mut fine = density.clone();
        fine.blur(2.6 * per_mm);
        let mut broad = density.clone();
        broad.blur(45.0 * per_mm);
        let mut values = Vec::with_capacity(width * height);
        for (i, &v) in density.values.iter().enumerate() {
            let sharp = self.edge * (v - fine.values[i]).clamp(-0.12, 0.12);
            let flat = self.flatten * (v - broad.values[i]);
            let t = v + sharp + flat * 0.6;
            let curved = self.curve(t);
            let (fx, fy) = (
                (i % width) as f32 / (width - 1).max(1) as f32,
                (i / width) as f32 / (height - 1).max(1) as f32,
            );
            let open = self.open_at(fx, fy);
            values.push(((curved * open).clamp(0.0, 1.0) * 4095.0).round() as u16);
        }
        Radiograph {
            width,
            height,
            values,
            spacing_mm,
        }
    }

    /// The densities that become dark and bright: percentiles of the body.
    fn range(&self, density: &Plane) -> (f32, f32) {
        const BINS: usize = 512;
        let mut bins = [0u32; BINS];
        let mut total = 0u32;
        for &v in &density.values {
            if v > 0.35 {
                bins[((v * 100.0) as usize).min(BINS - 1)] += 1;
                total += 1;
            }
        }
        let at = |fraction: f32| {
            let mut sum = 0;
            for (i, &n) in bins.iter().enumerate() {
                sum += n;
                if sum as f32 >= fraction * total as f32 {
                    return i as f32 / 100.0;
                }
            }
            BINS as f32 / 100.0
        };
        (at(0.06), at(0.975) + 0.12)
    }

    /// The characteristic curve: 0 is the darkest lung, 1 the densest body.
    fn curve(&self, t: f32) -> f32 {
        let slope = 3.9 * self.contrast;
        let mid = 0.53;
        let raw = 1.0 / (1.0 + (-slope * (t - mid)).exp());
        let lift = |x: f32| 1.0 / (1.0 + (-slope * (x - mid)).exp());
        let (floor, ceiling) = (lift(-0.22), lift(1.12));
        let unit = ((raw - floor) / (ceiling - floor))
            .clamp(0.0, 1.0)
            .powf(self.gamma);
        let toe = smoothstep(-0.6, -0.05, t);
        (self.black * toe + (self.white - self.black * toe) * unit).clamp(0.0, 1.0)
    }

    /// 1 within the collimated field, 0 outside.
    fn open_at(&self, fx: f32, fy: f32) -> f32 {
        let [left, right, top, bottom] = self.collimation;
        let soft = |edge: f32, d: f32| {
            if edge < 0.0 {
                1.0
            } else {
                smoothstep(edge - 0.004, edge + 0.004, d)
            }
        };
        soft(left, fx) * soft(right, 1.0 - fx) * soft(top, fy) * soft(bottom, 1.0 - fy)
    }
}

/// Draws the side marker into the metal of a film.
pub(crate) fn draw_marker(acquisition: &Acquisition, metal: &mut Plane) {
    let Some(marker) = acquisition.marker else {
        return;
    };
    let size = 0.030 * metal.height.max(metal.width) as f32;
    let (cx, cy) = (
        marker.x * metal.width as f32,
        marker.y * metal.height as f32,
    );
    let strokes: &[&[(f32, f32)]] = match marker.letter {
        'L' => &[&[(-0.5, -1.0), (-0.5, 1.0), (0.6, 1.0)]],
        _ => &[
            &[
                (-0.5, 1.0),
                (-0.5, -1.0),
                (0.2, -1.0),
                (0.55, -0.72),
                (0.55, -0.3),
                (0.2, 0.0),
                (-0.5, 0.0),
            ],
            &[(0.05, 0.0), (0.6, 1.0)],
        ],
    };
    let mut scratch = Plane::new(metal.width, metal.height);
    for line in strokes {
        let knots: Vec<Knot> = line
            .iter()
            .map(|&(x, y)| Knot {
                x: cx + size * x,
                y: cy + size * y,
                radius: 0.19 * size,
                weight: 1.0,
            })
            .collect();
        metal.add_tube(
            &knots,
            Fill::Solid,
            6.0 / (0.19 * size).max(0.3),
            &mut scratch,
        );
    }
}
