//! JPEG 2000 part 1 and part 15 (high throughput). Sources: ITU-T T.800 annex A, T.814.
//!
//! What medical images are made of is decoded here ([`part1`]), by all threads of the common pool. Everything else, and what
//! is damaged, goes to `openjp2`, a translation of OpenJPEG to Rust. Because that kept C's pointers, the codestream's header
//! is parsed here first and refused when its sizes contradict the data set or its own length.

mod arithmetic;
mod block;
mod codestream;
mod layout;
mod packets;
mod part1;
mod wavelet;

use jpeg2k::{DecodeParameters, Image};

use super::{Decoded, Expected, Samples, check_size};
use crate::dicom::colour::ColourSpace;
use crate::error::{Result, StudyError};

/// Main header of a codestream, as far as it matters here.
struct Header {
    /// Where the codestream starts among the bytes.
    start: usize,
    columns: u64,
    rows: u64,
    tiles: u64,
    components: u64,
    precision: u16,
    /// The codec turns luminance and chrominance back to RGB itself.
    colour_transform: bool,
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
    let samples = match part1::decode(&bytes[header.start..]) {
        Some(samples) => samples,
        None => translated(bytes, &header)?,
    };
    Ok(Decoded {
        samples: Samples::I32(samples),
        precision: header.precision,
        space: header.colour_transform.then_some(ColourSpace::Rgb),
    })
}

/// Interleaved samples by `openjp2`.
///
/// Errors if the codestream is damaged or ends early.
fn translated(bytes: &[u8], header: &Header) -> Result<Vec<i32>> {
    let parameters = DecodeParameters::new().strict(true);
    let image = Image::from_bytes_with(bytes, parameters)
        .map_err(|_| StudyError::corrupt("the JPEG 2000 codestream"))?;
    let components = image.components();
    let complete = components.len() as u64 == header.components
        && components.iter().all(|c| {
            (u64::from(c.width()), u64::from(c.height())) == (header.columns, header.rows)
        });
    if !complete {
        return Err(StudyError::corrupt("a JPEG 2000 component is incomplete"));
    }
    Ok(match components {
        [only] => only.data().to_vec(),
        several => {
            let planes: Vec<&[i32]> = several.iter().map(|c| c.data()).collect();
            let pixels = (header.columns * header.rows) as usize;
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
        Ok(Self {
            start,
            columns,
            rows,
            tiles: right.div_ceil(tile_width) * bottom.div_ceil(tile_height),
            components,
            precision,
            colour_transform: components == 3 && colour_transform(s),
        })
    }
}

/// Multiple component transformation of the COD marker segment. Source: T.800 A.6.1.
fn colour_transform(s: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xFF, code, l1, l0]) = s.get(at..).and_then(|t| t.first_chunk::<4>()) {
        match code {
            0x52 => return s.get(at + 8).is_some_and(|mct| *mct != 0),
            // Start of the first tile part.
            0x90 => return false,
            _ => at += 2 + usize::from(u16::from_be_bytes([l1, l0])),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codestreams of files of the collection whose name passes.
    fn codestreams(passes: impl Fn(&str) -> bool) -> Vec<(String, Vec<u8>)> {
        let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/vectors/codecs");
        let mut folders = vec![std::path::PathBuf::from(vectors)];
        if let Some(data) = std::env::var_os("LUCENCY_TEST_DATA") {
            folders.push(std::path::Path::new(&data).join("dicom"));
        }
        let mut found = Vec::new();
        for entry in folders.iter().flat_map(|f| std::fs::read_dir(f).unwrap()) {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let file = std::fs::read(&path).unwrap();
            let start = file.windows(4).position(|w| w == [0xFF, 0x4F, 0xFF, 0x51]);
            if let (true, Some(start)) = (passes(&name), start) {
                // Of several frames the first.
                let end = file[start..].windows(2).position(|w| w == [0xFF, 0xD9]);
                let end = end.map_or(file.len(), |end| start + end + 2);
                found.push((name, file[start..end].to_vec()));
            }
        }
        found
    }

    #[test]
    fn plain_codestreams_decode_here_and_as_openjpeg_decodes_them() {
        let plain =
            |name: &str| !name.to_lowercase().starts_with("htj2k") && !name.contains("short");
        let streams = codestreams(plain);
        assert!(streams.len() >= 7, "the vectors have lost files");
        for (name, bytes) in streams {
            let Ok(header) = Header::read(&bytes) else {
                continue;
            };
            let ours = part1::decode(&bytes);
            assert!(
                ours.is_some() || !name.starts_with("j2k"),
                "{name} is not plain"
            );
            // Of the collection some are in several fragments, which `codestreams` does not join.
            let Some(ours) = ours else { continue };
            let theirs = translated(&bytes, &header).unwrap();
            assert_eq!(ours.len(), theirs.len(), "{name}");
            let pairs = ours.iter().zip(&theirs);
            let off = pairs.map(|(a, b)| a.abs_diff(*b)).max();
            let exact = codestream::read(&bytes).unwrap().components[0]
                .style
                .reversible;
            // Sums of floats in another order may round the other way.
            let most = if exact { 0 } else { 1 };
            assert!(off <= Some(most), "{name} is off by {off:?}");
        }
    }

    #[test]
    fn what_is_cut_short_is_left_to_the_other_decoder() {
        for (name, bytes) in codestreams(|name| name.starts_with("j2k")) {
            for share in [3, 10, 50, 90, 99] {
                let cut = &bytes[..bytes.len() * share / 100];
                assert!(
                    part1::decode(cut).is_none(),
                    "{name} with {share} % of its bytes"
                );
            }
        }
    }

    #[test]
    fn any_change_is_survived() {
        for (_, bytes) in codestreams(|name| name.starts_with("j2k")) {
            for place in (2..bytes.len()).step_by(bytes.len() / 60 + 1) {
                let mut changed = bytes.clone();
                changed[place] ^= 1 << (place % 8);
                // Any answer will do that is not a panic: `decode` compares sizes with the data set first.
                if Header::read(&changed).is_ok_and(|h| h.columns * h.rows < 1 << 22) {
                    std::hint::black_box(part1::decode(&changed));
                }
            }
        }
    }
}
