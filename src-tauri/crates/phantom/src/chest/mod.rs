//! Chest radiographs: analytic bodies, projected by Beer–Lambert's law.

pub(crate) mod anatomy;
pub(crate) mod bones;
pub(crate) mod devices;
pub(crate) mod film;
pub(crate) mod frontal;
mod heart;
pub(crate) mod lateral;

pub use film::Radiograph;

use crate::chest::anatomy::Body;
use crate::chest::film::{Acquisition, Placement};
use crate::spec::{Spec, View};

/// Renders one view of a chest study.
///
/// The whole field is always shown; where `width`:`height` differs from [`film_size`]'s, more of
/// the surrounding body shows. The same arguments give the same values.
pub fn render_chest(spec: &Spec, view: View, width: usize, height: usize) -> Radiograph {
    let body = Body::of(spec);
    let acquisition = Acquisition::of(spec, view);
    let placement = placement(&body, &acquisition, view, (width, height));
    let paths = match view {
        View::Lateral => lateral::project(spec, &body, placement, &acquisition, (width, height)),
        _ => frontal::project(spec, &body, placement, &acquisition, (width, height)),
    };
    acquisition.develop(paths, 1.0 / placement.pixels_per_mm)
}

/// Columns and rows of the film in its own shape, with this many pixels on the short side.
pub fn film_size(spec: &Spec, view: View, short_side: usize) -> (usize, usize) {
    let (width, height) = field(&Body::of(spec), view);
    let scale = short_side as f32 / width.min(height);
    (
        (width * scale).round() as usize,
        (height * scale).round() as usize,
    )
}

/// The placement that [`render_chest`] uses, for boxes.
pub(crate) fn placement_of(spec: &Spec, view: View, size: (usize, usize)) -> (Body, Placement) {
    let body = Body::of(spec);
    let acquisition = Acquisition::of(spec, view);
    let placement = placement(&body, &acquisition, view, size);
    (body, placement)
}

/// Field of view in millimetres.
fn field(body: &Body, view: View) -> (f32, f32) {
    let height = (anatomy::RIGHT_DOME + 118.0) * body.scale.1;
    let width = match view {
        View::Lateral => (2.0 * anatomy::INNER_HALF_DEPTH + body.depth_wall + 62.0) * body.scale.2,
        _ => (2.0 * (anatomy::INNER_HALF_WIDTH + body.wall) + 26.0) * body.scale.0,
    };
    (width, height)
}

fn placement(
    body: &Body,
    acquisition: &Acquisition,
    view: View,
    size: (usize, usize),
) -> Placement {
    let (width, height) = field(body, view);
    let across = match view {
        View::Lateral => body.scale.2,
        _ => body.scale.0,
    };
    Placement::new(
        (width * acquisition.zoom, height * acquisition.zoom),
        (
            acquisition.shift.0,
            acquisition.shift.1 + 0.5 * (anatomy::RIGHT_DOME + 44.0) * body.scale.1,
        ),
        (across, body.scale.1),
        acquisition.angle,
        size,
    )
}

/// The column at which the patient's midline crosses the middle row of a frontal film.
pub fn midline_of_film(spec: &Spec, view: View, width: usize, height: usize) -> f32 {
    let (_, placement) = placement_of(spec, view, (width, height));
    placement.to_pixel(0.0, 0.5 * anatomy::RIGHT_DOME).0
}

/// Heart width over inner chest width, measured on the shapes that are projected: the heart where
/// rays cross it, the chest between the inner walls at its widest.
pub fn measured_cardiothoracic_ratio(spec: &Spec) -> f32 {
    let body = Body::of(spec);
    let (mut left, mut right, mut chest) = (0.0f32, 0.0f32, 0.0f32);
    for y in 0..320 {
        let y = y as f32;
        chest = chest.max(2.0 * body.inner_half_width(y));
        for x in -600..600 {
            let x = x as f32 * 0.25;
            if body.heart.depth_at(x, y) > 0.0 {
                left = left.max(x);
                right = right.max(-x);
            }
        }
    }
    (left + right) / chest
}
