//! The body of a chest phantom as analytic shapes in reference millimetres.
//!
//! Axes: x to the patient's left, y down from the lung apices, z to the front; the origin is in the
//! midline at the level of the apices. The body of a person is this reference body scaled along
//! each axis ([`Body::scale`]).

use std::f32::consts::PI;

use rand::Rng;

use super::heart::Heart;
use crate::draw::interpolate;
use crate::random::{Purpose, between, chance, stream};
use crate::spec::{Finding, Lesion, Place, Sex, Side, Spec};

/// Half the inner chest width of the reference body at its widest.
pub(crate) const INNER_HALF_WIDTH: f32 = 140.0;
/// Half the inner chest depth of the reference body at its deepest.
pub(crate) const INNER_HALF_DEPTH: f32 = 92.0;
/// Height of the right dome below the apex.
pub(crate) const RIGHT_DOME: f32 = 212.0;

/// A point in reference millimetres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) z: f32,
}

/// A bent tube: points with radii.
#[derive(Clone, Debug)]
pub(crate) struct Tube {
    pub(crate) points: Vec<(Point, f32)>,
}

/// One diaphragm dome: a paraboloid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dome {
    pub(crate) x: f32,
    pub(crate) z: f32,
    pub(crate) top: f32,
    /// Drop per square millimetre along x and along z.
    pub(crate) bend_x: f32,
    pub(crate) bend_z: f32,
}

/// Everything that does not depend on the view.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// Millimetres per reference millimetre along x, y and z.
    pub(crate) scale: (f32, f32, f32),
    pub(crate) right: Dome,
    pub(crate) left: Dome,
    pub(crate) heart: Heart,
    pub(crate) knob: (f32, f32, f32),
    pub(crate) wall: f32,
    pub(crate) depth_wall: f32,
    pub(crate) breast: f32,
    pub(crate) breast_drop: f32,
    pub(crate) rib_tilt: f32,
    pub(crate) rib_start: f32,
    pub(crate) rib_pitch: f32,
    pub(crate) bone: f32,
    pub(crate) stomach_gas: f32,
    pub(crate) bowel_gas: f32,
    pub(crate) arms_out: f32,
    pub(crate) mediastinum: f32,
    pub(crate) vessel_gain: f32,
    pub(crate) curve: f32,
}

impl Body {
    pub(crate) fn of(spec: &Spec) -> Self {
        let rng = &mut stream(spec.seed, Purpose::Anatomy);
        let patient = &spec.patient;
        let female = patient.sex == Sex::Female;
        let age = (patient.age as f32 - 20.0) / 70.0;
        let portable = spec.views.contains(&crate::spec::View::Ap);
        let width = if female { 0.90 } else { 1.0 };
        let height = if female { 0.99 } else { 1.09 };
        let breath = if portable {
            between(rng, 0.80, 0.95)
        } else {
            between(rng, 0.93, 1.07)
        };
        let scale = (
            width * patient.stature * between(rng, 0.96, 1.05),
            height * patient.stature * breath,
            width * patient.stature * between(rng, 0.92, 1.08) * (1.0 + 0.05 * age),
        );
        let bend = between(rng, 0.8, 1.25);
        let dome = |side: f32, top: f32, rng: &mut rand_chacha::ChaCha8Rng| Dome {
            x: side * INNER_HALF_WIDTH * between(rng, 0.46, 0.54),
            z: 14.0,
            top,
            bend_x: 0.0098 * bend,
            bend_z: 0.0050,
        };
        let right = dome(-1.0, RIGHT_DOME, rng);
        let left_drop = between(rng, 6.0, 18.0);
        let left = dome(1.0, RIGHT_DOME + left_drop, rng);
        let heart = Heart::of(spec.cardiothoracic_ratio, RIGHT_DOME, rng);
        let heavy = patient.habitus.max(-0.8);
        Self {
            scale,
            right,
            left,
            heart,
            knob: (
                between(rng, 10.0, 15.0) + 7.0 * age.max(0.0),
                between(rng, 58.0, 70.0),
                between(rng, 16.0, 19.0) + 5.0 * age.max(0.0),
            ),
            wall: 24.0 + 13.0 * heavy + if female { 0.0 } else { 3.0 },
            depth_wall: 40.0 + 26.0 * heavy,
            breast: if female {
                between(rng, 0.35, 1.0) * (1.0 + 0.5 * heavy)
            } else {
                0.0
            },
            breast_drop: between(rng, 150.0, 185.0) + 12.0 * age,
            rib_tilt: between(rng, 0.85, 1.2),
            rib_start: between(rng, -8.0, 2.0),
            rib_pitch: between(rng, 22.2, 24.6),
            bone: between(rng, 0.75, 1.1) * (1.0 - 0.25 * age),
            stomach_gas: if chance(rng, 0.5) {
                between(rng, 0.3, 1.0)
            } else {
                0.0
            },
            bowel_gas: if chance(rng, 0.4) {
                between(rng, 0.3, 1.0)
            } else {
                0.0
            },
            arms_out: between(rng, 0.0, 1.0),
            mediastinum: between(rng, 0.9, 1.12) + 0.08 * age,
            vessel_gain: between(rng, 0.8, 1.15),
            curve: between(rng, -5.0, 5.0) * (0.3 + age.max(0.0)),
        }
    }

