//! PNG, JPEG, TIFF and BMP files: stored values as the file has them.
//!
//! Grey stays grey, colour is RGB; transparency is dropped, not blended, so that stored values stay exact.

use std::io::{BufRead, Seek};

use image::{ColorType, DynamicImage, ImageDecoder, ImageReader, Limits};

use crate::display::{ModalityTransform, Polarity};
use crate::error::{Result, StudyError};
use crate::frame::{Frame, Photometric, StoredValues, full_range_8bit};
use crate::model::Format;

/// Largest width or height that is read.
const MAX_SIDE: u32 = 1 << 16;
/// Pixels for each byte of the file beyond which a larger image is not believed; deflate reaches about 1030.
const PIXELS_PER_BYTE: u64 = 1100;
/// Pixels that any file may have.
const FREE_PIXELS: u64 = 1 << 24;

/// The format that the first bytes name.
pub(crate) fn sniff(head: &[u8]) -> Option<Format> {
    match head {
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Some(Format::Png),
        [0xFF, 0xD8, 0xFF, ..] => Some(Format::Jpeg),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Format::Tiff),
        [b'B', b'M', ..] if head.len() >= 26 && head[6..10] == [0; 4] => Some(Format::Bmp),
        _ => None,
    }
}

fn image_format(format: Format) -> Option<image::ImageFormat> {
    match format {
        Format::Png => Some(image::ImageFormat::Png),
        Format::Jpeg => Some(image::ImageFormat::Jpeg),
        Format::Tiff => Some(image::ImageFormat::Tiff),
        Format::Bmp => Some(image::ImageFormat::Bmp),
        Format::Dicom => None,
    }
}

/// Size and samples of an image file.
pub(crate) struct RasterHeader {
    pub rows: u32,
    pub columns: u32,
    pub samples: u16,
    pub bits: u16,
}

/// Reads size and samples without decoding pixels.
pub(crate) fn header(
    format: Format,
    input: impl BufRead + Seek,
    bytes: u64,
) -> Result<RasterHeader> {
    codec_guard(|| {
        let decoder = decoder(format, input, bytes)?;
        let (columns, rows) = decoder.dimensions();
        let colour = decoder.color_type();
        let samples = if colour.has_color() { 3 } else { 1 };
        Ok(RasterHeader {
            rows,
            columns,
            samples,
            bits: 8 * u16::from(colour.bytes_per_pixel() / colour.channel_count()),
        })
    })
}

fn decoder<'a>(
    format: Format,
    input: impl BufRead + Seek + 'a,
    bytes: u64,
) -> Result<impl ImageDecoder + 'a> {
    let format = image_format(format).ok_or_else(|| StudyError::unsupported("not a raster"))?;
    let mut reader = ImageReader::with_format(input, format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some((64 << 20) + bytes.saturating_mul(64));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(image_error)?;
    let (columns, rows) = decoder.dimensions();
    let pixels = u64::from(columns) * u64::from(rows);
    if pixels > FREE_PIXELS.max(bytes.saturating_mul(PIXELS_PER_BYTE)) {
        return Err(StudyError::TooLarge(format!(
            "{columns}×{rows} pixels from {bytes} bytes"
        )));
    }
    Ok(decoder)
}

/// Decodes an image file of `bytes` bytes.
pub(crate) fn decode(format: Format, input: impl BufRead + Seek, bytes: u64) -> Result<Frame> {
    codec_guard(|| {
        let decoder = decoder(format, input, bytes)?;
        let (columns, rows) = decoder.dimensions();
        let colour = decoder.color_type();
        let picture = DynamicImage::from_decoder(decoder).map_err(image_error)?;
        let values = match (colour, picture) {
            (_, DynamicImage::ImageLuma8(i)) => StoredValues::U8(i.into_raw()),
            (_, DynamicImage::ImageLuma16(i)) => StoredValues::U16(i.into_raw()),
            (_, DynamicImage::ImageRgb8(i)) => StoredValues::U8(i.into_raw()),
            (_, DynamicImage::ImageRgb16(i)) => StoredValues::U16(i.into_raw()),
            (ColorType::La8, i) => StoredValues::U8(i.into_luma8().into_raw()),
            (ColorType::La16, i) => StoredValues::U16(i.into_luma16().into_raw()),
            (ColorType::Rgba8, i) => StoredValues::U8(i.into_rgb8().into_raw()),
            (ColorType::Rgba16, i) => StoredValues::U16(i.into_rgb16().into_raw()),
            (other, _) => {
                return Err(StudyError::unsupported(format!("{other:?} samples")));
            }
        };
        let samples = if colour.has_color() { 3 } else { 1 };
        let eight = matches!(values, StoredValues::U8(_));
        Ok(Frame {
            rows,
            columns,
            samples,
            bits_stored: if eight { 8 } else { 16 },
            values,
            photometric: if samples == 3 {
                Photometric::Rgb
            } else {
                Photometric::Monochrome2
            },
            modality: ModalityTransform::Identity,
            voi: if eight && samples == 1 {
                vec![full_range_8bit()]
            } else {
                Vec::new()
            },
            polarity: Polarity::Normal,
            spacing: None,
            padding: None,
        })
    })
}

fn codec_guard<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    crate::codec::guarded(run)
}

fn image_error(error: image::ImageError) -> StudyError {
    match error {
        image::ImageError::Limits(_) => StudyError::TooLarge("the image's own header".into()),
        image::ImageError::Unsupported(_) => {
            StudyError::unsupported("this variant of the image format")
        }
        image::ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            StudyError::truncated("the image's pixels")
        }
        image::ImageError::IoError(e) => e.into(),
        _ => StudyError::corrupt("the image's content"),
    }
}
