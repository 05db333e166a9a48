//! DICOM run-length encoding. Source: PS3.5 annex G.

use crate::dicom::image::Layout;
use crate::error::{Result, StudyError};

/// A replicate run of two bytes gives at most 128.
const LARGEST_RATIO: u64 = 64;

/// Decodes one frame to native form, little endian, sample planes one after the other.
///
/// Errors if the segment table does not fit the layout or a segment has too few bytes.
pub(crate) fn decode(bytes: &[u8], layout: &Layout) -> Result<Vec<u8>> {
    let word = |i: usize| {
        let field = bytes.get(4 * i..4 * i + 4)?;
        Some(u32::from_le_bytes([field[0], field[1], field[2], field[3]]))
    };
    let short = || StudyError::truncated("the RLE header");
    let segments = word(0).ok_or_else(short)? as usize;
    let sample_bytes = usize::from(layout.bits_allocated.div_ceil(8));
    let samples = usize::from(layout.samples);
    if segments != sample_bytes * samples {
        return Err(StudyError::corrupt(format!(
            "{segments} RLE segments where {} are needed",
            sample_bytes * samples
        )));
    }
    // One-bit images are packed before they are encoded.
    let plane_bits = layout.pixels() * u64::from(layout.bits_allocated.min(8));
    let plane = plane_bits.div_ceil(8);
    if plane > (bytes.len() as u64) * LARGEST_RATIO {
        return Err(StudyError::truncated("RLE segments"));
    }
    let plane = plane as usize;
    let mut out = vec![0; plane * segments];
    for segment in 0..segments {
        let start = word(1 + segment).ok_or_else(short)? as usize;
        let end = match segment + 1 < segments {
            true => word(2 + segment).ok_or_else(short)? as usize,
            false => bytes.len(),
        };
        let data = bytes
            .get(start..end.min(bytes.len()))
            .ok_or_else(|| StudyError::corrupt("an RLE segment lies outside its frame"))?;
        // Segments run from the most significant byte; native form starts with the least.
        let (sample, byte) = (segment / sample_bytes, segment % sample_bytes);
        let first = sample * plane * sample_bytes + (sample_bytes - 1 - byte);
        expand(data, &mut out, first, sample_bytes, plane)?;
    }
    Ok(out)
}

/// Expands one segment into every `stride`-th byte of `out`, `count` of them.
fn expand(data: &[u8], out: &mut [u8], first: usize, stride: usize, count: usize) -> Result<()> {
    let mut written = 0;
    let mut at = 0;
    let short = || StudyError::truncated("an RLE segment");
    while written < count {
        let control = *data.get(at).ok_or_else(short)? as i8;
        at += 1;
        if control >= 0 {
            let length = (control as usize + 1).min(count - written);
            let literal = data.get(at..at + length).ok_or_else(short)?;
            for (i, byte) in literal.iter().enumerate() {
                out[first + (written + i) * stride] = *byte;
            }
            at += control as usize + 1;
            written += length;
        } else if control != i8::MIN {
            let length = (1 - isize::from(control)) as usize;
            let length = length.min(count - written);
            let byte = *data.get(at).ok_or_else(short)?;
            for i in 0..length {
                out[first + (written + i) * stride] = byte;
            }
            at += 1;
            written += length;
        }
    }
    Ok(())
}
