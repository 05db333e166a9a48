//! Projection from side to side; the front of the chest is on the image's left.

use crate::chest::anatomy::{Body, Point};
use crate::chest::bones::{self, Projection, smooth, stroke};
use crate::chest::devices;
use crate::chest::film::{Acquisition, Paths, Placement, draw_marker};
use crate::draw::{Fill, Knot, Plane, Texture, smoothstep};
use crate::random::{Purpose, stream};
use crate::spec::{Finding, Spec, View};

/// Share of a lung's path that is air.
const AIR: f32 = 0.74;
/// The front of the vertebral bodies.
const SPINE_FRONT: f32 = -50.0;

/// Path lengths of a lateral film.
pub(crate) fn project(
    spec: &Spec,
    body: &Body,
    placement: Placement,
    acquisition: &Acquisition,
    (width, height): (usize, usize),
) -> Paths {
    let texture = Texture::new(&mut stream(spec.seed, Purpose::Texture));
    let projection = Projection {
        placement,
        view: View::Lateral,
    };
    let mut scratch = Plane::new(width, height);
    let mut soft = Plane::new(width, height);
    let mut bone = Plane::new(width, height);
    let mut metal = Plane::new(width, height);
    let mut lung = Plane::new(width, height);
    let mut vessels = Plane::new(width, height);
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
                0.8,
            );
        }
    }
    let rows: Vec<[f32; 4]> = (0..760)
        .map(|i| {
            let y = i as f32 - 220.0;
            [
                body.inner_half_width(y),
                body.inner_half_depth(y),
                body.outer_half_width(y),
                body.outer_half_depth(y),
            ]
        })
        .collect();
    let nodules: Vec<_> = body.lung_lesions(spec, Finding::Nodule).collect();
    let blobs: Vec<_> = body.lung_lesions(spec, Finding::Consolidation).collect();
    let fluid = spec.lesion(Finding::PleuralEffusion);
    let across = body.scale.2;
    let (reach_left, reach_right) = (body.heart.reach(1.0), body.heart.reach(-1.0));

    for py in 0..height {
        for px in 0..width {
            let i = py * width + px;
            let (h, y) = placement.to_body(px as f32, py as f32);
            let z = -h;
            let row = (y + 220.0).clamp(0.0, 758.9);
            let (r0, t) = (row as usize, row.fract());
            let [inner_w, inner_d, outer_w, outer_d] =
                std::array::from_fn(|k| rows[r0][k] + t * (rows[r0 + 1][k] - rows[r0][k]));

            // The back is flatter than the front; the arms are raised.
            let u = (z / if z < 0.0 { outer_d + 10.0 } else { outer_d }).abs();
            let mut tissue = if u < 1.0 {
                2.0 * outer_w.min(172.0) * 0.80 * (1.0 - u * u * (0.3 + 0.7 * u)).sqrt()
            } else {
                0.0
            };
            tissue += raised_arms(z, y);
            bone.values[i] += bones::spine_lateral(
                SPINE_FRONT - z + 12.0 * (y / 130.0).sin(),
                y,
                1.25 * body.bone,
            );

            let mut air = 0.0;
            let mut seen = 0.0;
            if z.abs() < inner_d {
                let v = z.abs() / inner_d;
                let reach = inner_w * (1.0 - v * v * (0.45 + 0.55 * v)).sqrt();
                let (hz, hy) = (
                    (z - body.heart.z) / body.heart.half_depth,
                    (y - body.heart.y - 8.0) / (0.86 * body.heart.half_height),
                );
                // The heart leans back as it rises.
                let hz = hz + 0.30 * hy;
                let rho2 = hz * hz + hy * hy;
                let swell = if rho2 < 1.0 {
                    1.12 * (1.0 - rho2).powf(0.6)
                } else {
                    0.0
                };
                for sign in [-1.0f32, 1.0] {
                    let medial =
                        (13.0f32).max(swell * if sign > 0.0 { reach_left } else { reach_right });
                    let mut depth = if sign > 0.0 {
                        body.left.width_above(z, y, medial, reach.max(medial))
                    } else {
                        body.right.width_above(z, y, -reach.max(medial), -medial)
                    };
                    if depth <= 0.0 {
                        continue;
                    }
                    let mut filled = 0.0f32;
                    if let Some(lesion) = fluid
                        && lesion.side.is_some_and(|s| s.signs().contains(&sign))
                    {
                        let back = ((body.left.z - z) / 105.0).clamp(0.0, 1.0);
                        let front = ((z - body.left.z) / 80.0).clamp(0.0, 1.0);
                        let top = body.fluid_level(lesion, sign) + 24.0
                            - 34.0 * back.powi(3)
                            - 14.0 * front.powi(3);
                        filled = smoothstep(top - 6.0, top + 12.0, y) * 0.95;
                    }
                    for (lesion, lesion_sign, p) in &blobs {
                        if *lesion_sign == sign {
                            let radius = lesion.size_mm / 2.0;
                            let d = ((z - p.z).powi(2) + (y - p.y).powi(2)).sqrt() / radius;
                            let fluff = texture.fractal(z + 41.0, y + 13.0, 30.0, 4, 0.6);
                            let share = (0.62 + 0.35 * lesion.conspicuity)
                                * (1.0 - smoothstep(0.25, 1.3, d + 0.34 * fluff));
                            filled = filled.max(share);
                        }
                    }
                    depth *= 1.0 - filled;
                    air += depth;
                    seen += depth;
                }
            }
            if air > 0.0 {
                let mottle = texture.fractal(z, y + 400.0, 21.0, 3, 0.62);
                let fine = texture.fractal(z + 300.0, y, 4.6, 2, 0.7);
                tissue -= air * AIR * (1.0 - 0.05 * mottle - 0.045 * fine);
                for (lesion, _, p) in &nodules {
                    let radius = lesion.size_mm / 2.0;
                    let d2 = ((z - p.z) * across).powi(2) + ((y - p.y) * body.scale.1).powi(2);
                    if d2 < radius * radius {
                        tissue += 2.0
                            * (radius * radius - d2).sqrt()
                            * AIR
                            * (1.15 + 0.6 * lesion.conspicuity)
                            * (22.0 / radius).clamp(0.8, 1.9);
                    }
                }
                let hilum = ((z + 4.0) / 19.0).powi(2) + ((y - 110.0) / 25.0).powi(2);
                tissue += 30.0
                    * (-hilum).exp()
                    * (1.0 + 0.4 * texture.octave(z * 0.12, y * 0.12)).max(0.0);
                lung.values[i] = seen;
            }
            tissue += great_vessels(body, z, y);
            if body.breast > 0.0 {
                let d2 = ((z - 96.0 - 0.2 * body.depth_wall) / 38.0).powi(2)
                    + ((y - body.breast_drop) / 58.0).powi(2);
                if d2 < 1.0 {
                    tissue += 42.0 * body.breast * (1.0 - d2).sqrt();
                }
            }
            // Stomach gas under the left dome.
            if body.stomach_gas > 0.0 {
                let d2 = ((z - 20.0) / 34.0).powi(2) + ((y - body.left.top - 24.0) / 14.0).powi(2);
                if d2 < 1.0 {
                    tissue -= 70.0
                        * body.stomach_gas
                        * (1.0 - d2).sqrt()
                        * smoothstep(0.0, 6.0, y - body.left.at(70.0, z));
                }
            }
            soft.values[i] = tissue.max(0.0);
        }
    }
    for (i, &l) in lung.values.iter().enumerate() {
        if l > 0.0 {
            soft.values[i] +=
                body.vessel_gain * vessels.values[i].min(18.0) * smoothstep(0.0, 90.0, l) * 0.9;
        }
    }
    trachea(projection, &mut soft, &mut scratch);
    sternum(body, projection, &mut bone, &mut scratch);
    bones::ribs(body, &mut bone, &mut scratch, projection);
    devices::draw(spec, body, &mut metal, &mut scratch, projection);
    draw_marker(acquisition, &mut metal);
    for v in &mut soft.values {
        *v = v.max(0.0);
    }
    Paths { soft, bone, metal }
}

