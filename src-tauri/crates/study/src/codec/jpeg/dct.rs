//! The inverse discrete cosine transform. Source: T.81 A.3.3.

use std::sync::LazyLock;

/// `cosines[x][u]`: half of C(u) cos((2x + 1) u π / 16), for the first four x; the others mirror them.
static COSINES: LazyLock<[[f32; 8]; 4]> = LazyLock::new(|| {
    std::array::from_fn(|x| {
        std::array::from_fn(|u| {
            let scale = if u == 0 { 0.5f64.sqrt() } else { 1.0 };
            let angle = (2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0;
            (0.5 * scale * angle.cos()) as f32
        })
    })
});

/// Dequantises and transforms one block into `out`, rows `stride` apart, level-shifted and clamped to `precision` bits.
pub(super) fn inverse(
    block: &[i16; 64],
    table: &[u16; 64],
    precision: u8,
    out: &mut [u16],
    stride: usize,
) {
    let cosines = &*COSINES;
    let largest = f32::from((1u16 << precision) - 1);
    let middle = f32::from(1u16 << (precision - 1)) + 0.5;
    let mut rows = [[0f32; 8]; 8];
    for (v, row) in rows.iter_mut().enumerate() {
        let coefficients: [f32; 8] =
            std::array::from_fn(|u| f32::from(block[8 * v + u]) * f32::from(table[8 * v + u]));
        if coefficients.iter().any(|c| *c != 0.0) {
            *row = line(&coefficients, cosines);
        }
    }
    for x in 0..8 {
        let column = line(&std::array::from_fn(|v| rows[v][x]), cosines);
        for (y, value) in column.into_iter().enumerate() {
            out[y * stride + x] = (value + middle).floor().clamp(0.0, largest) as u16;
        }
    }
}

/// Eight samples from eight coefficients: even ones are symmetric about the middle, odd ones antisymmetric.
#[inline]
fn line(c: &[f32; 8], cosines: &[[f32; 8]; 4]) -> [f32; 8] {
    let mut out = [0.0; 8];
    for (x, row) in cosines.iter().enumerate() {
        let even = c[0] * row[0] + c[2] * row[2] + c[4] * row[4] + c[6] * row[6];
        let odd = c[1] * row[1] + c[3] * row[3] + c[5] * row[5] + c[7] * row[7];
        out[x] = even + odd;
        out[7 - x] = even - odd;
    }
    out
}
