//! Bones as tubes and plates on a film.

use crate::chest::anatomy::{Body, Point};
use crate::chest::film::Placement;
use crate::draw::{Fill, Knot, Plane, smoothstep};
use crate::spec::View;

/// Projects body points on the film of a view.
#[derive(Clone, Copy)]
pub(crate) struct Projection {
    pub(crate) placement: Placement,
    pub(crate) view: View,
}

impl Projection {
    /// A point in pixels.
    pub(crate) fn pixel(self, p: Point) -> (f32, f32) {
        match self.view {
            // The front of the chest is on the image's left.
            View::Lateral => self.placement.to_pixel(-p.z, p.y),
            _ => self.placement.to_pixel(p.x, p.y),
        }
    }

    /// A knot of a tube with a radius in reference millimetres.
    pub(crate) fn knot(self, p: Point, radius: f32, weight: f32) -> Knot {
        let (x, y) = self.pixel(p);
        Knot {
            x,
            y,
            radius: radius * self.placement.unit(),
            weight,
        }
    }
}

/// Draws a tube; `gain` is per millimetre of path.
pub(crate) fn stroke(
    plane: &mut Plane,
    scratch: &mut Plane,
    projection: Projection,
    knots: &[Knot],
    fill: Fill,
    gain: f32,
) {
    plane.add_tube(knots, fill, gain / projection.placement.unit(), scratch);
}

/// A smooth curve through control points (Catmull–Rom), each span in `steps` pieces.
pub(crate) fn smooth(points: &[Point], steps: usize) -> Vec<Point> {
    let n = points.len();
    let mut out = Vec::with_capacity(n * steps);
    for i in 0..n.saturating_sub(1) {
        let p0 = points[i.saturating_sub(1)];
        let (p1, p2) = (points[i], points[i + 1]);
        let p3 = points[(i + 2).min(n - 1)];
        for k in 0..steps {
            let t = k as f32 / steps as f32;
            let spline = |a: f32, b: f32, c: f32, d: f32| {
                0.5 * (2.0 * b
                    + (c - a) * t
                    + (2.0 * a - 5.0 * b + 4.0 * c - d) * t * t
                    + (3.0 * b - a - 3.0 * c + d) * t * t * t)
            };
            out.push(Point {
                x: spline(p0.x, p1.x, p2.x, p3.x),
                y: spline(p0.y, p1.y, p2.y, p3.y),
                z: spline(p0.z, p1.z, p2.z, p3.z),
            });
        }
    }
    out.extend(points.last().copied());
    out
}

/// Ten pairs of ribs; on a lateral film both sides, the far one larger and softer.
pub(crate) fn ribs(body: &Body, bone: &mut Plane, scratch: &mut Plane, projection: Projection) {
    for sign in [-1.0, 1.0] {
        for number in 1..=11 {
            let rib = body.rib(number, sign);
            let lateral = projection.view == View::Lateral;
            let mut knots: Vec<Knot> = Vec::with_capacity(rib.len());
            for (i, &(p, radius, weight)) in rib.iter().enumerate() {
                let before = projection.pixel(rib[i.saturating_sub(1)].0);
                let after = projection.pixel(rib[(i + 1).min(rib.len() - 1)].0);
                let moved = ((after.0 - before.0).powi(2) + (after.1 - before.1).powi(2)).sqrt();
                let (a, b) = (
                    rib[i.saturating_sub(1)].0,
                    rib[(i + 1).min(rib.len() - 1)].0,
                );
                let length =
                    ((a.x - b.x).powi(2) + (a.y - b.y).powi(2) + (a.z - b.z).powi(2)).sqrt();
                // A rib seen along its course is crossed for longer.
                let slant =
                    (length * projection.placement.unit() / moved.max(1e-3)).clamp(1.0, 1.35);
                let mut p = p;
                if lateral {
                    p.y += sign * 3.0;
                    p.z *= 1.0 + 0.03 * sign;
                }
                knots.push(projection.knot(p, radius, weight.max(0.0) * slant));
            }
            let gain =
                body.bone * if number < 3 { 0.85 } else { 1.0 } * if lateral { 0.55 } else { 1.15 };
            stroke(
                bone,
                scratch,
                projection,
                &knots,
                Fill::Shell {
                    wall: 0.30,
                    core: 0.42,
                },
                gain,
            );
        }
    }
}

