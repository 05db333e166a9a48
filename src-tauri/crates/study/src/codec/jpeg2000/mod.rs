//! JPEG 2000 part 1 and part 15 (high throughput). Sources: ITU-T T.800 annex A, T.814.
//!
//! Decoding is `openjp2`'s, a translation of OpenJPEG to Rust. Because it kept C's pointers, the codestream's header is
//! parsed here first and refused when its sizes contradict the data set or its own length. It decodes on one thread, so
//! that a large image is decoded in stripes, each on a thread of its own: a stripe needs its own code-blocks and few others.

use std::num::NonZero;
use std::ops::Range;
use std::thread;

use jpeg2k::{DecodeArea, DecodeParameters, Image};

use super::{Decoded, Expected, Samples, check_size};
use crate::dicom::colour::ColourSpace;
use crate::error::{Result, StudyError};

/// Rows below which a stripe costs more than it saves: code-blocks on its border are decoded for both sides.
const STRIPE_ROWS: u32 = 192;
/// More stripes than these would decode much twice.
const MOST_STRIPES: usize = 8;
/// Image rows of the largest code-block in the finest subbands; cut in its middle, only one row of blocks is shared.
const BLOCK_ROWS: u32 = 128;

/// Main header of a codestream, as far as it matters here.
struct Header {
    /// Where the image starts on the reference grid.
    left: u64,
    top: u64,
    columns: u64,
    rows: u64,
    tiles: u64,
    components: u64,
    precision: u16,
    /// The codec turns luminance and chrominance back to RGB itself.
    colour_transform: bool,
    /// Part 15's block coder, which `openjp2` decodes wrongly when only part of the image is asked for.
    high_throughput: bool,
}

/// Decodes one codestream, bare or in a JP2 file.
///
/// Errors if it is damaged, ends early, or differs in size from `expected`.
pub(crate) fn decode(bytes: &[u8], expected: &Expected) -> Result<Decoded> {
    let header = Header::read(bytes)?;
    check_size(expected, header.columns, header.rows, header.components)?;
    // Every tile has a header of 14 bytes; a decoder keeps kilobytes for each tile that is announced.
    if header.tiles > bytes.len() as u64 / 14 + 1 {
        return Err(StudyError::corrupt("more JPEG 2000 tiles than bytes"));
    }
    let threads = match header.high_throughput {
        true => 1,
        false => thread::available_parallelism().map_or(1, NonZero::get),
    };
    let samples = striped(bytes, &header, &stripes(header.rows as u32, threads))?;
    Ok(Decoded {
        samples: Samples::I32(samples),
        precision: header.precision,
        space: header.colour_transform.then_some(ColourSpace::Rgb),
    })
}

/// Decodes stripes of the image on threads of their own and joins them.
///
/// Errors as [`stripe`].
fn striped(bytes: &[u8], header: &Header, ranges: &[Range<u32>]) -> Result<Vec<i32>> {
    let [first, others @ ..] = ranges else {
        return stripe(bytes, header, None);
    };
    if others.is_empty() {
        return stripe(bytes, header, None);
    }
    let stopped = || StudyError::corrupt("the codestream stopped its decoder");
    thread::scope(|scope| {
        let running: Vec<_> = others
            .iter()
            .map(|rows| scope.spawn(|| stripe(bytes, header, Some(rows))))
            .collect();
        let mut samples = stripe(bytes, header, Some(first));
        for thread in running {
            // Every thread is waited for: a panic in one must not be passed on by the scope.
            let next = thread.join().map_err(|_| stopped()).flatten();
            samples = samples.and_then(|mut samples| {
                samples.extend(next?);
                Ok(samples)
            });
        }
        samples
    })
}

/// Rows of each stripe: cut in the middle of code-blocks.
fn stripes(rows: u32, threads: usize) -> Vec<Range<u32>> {
    let count = (rows / STRIPE_ROWS).clamp(1, threads.min(MOST_STRIPES) as u32);
    let cut = |i: u32| match i {
        0 => 0,
        i if i == count => rows,
        i => {
            let even = (u64::from(rows) * u64::from(i) / u64::from(count)) as u32;
            even / BLOCK_ROWS * BLOCK_ROWS + BLOCK_ROWS / 2
        }
    };
    (0..count).map(|i| cut(i)..cut(i + 1)).collect()
}

