//! Subsampled chrominance to full size.
//!
//! Halved directions use the triangle filter that the common decoders use (nearer sample three quarters, farther one
//! quarter; chrominance centred between luminance samples); other factors repeat samples.

use super::header::{Component, Frame};

/// `samples` holds `rows` rows of `columns` values, `stride` apart; the result has the frame's size.
pub(super) fn full_size(
    samples: &[u16],
    stride: usize,
    columns: usize,
    rows: usize,
    component: &Component,
    frame: &Frame,
) -> Vec<u16> {
    let (width, height) = (frame.width as usize, frame.height as usize);
    let row = |y: usize| &samples[y * stride..y * stride + columns];
    let halved_across = component.h * 2 == frame.h_max;
    let halved_down = component.v * 2 == frame.v_max;
    let full_across = component.h == frame.h_max;
    let full_down = component.v == frame.v_max;
    let mut out = Vec::with_capacity(width * height);
    match (full_across, full_down, halved_across, halved_down) {
        (true, true, ..) => (0..height).for_each(|y| out.extend_from_slice(&row(y)[..width])),
        (_, true, true, _) if columns > 2 => {
            for y in 0..height {
                let line: Vec<u32> = row(y).iter().map(|v| u32::from(*v)).collect();
                widen(&line, width, 4, (1, 2), &mut out);
            }
        }
        (_, _, true, true) if columns > 2 => {
            for y in 0..height {
                let near = y / 2;
                let far = match y % 2 {
                    0 => near.saturating_sub(1),
                    _ => (near + 1).min(rows - 1),
                };
                let pairs = row(near).iter().zip(row(far));
                let line: Vec<u32> = pairs
                    .map(|(n, f)| 3 * u32::from(*n) + u32::from(*f))
                    .collect();
                widen(&line, width, 16, (8, 7), &mut out);
            }
        }
        _ => {
            let (h, v) = (component.h as usize, component.v as usize);
            let (h_max, v_max) = (frame.h_max as usize, frame.v_max as usize);
            for y in 0..height {
                let line = row((y * v / v_max).min(rows - 1));
                out.extend((0..width).map(|x| line[(x * h / h_max).min(columns - 1)]));
            }
        }
    }
    out
}

/// Doubles a line. Four parts of a value are divided by `scale`: 4 for samples, 16 for sums of four. `round` is added
/// first, for even and odd columns, so that rounding does not lean to one side.
fn widen(line: &[u32], width: usize, scale: u32, round: (u32, u32), out: &mut Vec<u16>) {
    let last = line.len() - 1;
    for x in 0..width {
        let near = line[x / 2];
        let (far, round) = match x % 2 {
            0 => (line[(x / 2).saturating_sub(1)], round.0),
            _ => (line[(x / 2 + 1).min(last)], round.1),
        };
        out.push(((3 * near + far + round) / scale) as u16);
    }
}