    /// The dome under the lung of this sign (+1 left, −1 right).
    pub(crate) fn dome(&self, sign: f32) -> &Dome {
        if sign > 0.0 { &self.left } else { &self.right }
    }

    /// Half the inner width of the chest at height `y`; 0 above the apices.
    pub(crate) fn inner_half_width(&self, y: f32) -> f32 {
        INNER_HALF_WIDTH * cage(y)
    }

    /// Half the inner depth of the chest at height `y`.
    pub(crate) fn inner_half_depth(&self, y: f32) -> f32 {
        INNER_HALF_DEPTH * cage(y).powf(0.75)
    }

    /// Half the width of the mediastinum at height `y`.
    pub(crate) fn mediastinum_half_width(&self, y: f32) -> f32 {
        self.mediastinum
            * interpolate(
                &[
                    (-40.0, 36.0),
                    (0.0, 33.0),
                    (35.0, 31.0),
                    (60.0, 28.0),
                    (95.0, 28.0),
                    (140.0, 29.0),
                    (230.0, 31.0),
                ],
                y,
            )
    }

    /// Half the width of the trunk or neck at height `y`.
    pub(crate) fn outer_half_width(&self, y: f32) -> f32 {
        let w = self.wall;
        interpolate(
            &[
                (-140.0, 70.0),
                (-95.0, 57.0 + 0.25 * w),
                (-62.0, 62.0 + 0.3 * w),
                (-42.0, 82.0 + 0.5 * w),
                (-24.0, 122.0 + 0.5 * w),
                (-6.0, 150.0 + 0.6 * w),
                (20.0, 158.0 + 0.6 * w),
                (60.0, 148.0 + 0.75 * w),
                (110.0, 144.0 + w),
                (190.0, 144.0 + w),
                (320.0, 138.0 + 1.4 * w),
            ],
            y,
        )
    }

    /// Half the depth of the trunk or neck at height `y`.
    pub(crate) fn outer_half_depth(&self, y: f32) -> f32 {
        let w = 0.5 * self.depth_wall;
        interpolate(
            &[
                (-140.0, 58.0),
                (-80.0, 55.0 + 0.3 * w),
                (-40.0, 62.0 + 0.5 * w),
                (0.0, 72.0 + 0.8 * w),
                (60.0, 88.0 + w),
                (150.0, 94.0 + w),
                (320.0, 94.0 + 1.3 * w),
            ],
            y,
        )
    }

    /// The inner edge and the outer edge of a lung at height `y`, as distances from the midline.
    pub(crate) fn lung_span(&self, y: f32) -> (f32, f32) {
        (self.mediastinum_half_width(y), self.inner_half_width(y))
    }