/// Clavicles, scapulae and upper arms on a frontal film.
pub(crate) fn shoulders(
    body: &Body,
    bone: &mut Plane,
    scratch: &mut Plane,
    projection: Projection,
) {
    let out = 6.0 * body.arms_out;
    for sign in [-1.0f32, 1.0] {
        let at = |x: f32, y: f32| Point {
            x: sign * x,
            y,
            z: 0.0,
        };
        let clavicle = smooth(
            &[
                at(13.0, 41.0),
                at(45.0, 31.0),
                at(85.0, 12.0),
                at(122.0, 3.0),
                at(156.0 + out, -10.0),
            ],
            8,
        );
        let n = clavicle.len() as f32;
        let knots: Vec<Knot> = clavicle
            .iter()
            .enumerate()
            .map(|(i, &p)| {
                let t = i as f32 / n;
                let flare = (2.0 * (t - 0.5)).powi(2);
                projection.knot(p, 5.2 + 2.4 * flare, 1.0)
            })
            .collect();
        stroke(
            bone,
            scratch,
            projection,
            &knots,
            Fill::Shell {
                wall: 0.32,
                core: 0.4,
            },
            1.25 * body.bone,
        );

        let border = |points: &[Point], radius: f32| -> Vec<Knot> {
            smooth(points, 8)
                .iter()
                .map(|&p| projection.knot(p, radius, 1.0))
                .collect()
        };
        let medial = border(
            &[
                at(112.0 + out, 4.0),
                at(127.0 + 2.0 * out, 60.0),
                at(140.0 + 2.0 * out, 128.0),
                at(147.0 + 2.0 * out, 152.0),
            ],
            3.4,
        );
        stroke(
            bone,
            scratch,
            projection,
            &medial,
            Fill::Solid,
            0.25 * body.bone,
        );
        let lateral = border(
            &[
                at(147.0 + 2.0 * out, 152.0),
                at(154.0 + 2.0 * out, 100.0),
                at(163.0 + out, 44.0),
            ],
            4.4,
        );
        stroke(
            bone,
            scratch,
            projection,
            &lateral,
            Fill::Solid,
            0.3 * body.bone,
        );
        let ridge = border(
            &[
                at(124.0 + out, 40.0),
                at(150.0 + out, 14.0),
                at(184.0 + out, -14.0),
            ],
            6.0,
        );
        stroke(
            bone,
            scratch,
            projection,
            &ridge,
            Fill::Shell {
                wall: 0.35,
                core: 0.4,
            },
            0.35 * body.bone,
        );
        let glenoid = border(
            &[
                at(166.0 + out, 10.0),
                at(162.0 + out, 26.0),
                at(166.0 + out, 44.0),
            ],
            5.0,
        );
        stroke(
            bone,
            scratch,
            projection,
            &glenoid,
            Fill::Solid,
            0.3 * body.bone,
        );
        plate(
            bone,
            projection,
            [
                at(112.0 + out, 4.0),
                at(147.0 + 2.0 * out, 152.0),
                at(165.0 + out, 26.0),
            ],
            2.2 * body.bone,
        );
        let head: Vec<Knot> = [(187.0, 22.0, 23.0), (188.0, 23.0, 23.0)]
            .iter()
            .map(|&(x, y, r)| projection.knot(at(x + 1.6 * out, y), r, 1.0))
            .collect();
        stroke(
            bone,
            scratch,
            projection,
            &head,
            Fill::Solid,
            0.2 * body.bone,
        );
        let shaft = border(
            &[
                at(192.0 + 1.6 * out, 40.0),
                at(201.0 + 3.0 * out, 110.0),
                at(212.0 + 5.0 * out, 240.0),
            ],
            11.5,
        );
        stroke(
            bone,
            scratch,
            projection,
            &shaft,
            Fill::Shell {
                wall: 0.35,
                core: 0.2,
            },
            0.95 * body.bone,
        );
    }
}

/// A thin triangular plate with soft edges.
fn plate(bone: &mut Plane, projection: Projection, corners: [Point; 3], thickness: f32) {
    let c: Vec<(f32, f32)> = corners.iter().map(|&p| projection.pixel(p)).collect();
    let soft = 4.0 * projection.placement.unit();
    let area = (c[1].0 - c[0].0) * (c[2].1 - c[0].1) - (c[1].1 - c[0].1) * (c[2].0 - c[0].0);
    let turn = area.signum();
    let bounds =
        |f: fn(f32, f32) -> f32, get: fn(&(f32, f32)) -> f32| c.iter().map(get).fold(get(&c[0]), f);
    let x0 = bounds(f32::min, |p| p.0).max(0.0) as usize;
    let x1 = (bounds(f32::max, |p| p.0).max(0.0) as usize + 1).min(bone.width);
    let y0 = bounds(f32::min, |p| p.1).max(0.0) as usize;
    let y1 = (bounds(f32::max, |p| p.1).max(0.0) as usize + 1).min(bone.height);
    for y in y0..y1 {
        for x in x0..x1 {
            let mut inside = f32::MAX;
            for k in 0..3 {
                let (a, b) = (c[k], c[(k + 1) % 3]);
                let (dx, dy) = (b.0 - a.0, b.1 - a.1);
                let cross = dx * (y as f32 - a.1) - dy * (x as f32 - a.0);
                inside = inside.min(turn * cross / (dx * dx + dy * dy).sqrt().max(1e-3));
            }
            bone.values[y * bone.width + x] += thickness * smoothstep(0.0, soft, inside);
        }
    }
}