/// Raised upper arms and shoulder muscles over the top of the film.
fn raised_arms(z: f32, y: f32) -> f32 {
    let lift = 1.0 - smoothstep(-30.0, 55.0, y + 0.35 * z);
    let span = 1.0 - smoothstep(60.0, 105.0, (z + 5.0).abs());
    70.0 * lift * span
}

/// The aortic arch and the descending aorta, which lungs surround.
fn great_vessels(body: &Body, z: f32, y: f32) -> f32 {
    let (_, ky, kr) = body.knob;
    let (cz, cy) = (-12.0, ky + 22.0);
    let ring = ((z - cz).powi(2) + (y - cy).powi(2)).sqrt() - 32.0;
    let mut depth = 0.0;
    if y < cy && ring.abs() < 0.62 * kr {
        depth += 1.1 * ((0.62 * kr).powi(2) - ring * ring).sqrt();
    }
    let down = z - cz + 32.0;
    if y >= cy && down.abs() < 11.0 {
        depth += 0.9 * (121.0 - down * down).sqrt() * (1.0 - smoothstep(cy, cy + 130.0, y));
    }
    depth
}

fn trachea(projection: Projection, soft: &mut Plane, scratch: &mut Plane) {
    let at = |z: f32, y: f32| Point { x: 0.0, y, z };
    let knots: Vec<Knot> = smooth(
        &[
            at(14.0, -140.0),
            at(10.0, -60.0),
            at(0.0, 10.0),
            at(-14.0, 70.0),
            at(-18.0, 98.0),
        ],
        5,
    )
    .iter()
    .map(|&p| projection.knot(p, 8.2, 1.0))
    .collect();
    stroke(soft, scratch, projection, &knots, Fill::Solid, -1.1);
}

fn sternum(body: &Body, projection: Projection, bone: &mut Plane, scratch: &mut Plane) {
    let at = |z: f32, y: f32| Point { x: 0.0, y, z };
    let front = body.inner_half_depth(120.0);
    let knots: Vec<Knot> = smooth(
        &[
            at(front * 0.62, 26.0),
            at(front * 0.80, 48.0),
            at(front + 5.0, 110.0),
            at(front + 5.0, 165.0),
        ],
        6,
    )
    .iter()
    .map(|&p| projection.knot(p, 5.2, 1.0))
    .collect();
    stroke(
        bone,
        scratch,
        projection,
        &knots,
        Fill::Shell {
            wall: 0.3,
            core: 0.5,
        },
        1.6 * body.bone,
    );
}