/// Interleaved samples of some rows, or of all.
///
/// Errors if the codestream is damaged or ends early.
fn stripe(bytes: &[u8], header: &Header, rows: Option<&Range<u32>>) -> Result<Vec<i32>> {
    let mut parameters = DecodeParameters::new().strict(true);
    let mut height = header.rows;
    if let Some(rows) = rows {
        let (left, top) = (header.left as u32, header.top as u32);
        let right = left + header.columns as u32;
        let area = DecodeArea::new(left, top + rows.start, right, top + rows.end);
        parameters = parameters.decode_area(Some(area));
        height = u64::from(rows.end - rows.start);
    }
    let image = Image::from_bytes_with(bytes, parameters)
        .map_err(|_| StudyError::corrupt("the JPEG 2000 codestream"))?;
    let components = image.components();
    let complete = components.len() as u64 == header.components
        && components
            .iter()
            .all(|c| (u64::from(c.width()), u64::from(c.height())) == (header.columns, height));
    if !complete {
        return Err(StudyError::corrupt("a JPEG 2000 component is incomplete"));
    }
    Ok(match components {
        [only] => only.data().to_vec(),
        several => {
            let planes: Vec<&[i32]> = several.iter().map(|c| c.data()).collect();
            let pixels = (header.columns * height) as usize;
            let mut interleaved = Vec::with_capacity(pixels * planes.len());
            for i in 0..pixels {
                interleaved.extend(planes.iter().map(|p| p[i]));
            }
            interleaved
        }
    })
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self> {
        let short = || StudyError::truncated("the JPEG 2000 header");
        let start = match bytes.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]) {
            true => 0,
            false if bytes.get(4..8) == Some(b"jP  ") => bytes
                .windows(4)
                .position(|w| w == [0xFF, 0x4F, 0xFF, 0x51])
                .ok_or_else(short)?,
            false => return Err(StudyError::corrupt("no JPEG 2000 codestream")),
        };
        let s = &bytes[start..];
        let word = |at: usize| -> Result<u64> {
            let field = s.get(at..at + 4).ok_or_else(short)?;
            let field = [field[0], field[1], field[2], field[3]];
            Ok(u64::from(u32::from_be_bytes(field)))
        };
        let half = |at: usize| -> Result<u64> {
            let field = s.get(at..at + 2).ok_or_else(short)?;
            Ok(u64::from(u16::from_be_bytes([field[0], field[1]])))
        };
        let wrong = || StudyError::corrupt("the JPEG 2000 size marker");
        let (right, bottom, left, top) = (word(8)?, word(12)?, word(16)?, word(20)?);
        let (tile_width, tile_height) = (word(24)?, word(28)?);
        let components = half(40)?;
        let columns = right
            .checked_sub(left)
            .filter(|v| *v > 0)
            .ok_or_else(wrong)?;
        let rows = bottom
            .checked_sub(top)
            .filter(|v| *v > 0)
            .ok_or_else(wrong)?;
        if tile_width == 0 || tile_height == 0 {
            return Err(wrong());
        }
        let mut precision = 0;
        for component in 0..components as usize {
            let field = s
                .get(42 + 3 * component..45 + 3 * component)
                .ok_or_else(short)?;
            if field[1..] != [1, 1] {
                return Err(StudyError::unsupported("subsampled JPEG 2000"));
            }
            precision = precision.max(u16::from(field[0] & 0x7F) + 1);
        }
        if precision > 32 {
            return Err(wrong());
        }
        let style = coding_style(s);
        Ok(Self {
            left,
            top,
            columns,
            rows,
            tiles: right.div_ceil(tile_width) * bottom.div_ceil(tile_height),
            components,
            precision,
            colour_transform: components == 3 && style.is_some_and(|s| s[4] != 0),
            high_throughput: style.is_none_or(|s| s[8] & 0x40 != 0),
        })
    }
}

/// The COD marker segment of the main header: its fifth byte is the multiple component transformation, its ninth the
/// style of code-blocks. Source: T.800 A.6.1, T.814 A.4.
fn coding_style(s: &[u8]) -> Option<&[u8; 9]> {
    let mut at = 2;
    while let Some(&[0xFF, code, l1, l0]) = s.get(at..).and_then(|t| t.first_chunk::<4>()) {
        match code {
            0x52 => return s.get(at + 4..)?.first_chunk(),
            // Start of the first tile part.
            0x90 => return None,
            _ => at += 2 + usize::from(u16::from_be_bytes([l1, l0])),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripes_cover_every_row_once_and_none_is_thin() {
        for rows in (1..3000).chain([65_535]) {
            for threads in 1..20 {
                let ranges = stripes(rows, threads);
                assert!(ranges.len() <= threads.min(MOST_STRIPES));
                assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end), (0, rows));
                for pair in ranges.windows(2) {
                    assert_eq!(pair[0].end, pair[1].start);
                }
                let thinnest = ranges.iter().map(|r| r.end - r.start).min();
                let wanted = if ranges.len() > 1 { 64 } else { 1 };
                assert!(thinnest >= Some(wanted), "{rows} rows: {ranges:?}");
            }
        }
    }

    #[test]
    fn stripes_join_to_the_whole_image() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/vectors/codecs");
        let mut checked = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.starts_with("j2k") {
                continue;
            }
            let file = std::fs::read(&path).unwrap();
            let start = file.windows(4).position(|w| w == [0xFF, 0x4F, 0xFF, 0x51]);
            let bytes = &file[start.unwrap()..];
            let header = Header::read(bytes).unwrap();
            assert!(!header.high_throughput);
            let whole = stripe(bytes, &header, None).unwrap();
            let rows = header.rows as u32;
            for cuts in [
                vec![1],
                vec![rows / 2],
                vec![rows / 3, rows / 3 + 1, rows - 1],
            ] {
                let edges: Vec<u32> = [vec![0], cuts, vec![rows]].concat();
                let ranges: Vec<_> = edges.windows(2).map(|e| e[0]..e[1]).collect();
                let joined = striped(bytes, &header, &ranges).unwrap();
                assert!(joined == whole, "{name} differs when cut at {edges:?}");
                let cut = &bytes[..bytes.len() / 2];
                assert!(striped(cut, &header, &ranges).is_err(), "{name} cut short");
            }
            checked += 1;
        }
        assert!(checked >= 7, "the vectors have lost files");
    }
}
