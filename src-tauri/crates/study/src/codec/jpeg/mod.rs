//! JPEG in its DICOM variants: baseline, extended (8 and 12 bit), progressive, and lossless. Source: ITU-T T.81.
//!
//! Written here because DICOM needs what photographs do not: 12 bits, lossless prediction up to 16 bits, and components
//! exactly as coded, with the colour transform left to the data set.

mod bits;
mod dct;
mod header;
mod huffman;
mod lossless;
mod scan;
mod upsample;

use super::{Decoded, Expected, Samples, check_size};
use crate::dicom::colour::ColourSpace;
use crate::error::{Result, StudyError};
use header::{Marker, Process, Reader, Tables};

/// Decodes one codestream.
///
/// Errors if it is damaged, ends early, differs in size from `expected`, or is hierarchical or arithmetic.
pub(crate) fn decode(bytes: &[u8], expected: &Expected) -> Result<Decoded> {
    let mut reader = Reader::new(bytes)?;
    let mut tables = Tables::default();
    let mut picture: Option<Picture> = None;
    loop {
        match reader.next_marker()? {
            Marker::Tables(segment) => tables.read(segment)?,
            Marker::Frame(code, segment) => {
                if picture.is_some() {
                    return Err(StudyError::corrupt("two JPEG frames in one"));
                }
                let frame = header::Frame::read(code, segment, expected.rows)?;
                let samples = frame.components.len() as u64;
                check_size(
                    expected,
                    u64::from(frame.width),
                    u64::from(frame.height),
                    samples,
                )?;
                picture = Some(Picture::new(frame));
            }
            Marker::Scan(segment) => {
                let picture = picture
                    .as_mut()
                    .ok_or_else(|| StudyError::corrupt("a JPEG scan before its frame"))?;
                let used = picture.scan(segment, reader.rest(), &tables)?;
                reader.skip(used);
            }
            Marker::End => break,
        }
        // The picture is complete when the last scan is: a missing end marker harms nobody.
        if picture.as_ref().is_some_and(Picture::is_complete) && reader.is_at_end() {
            break;
        }
    }
    let picture = picture.ok_or_else(|| StudyError::truncated("a JPEG stream without a frame"))?;
    if !picture.is_complete() {
        return Err(StudyError::truncated("a JPEG stream lacks scans"));
    }
    let space = colour_space(&picture, &tables);
    let precision = u16::from(picture.frame().precision);
    Ok(Decoded {
        samples: picture.finish(&tables)?,
        precision,
        space,
    })
}

/// What the codestream itself says about colour: component letters, then Adobe's marker, then JFIF's. Adobe's "no
/// transform" says nothing: writers leave it in place over both kinds, and the data set decides.
fn colour_space(picture: &Picture, tables: &Tables) -> Option<ColourSpace> {
    let frame = picture.frame();
    if frame.components.len() != 3 || frame.precision != 8 {
        return None;
    }
    let ids: Vec<u8> = frame.components.iter().map(|c| c.id).collect();
    match (ids.as_slice(), tables.adobe_transform) {
        (b"RGB" | b"rgb", _) => Some(ColourSpace::Rgb),
        (_, Some(0)) => None,
        (_, Some(1)) => Some(ColourSpace::YbrFull),
        _ if tables.jfif => Some(ColourSpace::YbrFull),
        _ => None,
    }
}

enum Picture {
    Transform(scan::Coefficients),
    Lossless(lossless::Planes),
}

impl Picture {
    fn new(frame: header::Frame) -> Self {
        match frame.process {
            Process::Lossless => Self::Lossless(lossless::Planes::new(frame)),
            _ => Self::Transform(scan::Coefficients::new(frame)),
        }
    }

    fn frame(&self) -> &header::Frame {
        match self {
            Self::Transform(c) => &c.frame,
            Self::Lossless(p) => &p.frame,
        }
    }

    /// Decodes one scan and returns the number of entropy-coded bytes that it took.
    fn scan(&mut self, segment: &[u8], data: &[u8], tables: &Tables) -> Result<usize> {
        let scan = header::Scan::read(segment, self.frame())?;
        match self {
            Self::Transform(c) => c.scan(&scan, data, tables),
            Self::Lossless(p) => p.scan(&scan, data, tables),
        }
    }

    fn is_complete(&self) -> bool {
        match self {
            Self::Transform(c) => c.seen.iter().all(|s| *s),
            Self::Lossless(p) => p.seen.iter().all(|s| *s),
        }
    }

    fn finish(self, tables: &Tables) -> Result<Samples> {
        match self {
            Self::Transform(c) => c.finish(tables),
            Self::Lossless(p) => Ok(p.finish()),
        }
    }
}
