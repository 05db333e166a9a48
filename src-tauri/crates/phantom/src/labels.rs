//! The truth of a study as labels and boxes.

use serde::{Deserialize, Serialize};

use crate::chest::anatomy::{Body, Point};
use crate::chest::{devices, film::Placement, placement_of};
use crate::head;
use crate::spec::{Finding, Place, Region, Side, Spec, View};

/// What a study shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Labels {
    /// Every finding of the study, in the order of [`Finding`].
    pub findings: Vec<Label>,
    /// Heart width over inner chest width (chest alone).
    pub cardiothoracic_ratio: Option<f32>,
}

/// One finding.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// What it is.
    pub finding: Finding,
    /// Where, if it has a side.
    pub side: Option<Side>,
    /// Where within the side.
    pub place: Place,
    /// Size in millimetres, if it has one.
    pub size_mm: Option<f32>,
}

/// Where a finding lies on one image, in pixels (fractions of pixels allowed).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LesionBox {
    /// What it is.
    pub finding: Finding,
    /// The side of this box.
    pub side: Option<Side>,
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl Labels {
    /// True if the study has this finding.
    pub fn has(&self, finding: Finding) -> bool {
        self.findings.iter().any(|l| l.finding == finding)
    }
}

impl Spec {
    /// The findings with their sides.
    pub fn labels(&self) -> Labels {
        let mut findings: Vec<Label> = self
            .lesions
            .iter()
            .map(|l| Label {
                finding: l.finding,
                side: l.side,
                place: l.place,
                size_mm: (l.size_mm > 0.0).then_some(l.size_mm),
            })
            .collect();
        findings.sort_by_key(|l| l.finding);
        let chest = self.region == Region::Chest;
        Labels {
            findings,
            cardiothoracic_ratio: chest.then_some(self.cardiothoracic_ratio),
        }
    }

    /// Boxes of the findings on a chest view of this size; each lies within the image.
    pub fn chest_boxes(&self, view: View, width: usize, height: usize) -> Vec<LesionBox> {
        let (body, placement) = placement_of(self, view, (width, height));
        let mut boxes = Vec::new();
        for lesion in &self.lesions {
            if !lesion.finding.is_decidable_on(view) {
                continue;
            }
            let sides: &[f32] = lesion.side.map_or(&[0.0], Side::signs);
            for &sign in sides {
                let corners = extent(&body, self, lesion.finding, sign);
                let side = match sign {
                    s if s > 0.0 => Some(Side::Left),
                    s if s < 0.0 => Some(Side::Right),
                    _ => None,
                };
                let b = project(placement, view, corners, (width, height));
                boxes.extend(b.map(|(x, y, w, h)| LesionBox {
                    finding: lesion.finding,
                    side,
                    x,
                    y,
                    width: w,
                    height: h,
                }));
            }
        }
        boxes
    }

    /// Boxes of the findings on an axial slice at this height; empty where the slice misses them.
    pub fn head_boxes(&self, z_mm: f32, size: usize) -> Vec<LesionBox> {
        let Some(lesion) = self.lesions.first() else {
            return Vec::new();
        };
        let limit = size as f32 - 1.0;
        head::lesion_box(self, z_mm, size)
            .and_then(|(x, y, w, h)| clip((x, y, x + w, y + h), (limit, limit)))
            .map(|(x, y, width, height)| LesionBox {
                finding: lesion.finding,
                side: lesion.side,
                x,
                y,
                width,
                height,
            })
            .into_iter()
            .collect()
    }
}

/// Two opposite corners of a finding in reference millimetres.
fn extent(body: &Body, spec: &Spec, finding: Finding, sign: f32) -> (Point, Point) {
    let corner = |x: f32, y: f32, z: f32| Point { x, y, z };
    let lesion = spec
        .lesion(finding)
        .expect("only present findings have an extent");
    let cube = |p: Point, rx: f32, ry: f32, rz: f32| {
        (
            corner(p.x - rx, p.y - ry, p.z - rz),
            corner(p.x + rx, p.y + ry, p.z + rz),
        )
    };
    match finding {
        Finding::Cardiomegaly => {
            let (top, bottom) = body.heart.height();
            let half = body.heart.half_depth;
            (
                corner(-body.heart.reach(-1.0), top, body.heart.z - half),
                corner(body.heart.reach(1.0), bottom, body.heart.z + half),
            )
        }
        Finding::PleuralEffusion => {
            let level = body.fluid_level(lesion, sign);
            let (inner, outer) = body.lung_span(level);
            (
                corner(sign * inner, level, -88.0),
                corner(sign * outer, body.dome(sign).top + 50.0, 60.0),
            )
        }
        Finding::Pneumothorax => {
            let bottom = 60.0 + 1.6 * lesion.size_mm;
            let (inner, outer) = body.lung_span(bottom);
            (
                corner(sign * inner, 2.0, -40.0),
                corner(sign * outer, bottom, 40.0),
            )
        }
        Finding::Consolidation => cube(
            body.lung_point(lesion, sign),
            0.5 * lesion.size_mm,
            0.5 * lesion.size_mm,
            0.5 * lesion.size_mm,
        ),
        Finding::Nodule => {
            let r = lesion.size_mm / 2.0;
            cube(
                body.lung_point(lesion, sign),
                r / body.scale.0,
                r / body.scale.1,
                r / body.scale.2,
            )
        }
        Finding::Pacemaker => {
            let (centre, hx, hy) = devices::generator(lesion);
            cube(
                Point {
                    z: centre.z + 16.0,
                    ..centre
                },
                hx,
                hy,
                8.0,
            )
        }
        _ => {
            let course = devices::line_course(body, lesion);
            let mut low = course[0];
            let mut high = course[0];
            for p in &course {
                low = corner(low.x.min(p.x), low.y.min(p.y), low.z.min(p.z));
                high = corner(high.x.max(p.x), high.y.max(p.y), high.z.max(p.z));
            }
            (low, high)
        }
    }
}

fn project(
    placement: Placement,
    view: View,
    (a, b): (Point, Point),
    (width, height): (usize, usize),
) -> Option<(f32, f32, f32, f32)> {
    let across = |p: Point| if view == View::Lateral { -p.z } else { p.x };
    let mut bounds = (f32::MAX, f32::MAX, f32::MIN, f32::MIN);
    for u in [across(a), across(b)] {
        for v in [a.y, b.y] {
            let (x, y) = placement.to_pixel(u, v);
            bounds = (
                bounds.0.min(x),
                bounds.1.min(y),
                bounds.2.max(x),
                bounds.3.max(y),
            );
        }
    }
    clip(bounds, (width as f32 - 1.0, height as f32 - 1.0))
}

fn clip(
    (x0, y0, x1, y1): (f32, f32, f32, f32),
    (right, bottom): (f32, f32),
) -> Option<(f32, f32, f32, f32)> {
    let (x0, y0) = (x0.max(0.0), y0.max(0.0));
    let (x1, y1) = (x1.min(right), y1.min(bottom));
    (x1 > x0 && y1 > y0).then_some((x0, y0, x1 - x0, y1 - y0))
}
