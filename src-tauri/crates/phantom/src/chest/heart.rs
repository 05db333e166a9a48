//! The heart and the great vessels.

use rand::Rng;

use super::anatomy::INNER_HALF_WIDTH;
use crate::draw::interpolate;
use crate::random::between;

/// The heart's outline as a function of angle, on an ellipsoid.
#[derive(Clone, Debug)]
pub(crate) struct Heart {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) z: f32,
    pub(crate) half_depth: f32,
    pub(crate) half_height: f32,
    contour: Vec<f32>,
    stretch_x: f32,
    stretch_y: f32,
}

impl Heart {
    pub(super) fn of(ratio: f32, right_dome: f32, rng: &mut impl Rng) -> Self {
        // Radius by angle (degrees, counter-clockwise from the patient's left, up is 90).
        let control = [
            (0.0, 0.95),
            (28.0, 0.86),
            (55.0, 0.86),
            (75.0, 1.0),
            (95.0, 1.08),
            (118.0, 0.98),
            (150.0, 0.87),
            (180.0, 0.88),
            (212.0, 0.94),
            (240.0, 0.93),
            (270.0, 0.94),
            (300.0, 1.03),
            (325.0, 1.08),
            (340.0, 1.05),
            (360.0, 0.95),
        ];
        let jitter: Vec<f32> = (0..control.len())
            .map(|_| between(rng, 0.97, 1.03))
            .collect();
        let knots: Vec<(f32, f32)> = control
            .iter()
            .enumerate()
            .map(|(i, &(a, r))| (a, r * jitter[if i + 1 == control.len() { 0 } else { i }]))
            .collect();
        let mut contour: Vec<f32> = (0..360).map(|d| interpolate(&knots, d as f32)).collect();
        for _ in 0..3 {
            let copy = contour.clone();
            for (d, r) in contour.iter_mut().enumerate() {
                let sum: f32 = (0..13).map(|k| copy[(d + 360 + k - 6) % 360]).sum();
                *r = sum / 13.0;
            }
        }
        let left_share = between(rng, 0.645, 0.70);
        let (mut left, mut right) = (0.0f32, 0.0f32);
        for (d, r) in contour.iter().enumerate() {
            let x = r * (d as f32).to_radians().cos();
            left = left.max(x);
            right = right.max(-x);
        }
        let width = 2.0 * INNER_HALF_WIDTH * ratio;
        let stretch_x = width / (left + right);
        let x = width * left_share - left * stretch_x;
        let stretch_y = (0.62 * stretch_x + 22.0) * between(rng, 0.95, 1.05);
        let y = right_dome + 12.0 - 0.66 * stretch_y;
        let grown = (ratio - 0.44).max(0.0);
        Self {
            x,
            y,
            z: 22.0,
            half_depth: 66.0 * (1.0 + 1.6 * grown),
            half_height: stretch_y,
            contour,
            stretch_x,
            stretch_y,
        }
    }

    /// Path length through the heart from front to back at (x, y).
    pub(crate) fn depth_at(&self, x: f32, y: f32) -> f32 {
        let dx = (x - self.x) / self.stretch_x;
        let dy = (self.y - y) / self.stretch_y;
        let rho2 = dx * dx + dy * dy;
        if rho2 > 1.5 {
            return 0.0;
        }
        let angle = dy.atan2(dx).to_degrees();
        let angle = if angle < 0.0 { angle + 360.0 } else { angle };
        let below = angle.floor();
        let a = self.contour[below as usize % 360];
        let b = self.contour[(below as usize + 1) % 360];
        let r = a + (angle - below) * (b - a);
        let s = 1.0 - rho2 / (r * r);
        if s <= 0.0 {
            0.0
        } else {
            2.0 * self.half_depth * s.sqrt()
        }
    }

    /// Distance of the heart's border from the midline on one side (+1 left, −1 right).
    pub(crate) fn reach(&self, sign: f32) -> f32 {
        let mut reach = 0.0f32;
        for (d, r) in self.contour.iter().enumerate() {
            let x = self.x + self.stretch_x * r * (d as f32).to_radians().cos();
            reach = reach.max(sign * x);
        }
        reach
    }

    /// Top and bottom of the outline (y values).
    pub(crate) fn height(&self) -> (f32, f32) {
        let (mut top, mut bottom) = (f32::MAX, f32::MIN);
        for (d, r) in self.contour.iter().enumerate() {
            let y = self.y - self.stretch_y * r * (d as f32).to_radians().sin();
            top = top.min(y);
            bottom = bottom.max(y);
        }
        (top, bottom)
    }
}
