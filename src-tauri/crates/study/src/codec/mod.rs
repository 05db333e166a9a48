//! Pixel codecs: compressed bytes of one frame to samples.
//!
//! Every codec is Rust, so there is no C decoder that a hostile file could corrupt memory with. Each is called only after
//! its own header was checked against the DICOM attributes and against what the compressed bytes can justify, and behind
//! [`std::panic::catch_unwind`]: a defect in a codec becomes [`StudyError::Corrupt`], not a lost window.

pub(crate) mod deflate;
mod jpeg;
mod jpeg2000;
mod jpegls;
mod jpegxl;
pub(crate) mod rle;

use crate::dicom::colour::ColourSpace;
use crate::dicom::image::Layout;
use crate::dicom::native::Clean;
use crate::dicom::syntax::PixelCoding;
use crate::error::{Result, StudyError};
use crate::frame::StoredValues;

/// What the data set says a codestream must hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub rows: u32,
    pub columns: u32,
    pub samples: u16,
}

/// Samples of a codestream, interleaved.
#[derive(Debug)]
pub(crate) enum Samples {
    U8(Vec<u8>),
    U16(Vec<u16>),
    I32(Vec<i32>),
}

/// What a codec gives back.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub samples: Samples,
    /// Bits of a sample.
    pub precision: u16,
    /// What the codestream itself says about colour; `None` leaves it to the data set.
    pub space: Option<ColourSpace>,
}

/// Pixels that any codestream may have, however small: an empty image compresses to almost nothing.
const FREE_PIXELS: u64 = 1 << 24;
/// Pixels for each compressed byte beyond which a larger image is not believed.
const PIXELS_PER_BYTE: u64 = 2000;

/// Decodes one frame.
///
/// Errors if the codestream is damaged, differs in size from `expected`, or uses a feature that has no decoder here.
pub(crate) fn decode(coding: PixelCoding, bytes: &[u8], expected: &Expected) -> Result<Decoded> {
    let pixels = u64::from(expected.rows) * u64::from(expected.columns);
    if pixels > FREE_PIXELS.max(bytes.len() as u64 * PIXELS_PER_BYTE) {
        return Err(StudyError::TooLarge(format!(
            "{pixels} pixels from {} compressed bytes",
            bytes.len()
        )));
    }
    let run = || match coding {
        PixelCoding::Jpeg => jpeg::decode(bytes, expected),
        PixelCoding::JpegLs => jpegls::decode(bytes, expected),
        PixelCoding::Jpeg2000 => jpeg2000::decode(bytes, expected),
        PixelCoding::JpegXl => jpegxl::decode(bytes, expected),
        other => Err(StudyError::unsupported(format!("{other:?} pixel data"))),
    };
    let decoded: Result<Decoded> = guarded(run);
    let decoded = decoded?;
    let wanted = pixels * u64::from(expected.samples);
    if decoded.samples.len() as u64 != wanted {
        return Err(StudyError::corrupt("the codestream has too few samples"));
    }
    Ok(decoded)
}

/// Runs a decoder; a panic inside becomes an error.
pub(crate) fn guarded<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err(StudyError::corrupt("the codestream stopped its decoder")))
}

/// Checks a codestream's own header against the data set.
pub(crate) fn check_size(
    expected: &Expected,
    columns: u64,
    rows: u64,
    components: u64,
) -> Result<()> {
    let matches = columns == u64::from(expected.columns)
        && rows == u64::from(expected.rows)
        && components == u64::from(expected.samples);
    if matches {
        return Ok(());
    }
    Err(StudyError::corrupt(format!(
        "the codestream is {columns}×{rows} with {components} samples, the data set says {}×{} with {}",
        expected.columns, expected.rows, expected.samples
    )))
}

impl Samples {
    /// From one plane a component, all of one size.
    ///
    /// - `precision`: bits of a sample; up to 8 are kept in bytes
    pub fn interleave(planes: &[Vec<u16>], precision: u16) -> Self {
        if precision <= 8 {
            Self::U8(interleaved(planes, |v| v as u8))
        } else {
            Self::U16(interleaved(planes, |v| v))
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::U8(v) => v.len(),
            Self::U16(v) => v.len(),
            Self::I32(v) => v.len(),
        }
    }

    /// In the kind that the data set's bits and sign call for.
    pub fn into_values(self, layout: &Layout, clean: Clean) -> StoredValues {
        match self {
            Self::U8(v) if !layout.signed && layout.bits_allocated <= 8 => {
                let keep = |x| clean.unsigned(u64::from(x)) as u8;
                StoredValues::U8(v.into_iter().map(keep).collect())
            }
            Self::U8(v) => convert(v.into_iter().map(u64::from), layout, clean),
            Self::U16(v) => convert(v.into_iter().map(u64::from), layout, clean),
            Self::I32(v) => convert(v.into_iter().map(|x| i64::from(x) as u64), layout, clean),
        }
    }
}

fn interleaved<T: Copy + Default>(planes: &[Vec<u16>], convert: impl Fn(u16) -> T) -> Vec<T> {
    if let [only] = planes {
        return only.iter().map(|v| convert(*v)).collect();
    }
    let pixels = planes.first().map_or(0, Vec::len);
    let mut samples = vec![T::default(); pixels * planes.len()];
    for (first, plane) in planes.iter().enumerate() {
        let places = samples[first..].iter_mut().step_by(planes.len());
        for (place, value) in places.zip(plane) {
            *place = convert(*value);
        }
    }
    samples
}

fn convert(raw: impl Iterator<Item = u64>, layout: &Layout, clean: Clean) -> StoredValues {
    match (layout.bits_allocated, layout.signed) {
        (..=8, false) => StoredValues::U8(raw.map(|r| clean.unsigned(r) as u8).collect()),
        (..=8, true) => StoredValues::I8(raw.map(|r| clean.signed(r) as i8).collect()),
        (..=16, false) => StoredValues::U16(raw.map(|r| clean.unsigned(r) as u16).collect()),
        (..=16, true) => StoredValues::I16(raw.map(|r| clean.signed(r) as i16).collect()),
        (_, false) => StoredValues::U32(raw.map(|r| clean.unsigned(r) as u32).collect()),
        (_, true) => StoredValues::I32(raw.map(|r| clean.signed(r) as i32).collect()),
    }
}
