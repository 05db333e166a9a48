//! Pacemakers, catheters and tubes.

use crate::chest::anatomy::{Body, Point};
use crate::chest::bones::{Projection, smooth, stroke};
use crate::draw::{Fill, Knot, Plane};
use crate::spec::{Finding, Lesion, Place, Side, Spec, View};

/// The generator's centre and half sizes in reference millimetres.
pub(crate) fn generator(lesion: &Lesion) -> (Point, f32, f32) {
    let sign = side_sign(lesion);
    let (u, v) = lesion.position;
    let centre = Point {
        x: sign * (86.0 + 22.0 * u),
        y: 46.0 + 26.0 * v,
        z: 84.0,
    };
    (
        centre,
        21.0 + 3.0 * lesion.conspicuity,
        19.0 + 3.0 * lesion.conspicuity,
    )
}

/// The courses of a pacemaker's leads.
pub(crate) fn leads(body: &Body, lesion: &Lesion) -> Vec<Vec<Point>> {
    let sign = side_sign(lesion);
    let (centre, _, half) = generator(lesion);
    let heart = &body.heart;
    let (_, bottom) = heart.height();
    let at = |x: f32, y: f32, z: f32| Point { x, y, z };
    let mut entry = vec![
        at(centre.x, centre.y - half + 3.0, centre.z),
        at(sign * 74.0, 20.0, 60.0),
        at(sign * 46.0, 32.0, 40.0),
    ];
    if sign > 0.0 {
        entry.push(at(6.0, 48.0, 40.0));
    }
    entry.push(at(-19.0, 62.0, 26.0));
    entry.push(at(-23.0, 104.0, 12.0));
    let right_edge = heart.reach(-1.0);
    let mut ventricle = entry.clone();
    ventricle.push(at(-0.62 * right_edge, heart.y + 4.0, 14.0));
    ventricle.push(at(-4.0, bottom - 24.0, 38.0));
    ventricle.push(at(0.55 * heart.reach(1.0), bottom - 20.0, 52.0));
    let mut courses = vec![ventricle];
    if lesion.position.0 > 0.35 {
        let mut atrium = entry;
        atrium.push(at(-0.72 * right_edge, heart.y + 2.0, 16.0));
        atrium.push(at(-0.45 * right_edge, heart.y + 12.0, 30.0));
        atrium.push(at(-0.35 * right_edge, heart.y - 12.0, 40.0));
        courses.push(atrium);
    }
    courses
}

/// The course of a catheter or tube.
pub(crate) fn line_course(body: &Body, lesion: &Lesion) -> Vec<Point> {
    let sign = side_sign(lesion);
    let at = |x: f32, y: f32, z: f32| Point { x, y, z };
    let tip = 96.0 + 26.0 * lesion.position.1;
    match lesion.place {
        Place::Stomach => {
            let dome = body.left.top;
            vec![
                at(3.0, -150.0, 0.0),
                at(2.0, -40.0, -16.0),
                at(4.0, 80.0, -24.0),
                at(3.0, 170.0, -12.0),
                at(14.0, dome + 8.0, 0.0),
                at(52.0 + 16.0 * lesion.position.0, dome + 30.0, 20.0),
                at(60.0 + 20.0 * lesion.position.0, dome + 62.0, 30.0),
            ]
        }
        Place::Jugular => {
            let mut course = vec![
                at(sign * 58.0, -120.0, 20.0),
                at(sign * 44.0, -62.0, 20.0),
                at(sign * 34.0, -8.0, 20.0),
            ];
            if sign > 0.0 {
                course.push(at(22.0, 34.0, 34.0));
                course.push(at(-8.0, 54.0, 38.0));
            } else {
                course.push(at(-25.0, 36.0, 26.0));
            }
            course.push(at(-22.0, 70.0, 24.0));
            course.push(at(-24.0, tip, 14.0));
            course
        }
        _ => {
            let mut course = vec![
                at(sign * (122.0 + 14.0 * lesion.position.0), 50.0, 60.0),
                at(sign * 104.0, 28.0, 50.0),
                at(sign * 68.0, 20.0, 38.0),
                at(sign * 38.0, 32.0, 34.0),
            ];
            if sign > 0.0 {
                course.push(at(8.0, 48.0, 38.0));
            }
            course.push(at(-20.0, 66.0, 26.0));
            course.push(at(-24.0, tip, 14.0));
            course
        }
    }
}

/// Draws the devices of a study.
pub(crate) fn draw(
    spec: &Spec,
    body: &Body,
    metal: &mut Plane,
    scratch: &mut Plane,
    projection: Projection,
) {
    if let Some(lesion) = spec.lesion(Finding::Pacemaker) {
        let (centre, half_x, half_y) = generator(lesion);
        if projection.view == View::Lateral {
            let knots: Vec<Knot> = [-1.0f32, 1.0]
                .iter()
                .map(|k| {
                    projection.knot(
                        Point {
                            y: centre.y + k * half_y * 0.8,
                            z: centre.z + 16.0,
                            ..centre
                        },
                        4.5,
                        1.0,
                    )
                })
                .collect();
            stroke(metal, scratch, projection, &knots, Fill::Solid, 0.7);
        } else {
            casing(metal, projection, centre, half_x, half_y);
        }
        for course in leads(body, lesion) {
            catheter(metal, scratch, projection, &course, 1.15, 1.0);
        }
    }
    if let Some(lesion) = spec.lesion(Finding::Line) {
        let course = line_course(body, lesion);
        let (radius, gain) = match lesion.place {
            Place::Stomach => (1.9, 0.30 + 0.25 * lesion.conspicuity),
            _ => (1.35, 0.50 + 0.35 * lesion.conspicuity),
        };
        catheter(metal, scratch, projection, &course, radius, gain);
    }
}

fn catheter(
    metal: &mut Plane,
    scratch: &mut Plane,
    projection: Projection,
    course: &[Point],
    radius: f32,
    gain: f32,
) {
    let knots: Vec<Knot> = smooth(course, 8)
        .iter()
        .map(|&p| projection.knot(p, radius, 1.0))
        .collect();
    stroke(metal, scratch, projection, &knots, Fill::Solid, gain);
}

/// A flat can with rounded corners, its header darker than its battery.
fn casing(metal: &mut Plane, projection: Projection, centre: Point, half_x: f32, half_y: f32) {
    let unit = projection.placement.unit();
    let (cx, cy) = projection.pixel(centre);
    let reach = half_x.max(half_y) * unit * 1.3;
    let x0 = (cx - reach).max(0.0) as usize;
    let x1 = ((cx + reach).max(0.0) as usize + 1).min(metal.width);
    let y0 = (cy - reach).max(0.0) as usize;
    let y1 = ((cy + reach).max(0.0) as usize + 1).min(metal.height);
    for y in y0..y1 {
        for x in x0..x1 {
            let (u, v) = (
                (x as f32 - cx) / (unit * half_x),
                (y as f32 - cy) / (unit * half_y),
            );
            let rho = (u * u * u * u + v * v * v * v).sqrt().sqrt();
            if rho < 1.0 {
                let header = if v < -0.45 { 0.45 } else { 1.0 };
                let rim = if rho > 0.9 { 1.15 } else { 1.0 };
                let parts = if u.abs() < 0.5 && (0.0..0.6).contains(&v) {
                    1.25
                } else {
                    1.0
                };
                metal.values[y * metal.width + x] += 2.3 * header * rim * parts;
            }
        }
    }
}

fn side_sign(lesion: &Lesion) -> f32 {
    if lesion.side == Some(Side::Left) {
        1.0
    } else {
        -1.0
    }
}
