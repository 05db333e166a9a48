//! The brain without a lesion, and the base of the skull.

use super::patient::{Cut, Head};
use super::tissue::FLUID;
use crate::draw::smoothstep;

/// A named ellipsoid: centre (x by side), half axes, value.
struct Nucleus {
    at: (f32, f32, f32),
    half: (f32, f32, f32),
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

impl Head {
    /// Grey and white matter, sulci, ventricles, falx.
    pub(super) fn healthy(&self, x: f32, y: f32, z: f32, inner: f32, swell: f32) -> f32 {
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

    /// Orbits, sinuses, petrous bones and the posterior fossa; None where there is plain brain.
    pub(super) fn skull_base(&self, cut: &Cut, x: f32, y: f32, z: f32, inner: f32) -> Option<f32> {
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
