//! Projection from back to front or front to back.

use crate::chest::anatomy::{Body, Point};
use crate::chest::bones::{self, Projection, stroke};
use crate::chest::devices;
use crate::chest::film::{Acquisition, Paths, Placement};
use crate::draw::{Fill, Knot, Plane, Texture, smoothstep};
use crate::random::{Purpose, stream};
use crate::spec::{Finding, Lesion, Side, Spec, View};

/// Share of a lung's path that is air.
const AIR: f32 = 0.74;

/// Row profiles, sampled every reference millimetre.
struct Profiles {
    rows: Vec<[f32; 5]>,
}

const FIRST: f32 = -220.0;

impl Profiles {
    fn of(body: &Body) -> Self {
        let rows = (0..760)
            .map(|i| {
                let y = FIRST + i as f32;
                [
                    body.inner_half_width(y),
                    body.inner_half_depth(y),
                    body.mediastinum_half_width(y),
                    body.outer_half_width(y),
                    body.outer_half_depth(y),
                ]
            })
            .collect();
        Self { rows }
    }

    fn at(&self, y: f32) -> [f32; 5] {
        let p = (y - FIRST).clamp(0.0, self.rows.len() as f32 - 1.001);
        let i = p as usize;
        let t = p - i as f32;
        let (a, b) = (&self.rows[i], &self.rows[i + 1]);
        std::array::from_fn(|k| a[k] + t * (b[k] - a[k]))
    }
}