    /// Where a lung lesion sits.
    pub(crate) fn lung_point(&self, lesion: &Lesion, sign: f32) -> Point {
        let (u, v) = lesion.position;
        let bottom = self.dome(sign).top;
        let (low, high, inner, outer, z) = match lesion.place {
            Place::UpperZone => (0.17, 0.33, 0.42, 0.74, -30.0 + 60.0 * v),
            Place::MidZone => (0.42, 0.60, 0.45, 0.78, -40.0 + 80.0 * u),
            Place::LowerZone => (0.68, 0.84, 0.52, 0.80, -50.0 + 80.0 * u),
            Place::UpperLobe => (0.24, 0.38, 0.42, 0.70, 10.0 + 25.0 * v),
            Place::MiddleLobe => (0.72, 0.80, 0.36, 0.54, 45.0),
            Place::LowerLobe => (0.76, 0.88, 0.44, 0.68, -38.0),
            _ => (0.4, 0.6, 0.5, 0.6, 0.0),
        };
        let y = bottom * (low + (high - low) * v);
        let (medial, lateral) = self.lung_span(y);
        let t = inner + (outer - inner) * u;
        let start = if y > 120.0 && sign > 0.0 {
            // Beside the heart rather than behind it.
            medial.max(self.heart.reach(1.0) * (0.5 + 0.35 * (y - 120.0) / 90.0))
        } else {
            medial
        };
        let x = sign * (start + (lateral - start) * t.min(0.82));
        let half_depth = self.inner_half_depth(y) * 0.7;
        Point {
            x,
            y,
            z: z.clamp(-half_depth, half_depth),
        }
    }

    /// The three-dimensional course of a rib (1 to 10) on one side, with radii.
    pub(crate) fn rib(&self, number: usize, sign: f32) -> Vec<(Point, f32, f32)> {
        let i = number as f32 - 1.0;
        let start = self.rib_start + self.rib_pitch * i;
        let drop = self.rib_tilt * (34.0 + 9.0 * i).min(96.0);
        let lateral_y = (start + 0.5 * drop).max(14.0);
        let reach_x = if number == 1 {
            62.0
        } else {
            self.inner_half_width(lateral_y).max(64.0) + 2.0
        };
        let reach_z = if number == 1 {
            48.0
        } else {
            self.inner_half_depth(lateral_y).max(50.0) + 4.0
        };
        let last = if number > 7 {
            0.72 - 0.04 * (i - 7.0)
        } else {
            0.78
        };
        let steps = 30;
        (0..=steps)
            .map(|k| {
                let t = k as f32 / steps as f32;
                let angle = PI * (0.06 + (last - 0.06) * t);
                let (sin, cos) = angle.sin_cos();
                let flat = sin.abs().powf(0.85);
                let point = Point {
                    x: sign * (reach_x * flat).max(16.0),
                    y: start - 5.0 * (2.2 * angle).sin().max(0.0)
                        + drop * (0.5 - 0.5 * cos).powf(1.1),
                    z: -reach_z * cos,
                };
                // Thinner at the neck; the bony end flares and then fades into cartilage.
                let radius = 4.6 + 1.6 * t.min(0.5) + 0.6 * (t - 0.5).max(0.0);
                let fade = if t > 0.90 {
                    1.0 - (t - 0.90) / 0.14
                } else {
                    1.0
                };
                (point, radius, fade * (1.0 - 0.28 * t))
            })
            .collect()
    }

    /// The branching arteries and veins of both lungs.
    pub(crate) fn vessels(&self, seed: u64) -> Vec<Tube> {
        let rng = &mut stream(seed, Purpose::Vessels);
        let mut tubes = Vec::with_capacity(700);
        for (sign, hilum) in [(-1.0f32, (34.0f32, 112.0f32)), (1.0, (38.0, 104.0))] {
            let trunks: [(f32, f32, f32); 12] = [
                (-1.35, 3.6, 0.0),
                (-1.05, 3.3, 20.0),
                (-0.75, 3.0, -30.0),
                (-0.4, 2.6, 40.0),
                (-0.1, 2.5, -10.0),
                (0.2, 2.8, 30.0),
                (0.5, 3.2, -40.0),
                (0.75, 3.8, 10.0),
                (0.95, 4.4, -30.0),
                (1.15, 5.2, -20.0),
                (1.35, 4.4, 20.0),
                (1.0, 3.2, 50.0),
            ];
            for (angle, radius, z) in trunks {
                let start = Point {
                    x: sign * (hilum.0 + between(rng, -6.0, 6.0)),
                    y: hilum.1 + 16.0 * angle + between(rng, -6.0, 6.0),
                    z: 0.3 * z,
                };
                let angle = angle + between(rng, -0.14, 0.14);
                self.branch(
                    start,
                    sign,
                    angle,
                    z * 0.02,
                    radius * between(rng, 0.85, 1.12),
                    rng,
                    &mut tubes,
                );
            }
        }
        tubes
    }

