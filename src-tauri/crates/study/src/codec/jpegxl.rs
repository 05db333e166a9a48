//! JPEG XL. Source: ISO/IEC 18181.

use jxl_oxide::{AllocTracker, JxlImage};

use super::{Decoded, Expected, Samples, check_size};
use crate::dicom::colour::ColourSpace;
use crate::error::{Result, StudyError};

/// Bytes of working memory for each pixel and component.
const BYTES_PER_SAMPLE: usize = 64;
/// Working memory that any image may have.
const FREE_BYTES: usize = 32 << 20;

/// Decodes the first frame of one codestream; a JPEG that was recompressed is decoded to its pixels.
///
/// Errors if it is damaged, ends early, or differs in size from `expected`.
pub(crate) fn decode(bytes: &[u8], expected: &Expected) -> Result<Decoded> {
    let samples =
        expected.rows as usize * expected.columns as usize * usize::from(expected.samples);
    let tracker = AllocTracker::with_limit(FREE_BYTES + samples * BYTES_PER_SAMPLE);
    let image = JxlImage::builder()
        .alloc_tracker(tracker)
        .read(bytes)
        .map_err(|_| StudyError::corrupt("the JPEG XL codestream"))?;
    let channels = if image.pixel_format().is_grayscale() {
        1
    } else {
        3
    };
    check_size(
        expected,
        u64::from(image.width()),
        u64::from(image.height()),
        channels,
    )?;
    if !image.is_loading_done() {
        return Err(StudyError::truncated("the JPEG XL codestream"));
    }
    let bits = image.image_header().metadata.bit_depth.bits_per_sample();
    let render = image
        .render_frame(0)
        .map_err(|_| StudyError::corrupt("the JPEG XL frame"))?;
    let mut stream = render.stream_no_alpha();
    let mut values = vec![0f32; samples];
    if stream.write_to_buffer(&mut values) != samples {
        return Err(StudyError::corrupt("the JPEG XL frame is incomplete"));
    }
    // Integers come as fractions of the largest one; single precision holds 24 bits exactly.
    if !(1..=24).contains(&bits) {
        return Err(StudyError::unsupported(format!("JPEG XL with {bits} bits")));
    }
    let largest = ((1u32 << bits) - 1) as f32;
    let integer = |v: f32| (v * largest).round().clamp(0.0, largest) as i32;
    Ok(Decoded {
        samples: Samples::I32(values.into_iter().map(integer).collect()),
        precision: bits as u16,
        space: (channels == 3).then_some(ColourSpace::Rgb),
    })
}