/// Mineral of the spine at a distance from its midline (mm), seen from the front.
pub(crate) fn spine_frontal(x: f32, y: f32, bone: f32) -> f32 {
    let half = if y < -20.0 {
        12.5
    } else {
        14.5 + 0.022 * (y + 20.0)
    };
    if x.abs() > half + 14.0 {
        return 0.0;
    }
    let pitch = if y < -20.0 {
        17.0
    } else {
        22.0 + 0.02 * y.max(0.0)
    };
    let phase = (y + 300.0) / pitch;
    let t = phase - phase.floor();
    // End plates at both ends of a body; the disc between them.
    let disc = smoothstep(0.78, 0.84, t) * (1.0 - smoothstep(0.95, 1.0, t));
    let plate = (-((t - 0.77) / 0.04).powi(2)).exp() + (-((t - 0.02) / 0.04).powi(2)).exp();
    let waist = half * (1.0 - 0.10 * (std::f32::consts::PI * t).sin());
    let u = x / waist;
    let mut mineral = 0.0;
    if u.abs() < 1.0 {
        let u2 = u * u;
        mineral += 8.5 * (1.0 - u2 * u2 * u2).sqrt() * (1.0 - 0.45 * disc) + 2.2 * plate;
    }
    // Pedicles and the spinous process.
    let pedicle = |cx: f32| {
        let d2 = ((x - cx) / 4.0).powi(2) + ((t - 0.30) * pitch / 5.5).powi(2);
        if d2 < 1.0 { 3.0 * d2.sqrt() } else { 0.0 }
    };
    mineral += pedicle(-0.62 * half) + pedicle(0.62 * half);
    let spinous = (x / 3.2).powi(2) + ((t - 0.62) * pitch / 7.0).powi(2);
    if spinous < 1.0 {
        mineral += 3.2 * (1.0 - spinous).sqrt();
    }
    // Transverse processes.
    let across = (-((t - 0.3) * pitch / 3.6).powi(2)).exp();
    mineral += 2.6 * across * (1.0 - smoothstep(half + 3.0, half + 13.0, x.abs()));
    mineral * bone
}

/// Mineral of the spine seen from the side, `d` mm behind the front of the vertebral bodies.
pub(crate) fn spine_lateral(d: f32, y: f32, bone: f32) -> f32 {
    let size = 30.0 + 0.025 * y.max(0.0);
    if !(-3.0..=size + 42.0).contains(&d) {
        return 0.0;
    }
    let pitch = 22.5 + 0.02 * y.max(0.0);
    let phase = (y + 300.0) / pitch;
    let t = phase - phase.floor();
    let body_y = 1.0 - 0.65 * smoothstep(0.80, 0.86, t) + 0.65 * smoothstep(0.95, 1.0, t);
    let plate = (-((t - 0.80) / 0.035).powi(2)).exp() + (-((t - 0.01) / 0.035).powi(2)).exp();
    let mut mineral = 0.0;
    if (0.0..=size).contains(&d) {
        let edge = smoothstep(0.0, 2.0, d) * (1.0 - smoothstep(size - 2.0, size, d));
        let rim = (-(d / 2.5).powi(2)).exp() + (-((d - size) / 2.5).powi(2)).exp();
        mineral += edge * (6.5 * body_y + 3.0 * plate) + 2.0 * rim * body_y;
    }
    // Pedicles and articular processes, then the spinous process.
    let arch = (-((t - 0.30) / 0.2).powi(2)).exp();
    mineral += 4.0
        * arch
        * smoothstep(size - 2.0, size + 2.0, d)
        * (1.0 - smoothstep(size + 10.0, size + 18.0, d));
    let tip = t - 0.45 - (d - size) * 0.012;
    mineral += 2.6
        * (-(tip / 0.18).powi(2)).exp()
        * smoothstep(size + 6.0, size + 16.0, d)
        * (1.0 - smoothstep(size + 30.0, size + 40.0, d));
    mineral * bone
}