/// Path lengths of a frontal film.
pub(crate) fn project(
    spec: &Spec,
    body: &Body,
    placement: Placement,
    acquisition: &Acquisition,
    (width, height): (usize, usize),
) -> Paths {
    let profiles = Profiles::of(body);
    let texture = Texture::new(&mut stream(spec.seed, Purpose::Texture));
    let projection = Projection {
        placement,
        view: View::Pa,
    };
    let mut scratch = Plane::new(width, height);
    let mut soft = Plane::new(width, height);
    let mut bone = Plane::new(width, height);
    let mut metal = Plane::new(width, height);
    let mut lung = Plane::new(width, height);
    let mut vessels = Plane::new(width, height);
    let mut arms = Plane::new(width, height);

    draw_arms(body, projection, &mut arms, &mut scratch);
    let unit = placement.unit();
    for tube in body.vessels(spec.seed) {
        let knots: Vec<Knot> = tube
            .points
            .iter()
            .map(|&(p, r)| projection.knot(p, r, 1.0))
            .collect();
        if knots[0].radius > 0.14 {
            stroke(
                &mut vessels,
                &mut scratch,
                projection,
                &knots,
                Fill::Solid,
                1.0,
            );
        }
    }
    let blobs: Vec<Blob> = body
        .lung_lesions(spec, Finding::Consolidation)
        .map(|(lesion, sign, centre)| Blob {
            lesion: *lesion,
            sign,
            centre,
        })
        .collect();
    let nodules: Vec<(Lesion, Point)> = body
        .lung_lesions(spec, Finding::Nodule)
        .map(|(l, _, p)| (*l, p))
        .collect();
    let fluid = spec.lesion(Finding::PleuralEffusion);
    let air = spec.lesion(Finding::Pneumothorax);
    let line_half = (0.55f32).max(0.45 / unit);
    let mean_scale = (body.scale.0 * body.scale.1).sqrt();

    for py in 0..height {
        for px in 0..width {
            let i = py * width + px;
            let (x, y) = placement.to_body(px as f32, py as f32);
            let [inner, depth, medial, outer, outer_depth] = profiles.at(y);
            let sign = if x < 0.0 { -1.0 } else { 1.0 };
            let ax = x.abs();

            let u = ax / outer;
            let trunk = if u < 1.0 {
                2.0 * outer_depth * (1.0 - u * u * (0.35 + 0.65 * u)).sqrt()
            } else {
                0.0
            };
            let arm = arms.values[i];
            let mut tissue = trunk.max(arm) + 0.2 * trunk.min(arm);

            let spine_x = x - body.curve * (y / 120.0).sin();
            bone.values[i] += bones::spine_frontal(spine_x, y, body.bone);

            let mut lung_depth = 0.0;
            let mut clear = 1.0; // share of vessels and texture that shows
            if ax < inner {
                let u = ax / inner;
                let half = depth * (1.0 - u * u * (0.55 + 0.45 * u)).sqrt();
                lung_depth = body.dome(sign).depth_above(x, y, half);
            }
            if lung_depth > 0.0 {
                let q = ax / (0.96 * medial);
                lung_depth *= 1.0 - 1.0 / (1.0 + q.powi(7));
                lung_depth = (lung_depth
                    - (1.35 * body.heart.depth_at(x, y)).min(0.92 * lung_depth)
                    - great_vessels(body, x, y))
                .max(0.0);
            }
            if lung_depth > 0.0 {
                let mottle = texture.fractal(x, y, 21.0, 3, 0.62);
                let fine = texture.fractal(x + 300.0, y, 4.6, 2, 0.7);
                let mut air_share = AIR * (1.0 - 0.05 * mottle - 0.045 * fine);
                // Blood settles: the lower lungs are denser.
                air_share -= 0.05 * smoothstep(60.0, 230.0, y);
                let mut filled = 0.0f32;
                if let Some(lesion) = fluid {
                    filled = fluid_share(body, lesion, sign, ax, inner, y);
                }
                for blob in &blobs {
                    filled = filled.max(blob.share(&texture, x, y));
                }
                if let Some(lesion) = air
                    && lesion.side.is_some_and(|s| s.signs().contains(&sign))
                {
                    let edge = pleural_edge(&profiles, lesion, ax, y);
                    let inside = smoothstep(-1.5, 1.5, edge);
                    clear = inside;
                    // Free air outside; the collapsed lung is a little denser.
                    air_share = inside * (air_share - 0.05) + (1.0 - inside);
                    let near = (edge / (1.6 * line_half)).powi(2);
                    if near < 4.0 && lung_depth > 12.0 {
                        tissue += (7.0 + 8.0 * lesion.conspicuity)
                            * (-near).exp()
                            * (0.55 / line_half).clamp(0.55, 1.0);
                    }
                }
                clear *= 1.0 - filled;
                tissue -= lung_depth * air_share * (1.0 - filled);
                for (lesion, p) in &nodules {
                    let filled_by = nodule_chord(
                        lesion,
                        *p,
                        x * body.scale.0,
                        y * body.scale.1,
                        body,
                        &texture,
                    );
                    tissue += filled_by * (AIR * (1.0 - filled)) / mean_scale;
                }
                // The hila: many vessels and airways too small to draw.
                let hilum_y = if sign < 0.0 { 116.0 } else { 107.0 };
                let d2 = ((ax - 36.0) / 17.0).powi(2) + ((y - hilum_y) / 25.0).powi(2);
                let hilum = (-d2).exp() * (1.0 + 0.45 * texture.octave(x * 0.13, y * 0.13));
                tissue += clear * (lung_depth * 0.45).min(34.0) * hilum.max(0.0);
                lung.values[i] = lung_depth * clear;
            }

            tissue += breast(body, ax, y);
            tissue -= below_diaphragm_gas(body, &texture, x, y, outer_depth);
            tissue += 1.6
                * texture.fractal(x + 900.0, y + 70.0, 30.0, 2, 0.6)
                * smoothstep(0.0, 30.0, tissue);
            soft.values[i] = tissue.max(0.0);
        }
    }
    for (i, &l) in lung.values.iter().enumerate() {
        if l > 0.0 {
            soft.values[i] += 1.35
                * body.vessel_gain
                * vessels.values[i].min(16.0)
                * smoothstep(0.0, 70.0, l)
                * 0.85;
        }
    }
    airways(body, projection, &mut soft, &mut scratch);
    bones::ribs(body, &mut bone, &mut scratch, projection);
    bones::shoulders(body, &mut bone, &mut scratch, projection);
    devices::draw(spec, body, &mut metal, &mut scratch, projection);
    crate::chest::film::draw_marker(acquisition, &mut metal);
    for v in &mut soft.values {
        *v = v.max(0.0);
    }
    Paths { soft, bone, metal }
}

