//! Luminance and chrominance to RGB.

/// How three samples a pixel make a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColourSpace {
    Rgb,
    /// Full range, 8 bit. Source: PS3.3 C.7.6.3.1.2, ITU-T T.871 section 7.
    YbrFull,
    /// Studio range, 8 bit: luminance 16..235, chrominance 16..240 (ITU-R BT.601).
    YbrPartial,
}

/// Converts interleaved 8-bit samples in place.
pub(crate) fn to_rgb(samples: &mut [u8], space: ColourSpace) {
    match space {
        ColourSpace::Rgb => {}
        ColourSpace::YbrFull => {
            for pixel in samples.as_chunks_mut::<3>().0 {
                *pixel = full_range(*pixel);
            }
        }
        ColourSpace::YbrPartial => {
            for pixel in samples.as_chunks_mut::<3>().0 {
                *pixel = studio_range(*pixel);
            }
        }
    }
}

/// The inverse of T.871's transform, rounded half up and clamped.
///
/// Single precision with fused multiply-adds, as the matrix product of the common reference computes it; a product of
/// two singles is exact in double precision.
fn full_range([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    const RED_CR: f32 = 1.402;
    const GREEN_CB: f32 = (-0.114 * 1.772 / 0.587) as f32;
    const GREEN_CR: f32 = (-0.299 * 1.402 / 0.587) as f32;
    const BLUE_CB: f32 = 1.772;
    let fused = |a: f32, b: f32, c: f32| (f64::from(a) * f64::from(b) + f64::from(c)) as f32;
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [
        round(fused(RED_CR, cr, y)),
        round(fused(GREEN_CR, cr, fused(GREEN_CB, cb, y))),
        round(fused(BLUE_CB, cb, y)),
    ]
}

fn studio_range([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let y = 255.0 / 219.0 * (f32::from(y) - 16.0);
    let (cb, cr) = (f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    let scale = 255.0 / 224.0;
    [
        round(y + 1.402 * scale * cr),
        round(y - (0.344_136 * cb + 0.714_136 * cr) * scale),
        round(y + 1.772 * scale * cb),
    ]
}

fn round(v: f32) -> u8 {
    // `as` saturates: the clamp to 0..255.
    (v + 0.5).floor() as u8
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// The hash is that of pydicom 3.0.2's `convert_color_space` (YBR_FULL to RGB) over the same colours, blue
    /// chrominance before red, luminance outermost.
    #[test]
    fn every_colour_converts_as_pydicom_converts_it() {
        let mut hash = Sha256::new();
        for y in 0..=255 {
            let chroma = (0..=255u8).flat_map(|cb| (0..=255u8).map(move |cr| (cb, cr)));
            let mut plane: Vec<u8> = chroma.flat_map(|(cb, cr)| [y, cb, cr]).collect();
            to_rgb(&mut plane, ColourSpace::YbrFull);
            hash.update(&plane);
        }
        let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "fb4fdac8832012e1b79b48f2aa73e3383c8974559cd277b7517cdf5f118f0b72"
        );
    }
}