    #[allow(clippy::too_many_arguments)]
    fn branch(
        &self,
        start: Point,
        sign: f32,
        angle: f32,
        depth_slope: f32,
        radius: f32,
        rng: &mut impl Rng,
        tubes: &mut Vec<Tube>,
    ) {
        if radius < 0.55 || tubes.len() > 900 {
            return;
        }
        let length = (10.0 + 7.0 * radius) * between(rng, 0.7, 1.3);
        let steps = 4;
        let mut points = Vec::with_capacity(steps + 1);
        let mut at = start;
        let mut heading = angle;
        let bend = between(rng, -0.12, 0.12);
        points.push((at, radius));
        for k in 1..=steps {
            heading += bend + between(rng, -0.06, 0.06);
            let step = length / steps as f32;
            at.x += sign * heading.cos() * step;
            at.y += heading.sin() * step;
            at.z += depth_slope * step;
            let r = radius * (1.0 - 0.16 * k as f32 / steps as f32);
            points.push((at, r));
        }
        tubes.push(Tube { points });
        let edge = self.inner_half_width(at.y) - 6.0;
        if at.x * sign > edge
            || at.x * sign < 12.0
            || at.y < 6.0
            || at.y > self.dome(sign).top + 40.0
        {
            return;
        }
        let spread = between(rng, 0.28, 0.55);
        let share = between(rng, 0.62, 0.86);
        let turn = if chance(rng, 0.5) { 1.0 } else { -1.0 };
        self.branch(
            at,
            sign,
            heading + turn * spread * 0.45,
            depth_slope + between(rng, -0.3, 0.3),
            radius * share,
            rng,
            tubes,
        );
        self.branch(
            at,
            sign,
            heading - turn * spread,
            depth_slope + between(rng, -0.4, 0.4),
            radius * (1.36 - share),
            rng,
            tubes,
        );
    }

    /// Depth of effusion fluid, as the height of its level at the lateral wall (a y value).
    pub(crate) fn fluid_level(&self, lesion: &Lesion, sign: f32) -> f32 {
        let side_share = match lesion.side {
            Some(Side::Both) if sign > 0.0 => 0.85,
            _ => 1.0,
        };
        // The recess ends about 45 mm under the dome at the lateral wall.
        self.dome(sign).top + 30.0 - lesion.size_mm * side_share
    }

    /// The lesions that lie in lung, with their points.
    pub(crate) fn lung_lesions<'a>(
        &'a self,
        spec: &'a Spec,
        finding: Finding,
    ) -> impl Iterator<Item = (&'a Lesion, f32, Point)> + 'a {
        spec.lesion(finding).into_iter().flat_map(move |lesion| {
            let signs = lesion.side.map_or(&[][..], Side::signs);
            signs
                .iter()
                .map(move |&sign| (lesion, sign, self.lung_point(lesion, sign)))
        })
    }
}

/// Relative width of the rib cage at height `y`: 0 at the apex, 1 from y = 175 down.
fn cage(y: f32) -> f32 {
    if y <= 0.0 {
        return 0.0;
    }
    let widest = 178.0;
    if y >= widest {
        let over = (y - widest) / 200.0;
        return 1.0 - 0.12 * over * over;
    }
    let u: f32 = (widest - y) / widest;
    (1.0 - u.powf(2.25)).powf(0.53)
}

impl Dome {
    /// Length of `-half..half` along z that is above the dome (in lung) at (x, y).
    pub(crate) fn depth_above(&self, x: f32, y: f32, half: f32) -> f32 {
        let over = y - self.top - self.bend_x * (x - self.x) * (x - self.x);
        remaining(over, self.bend_z, self.z, -half, half)
    }

    /// Length of `low..high` along x that is above the dome (in lung) at (z, y).
    pub(crate) fn width_above(&self, z: f32, y: f32, low: f32, high: f32) -> f32 {
        let over = y - self.top - self.bend_z * (z - self.z) * (z - self.z);
        remaining(over, self.bend_x, self.x, low, high)
    }

    /// Height of the dome over (x, z).
    pub(crate) fn at(&self, x: f32, z: f32) -> f32 {
        self.top
            + self.bend_x * (x - self.x) * (x - self.x)
            + self.bend_z * (z - self.z) * (z - self.z)
    }
}

fn remaining(over: f32, bend: f32, centre: f32, low: f32, high: f32) -> f32 {
    let all = (high - low).max(0.0);
    if over <= 0.0 {
        return all;
    }
    let q = (over / bend).sqrt();
    let cut = ((centre + q).min(high) - (centre - q).max(low)).max(0.0);
    (all - cut).max(0.0)
}