/// Upper arms beside the chest.
fn draw_arms(body: &Body, projection: Projection, arms: &mut Plane, scratch: &mut Plane) {
    let out = body.arms_out;
    for sign in [-1.0f32, 1.0] {
        let at = |x: f32, y: f32| Point {
            x: sign * x,
            y,
            z: 0.0,
        };
        let w = 0.4 * body.wall;
        let knots = [
            projection.knot(at(160.0, 16.0), 40.0 + w, 1.0),
            projection.knot(at(186.0 + 4.0 * out, 40.0), 40.0 + w, 1.0),
            projection.knot(at(206.0 + 16.0 * out, 120.0), 33.0 + w, 1.0),
            projection.knot(at(216.0 + 36.0 * out, 330.0), 30.0 + w, 1.0),
        ];
        stroke(arms, scratch, projection, &knots, Fill::Solid, 1.25);
    }
}

/// Depth of lung that the aorta and the pulmonary trunk take.
fn great_vessels(body: &Body, x: f32, y: f32) -> f32 {
    let (kx, ky, kr) = body.knob;
    let ball = |cx: f32, cy: f32, r: f32, stretch: f32| {
        let d2 = (x - cx) * (x - cx) + 0.62 * (y - cy) * (y - cy);
        if d2 < r * r {
            2.0 * stretch * (r * r - d2).sqrt()
        } else {
            0.0
        }
    };
    let mut depth = ball(kx, ky, kr, 2.6) + ball(17.0, 96.0, 21.0, 2.0);
    if y > ky {
        let ax = 22.0 - 0.02 * (y - ky);
        let d = x - ax;
        if d.abs() < 12.0 {
            depth += 2.0 * (144.0 - d * d).sqrt();
        }
    }
    depth
}

/// Share of the lung's depth that is fluid: a level that climbs the wall (a meniscus).
fn fluid_share(body: &Body, lesion: &Lesion, sign: f32, ax: f32, inner: f32, y: f32) -> f32 {
    if !lesion.side.is_some_and(|s: Side| s.signs().contains(&sign)) {
        return 0.0;
    }
    let level = body.fluid_level(lesion, sign);
    let t = (ax / inner).clamp(0.0, 1.0);
    let climb = 34.0 * t.powi(4) + 8.0 * (1.0 - t).powi(3);
    let top = level + 22.0 - climb - 10.0;
    // In front and behind the fluid climbs less than at the side: a soft upper edge.
    smoothstep(top - 7.0, top + 15.0, y) * 0.94
}

/// Signed distance (reference mm) inside the collapsed lung's edge; negative in the free air.
fn pleural_edge(profiles: &Profiles, lesion: &Lesion, ax: f32, y: f32) -> f32 {
    let size = lesion.size_mm;
    let down = 1.25 * size;
    let width = profiles.at(y - down)[0];
    let fade = 1.0 - smoothstep(70.0, 205.0, y);
    let width = width - 0.62 * size * fade - 1.5;
    // The slope of the cage turns a horizontal gap into a distance.
    let slope = (profiles.at(y - down + 4.0)[0] - profiles.at(y - down - 4.0)[0]) / 8.0;
    (width - ax) / (1.0 + slope * slope).sqrt()
}

/// Path length through a nodule, millimetres; `x` and `y` in millimetres of the person.
fn nodule_chord(lesion: &Lesion, p: Point, x: f32, y: f32, body: &Body, texture: &Texture) -> f32 {
    let radius = lesion.size_mm / 2.0;
    let (dx, dy) = (x - p.x * body.scale.0, y - p.y * body.scale.1);
    let d2 = dx * dx + dy * dy;
    if d2 > radius * radius * 1.7 {
        return 0.0;
    }
    let angle = dy.atan2(dx);
    let wobble =
        1.0 + 0.09 * texture.octave(2.0 + 1.6 * angle.cos() + p.x, 2.0 + 1.6 * angle.sin() + p.y);
    let r2 = radius * radius * wobble * wobble;
    let chord = if d2 < r2 { 2.0 * (r2 - d2).sqrt() } else { 0.0 };
    // Small nodules are denser (and lie in thinner lung), so that 14 mm can be seen.
    chord * (1.0 + 0.5 * lesion.conspicuity) * (22.0 / radius).clamp(0.8, 1.9)
}

