//! JPEG-LS, lossless and near-lossless. Source: ITU-T T.87.
//!
//! Written here because the only decoders for it are in C and C++.

mod bits;
mod parameters;
mod scan;

use super::{Decoded, Expected, Samples, check_size};
use crate::error::{Result, StudyError};
use parameters::Parameters;
use scan::Interleave;

/// Preset coding parameters as an LSE segment gives them; zeros mean the default. Source: C.2.4.1.1.
#[derive(Debug, Clone, Copy, Default)]
struct Preset {
    max_value: u32,
    thresholds: [u32; 3],
    reset: u32,
}

struct Frame {
    precision: u16,
    width: usize,
    height: usize,
    ids: Vec<u8>,
}

/// Decodes one codestream.
///
/// Errors if it is damaged, ends early, differs in size from `expected`, or uses mapping tables or subsampling.
pub(crate) fn decode(bytes: &[u8], expected: &Expected) -> Result<Decoded> {
    if !bytes.starts_with(&[0xFF, 0xD8]) {
        return Err(StudyError::corrupt("no JPEG-LS start of image"));
    }
    let mut at = 2;
    let mut frame: Option<Frame> = None;
    let mut preset = Preset::default();
    let mut restart_interval = 0;
    let mut planes: Vec<Vec<u16>> = Vec::new();
    while frame.is_none() || planes.iter().any(Vec::is_empty) {
        let (code, segment) = next_segment(bytes, &mut at)?;
        match code {
            0xF7 => {
                let header = Frame::read(segment)?;
                let (columns, rows) = (header.width as u64, header.height as u64);
                check_size(expected, columns, rows, header.ids.len() as u64)?;
                planes = vec![Vec::new(); header.ids.len()];
                frame = Some(header);
            }
            0xF8 => read_preset(segment, &mut preset)?,
            0xDD => {
                restart_interval = segment.iter().fold(0, |v, b| v << 8 | usize::from(*b));
            }
            0xDA => {
                let frame = frame
                    .as_ref()
                    .ok_or_else(|| StudyError::corrupt("a JPEG-LS scan before its frame"))?;
                let data = &bytes[at..];
                let (used, decoded) = decode_scan(frame, &preset, restart_interval, segment, data)?;
                at += used;
                for (index, plane) in decoded {
                    planes[index] = plane;
                }
            }
            0xC0..=0xCF if code != 0xC4 => {
                return Err(StudyError::corrupt("a JPEG frame that is not JPEG-LS"));
            }
            0xD9 => return Err(StudyError::truncated("a JPEG-LS stream lacks scans")),
            _ => {}
        }
    }
    let frame = frame.ok_or_else(|| StudyError::truncated("a JPEG-LS stream"))?;
    Ok(Decoded {
        samples: Samples::interleave(&planes, frame.precision),
        precision: frame.precision,
        space: None,
    })
}

/// The next marker with its segment; markers without parameters have an empty one.
fn next_segment<'a>(bytes: &'a [u8], at: &mut usize) -> Result<(u8, &'a [u8])> {
    let end = || StudyError::truncated("the JPEG-LS stream");
    loop {
        while *bytes.get(*at).ok_or_else(end)? != 0xFF {
            *at += 1;
        }
        while *bytes.get(*at).ok_or_else(end)? == 0xFF {
            *at += 1;
        }
        let code = bytes[*at];
        *at += 1;
        match code {
            0x00..=0x7F | 0xD0..=0xD8 => {}
            0xD9 => return Ok((code, &[])),
            _ => {
                let field = bytes.get(*at..*at + 2).ok_or_else(end)?;
                let length = usize::from(u16::from_be_bytes([field[0], field[1]]));
                let segment = bytes.get(*at + 2..*at + length).ok_or_else(end)?;
                *at += length;
                return Ok((code, segment));
            }
        }
    }
}

impl Frame {
    fn read(s: &[u8]) -> Result<Self> {
        let short = || StudyError::truncated("the JPEG-LS frame header");
        let &[precision, y1, y0, x1, x0, count] = s.first_chunk::<6>().ok_or_else(short)?;
        let fields = s
            .get(6..6 + 3 * usize::from(count))
            .ok_or_else(short)?
            .as_chunks::<3>()
            .0;
        if !(2..=16).contains(&precision) || !matches!(count, 1 | 3) {
            return Err(StudyError::unsupported(format!(
                "JPEG-LS with {precision} bits and {count} components"
            )));
        }
        if fields.iter().any(|f| f[1] != fields[0][1]) {
            return Err(StudyError::unsupported("subsampled JPEG-LS"));
        }
        Ok(Self {
            precision: u16::from(precision),
            width: usize::from(u16::from_be_bytes([x1, x0])),
            height: usize::from(u16::from_be_bytes([y1, y0])),
            ids: fields.iter().map(|f| f[0]).collect(),
        })
    }
}

fn read_preset(s: &[u8], preset: &mut Preset) -> Result<()> {
    let short = || StudyError::truncated("a JPEG-LS parameter segment");
    match s.first().ok_or_else(short)? {
        1 => {
            let fields = s.get(1..11).ok_or_else(short)?.as_chunks::<2>().0;
            let field = |i: usize| u32::from(u16::from_be_bytes(fields[i]));
            *preset = Preset {
                max_value: field(0),
                thresholds: [field(1), field(2), field(3)],
                reset: field(4),
            };
            Ok(())
        }
        2 | 3 => Err(StudyError::unsupported("JPEG-LS mapping tables")),
        _ => Err(StudyError::unsupported("a JPEG-LS extension")),
    }
}

type ScanPlanes = Vec<(usize, Vec<u16>)>;

/// Decodes one scan: bytes taken, and planes by component.
fn decode_scan(
    frame: &Frame,
    preset: &Preset,
    restart_interval: usize,
    header: &[u8],
    data: &[u8],
) -> Result<(usize, ScanPlanes)> {
    let wrong = || StudyError::corrupt("the JPEG-LS scan header");
    let count = usize::from(*header.first().ok_or_else(wrong)?);
    let selectors = header
        .get(1..1 + 2 * count)
        .ok_or_else(wrong)?
        .as_chunks::<2>()
        .0;
    let tail = header.get(1 + 2 * count..).ok_or_else(wrong)?;
    let &[near, interleave, point_transform] = tail.first_chunk::<3>().ok_or_else(wrong)?;
    if point_transform != 0 || selectors.iter().any(|s| s[1] != 0) {
        return Err(StudyError::unsupported("JPEG-LS mapping tables"));
    }
    let mut indices = Vec::new();
    for selector in selectors {
        let index = frame.ids.iter().position(|id| *id == selector[0]);
        let index = index.filter(|i| !indices.contains(i)).ok_or_else(wrong)?;
        indices.push(index);
    }
    let interleave = match (interleave, count) {
        (_, 1) => Interleave::Line,
        (1, 3) => Interleave::Line,
        (2, 3) => Interleave::Sample,
        _ => return Err(wrong()),
    };
    let parameters = Parameters::new(
        frame.precision,
        u32::from(near),
        preset.max_value,
        preset.thresholds,
        preset.reset,
    )
    .ok_or_else(|| StudyError::corrupt("the JPEG-LS coding parameters"))?;
    let (used, planes) = scan::decode(
        data,
        &parameters,
        interleave,
        restart_interval,
        (frame.width, frame.height, count),
    )?;
    Ok((used, indices.into_iter().zip(planes).collect()))
}