/// A fluffy airspace opacity.
struct Blob {
    lesion: Lesion,
    sign: f32,
    centre: Point,
}

impl Blob {
    fn share(&self, texture: &Texture, x: f32, y: f32) -> f32 {
        if x * self.sign < 0.0 {
            return 0.0;
        }
        let radius = self.lesion.size_mm / 2.0;
        let (dx, dy) = (x - self.centre.x, y - self.centre.y);
        let d2 = (dx * dx / 1.1 + dy * dy) / (radius * radius);
        if d2 > 2.8 {
            return 0.0;
        }
        let fluff = texture.fractal(x + 41.0, y + 13.0, 30.0, 4, 0.6);
        let body = 1.0 - smoothstep(0.25, 1.35, d2.sqrt() + 0.34 * fluff);
        let inner = 0.88 + 0.14 * texture.fractal(x, y + 170.0, 12.0, 2, 0.6);
        ((0.46 + 0.38 * self.lesion.conspicuity) * body * inner).clamp(0.0, 0.95)
    }
}

/// Soft tissue of the breasts.
fn breast(body: &Body, ax: f32, y: f32) -> f32 {
    if body.breast <= 0.0 {
        return 0.0;
    }
    let dx = (ax - 84.0) / 62.0;
    let dy = (y - body.breast_drop) / if y < body.breast_drop { 95.0 } else { 52.0 };
    let rho2 = dx * dx + dy * dy;
    if rho2 >= 1.0 {
        return 0.0;
    }
    let s = 1.0 - rho2;
    let profile = if dy > 0.0 {
        s.sqrt() * 0.85 + 0.15 * s
    } else {
        s
    };
    46.0 * body.breast * profile
}

/// Gas of the stomach and of the bowel under the left dome.
fn below_diaphragm_gas(body: &Body, texture: &Texture, x: f32, y: f32, outer_depth: f32) -> f32 {
    let dome = &body.left;
    let under = y - dome.at(x, dome.z) - 5.0;
    if under < 0.0 || x < -60.0 {
        return 0.0;
    }
    let mut gas = 0.0;
    if body.stomach_gas > 0.0 {
        let s = body.stomach_gas;
        let dx = (x - 68.0) / (22.0 + 20.0 * s);
        let dy = (y - dome.top - 16.0 - 7.0 * s) / (8.0 + 11.0 * s);
        let rho2 = dx * dx + dy * dy;
        if rho2 < 1.0 {
            gas += 62.0 * (0.5 + 0.5 * s) * (1.0 - rho2).sqrt();
        }
    }
    if body.bowel_gas > 0.0 {
        let n = texture.fractal(x * 1.2 + 70.0, y + 510.0, 34.0, 2, 0.5);
        gas += 40.0 * body.bowel_gas * smoothstep(0.35, 1.0, n) * smoothstep(20.0, 45.0, under);
    }
    gas.min(outer_depth) * smoothstep(0.0, 5.0, under)
}

/// The trachea and the main bronchi: air that soft tissue loses.
fn airways(body: &Body, projection: Projection, soft: &mut Plane, scratch: &mut Plane) {
    let at = |x: f32, y: f32| Point {
        x: x - 0.4 * body.curve,
        y,
        z: 0.0,
    };
    let trachea: Vec<Knot> = bones::smooth(
        &[
            at(0.0, -150.0),
            at(0.0, -60.0),
            at(-0.5, 10.0),
            at(-3.0, 60.0),
            at(-1.0, 88.0),
        ],
        5,
    )
    .iter()
    .map(|&p| projection.knot(p, 8.4, 1.0))
    .collect();
    stroke(soft, scratch, projection, &trachea, Fill::Solid, -1.5);
    for (sign, end) in [(-1.0f32, (27.0, 112.0)), (1.0, (36.0, 110.0))] {
        let bronchus: Vec<Knot> = [
            at(sign * 7.0 - 1.0, 92.0),
            at(sign * 0.6 * end.0, 100.0),
            at(sign * end.0, end.1),
        ]
        .iter()
        .zip([7.0f32, 6.2, 4.5])
        .map(|(&p, r)| projection.knot(p, r, 0.8))
        .collect();
        stroke(soft, scratch, projection, &bronchus, Fill::Solid, -0.8);
    }
}
