//! An 8-bit image in memory.

use crate::error::{Result, ZooError};

/// An 8-bit image: rows from the top, samples interleaved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image8 {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Samples a pixel: 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// `height * width * channels` samples.
    pub data: Vec<u8>,
}

impl Image8 {
    /// Takes samples as an image.
    ///
    /// Errors if a side is zero, `channels` is neither 1 nor 3, or `data` has another length.
    pub fn new(width: usize, height: usize, channels: usize, data: Vec<u8>) -> Result<Self> {
        let expected = width
            .checked_mul(height)
            .and_then(|n| n.checked_mul(channels));
        if width == 0 || height == 0 || !matches!(channels, 1 | 3) || expected != Some(data.len()) {
            return Err(ZooError::ImageSize {
                width,
                height,
                channels,
                bytes: data.len(),
            });
        }
        Ok(Self {
            width,
            height,
            channels,
            data,
        })
    }

    /// Decodes an image file (PNG, JPEG, TIFF, BMP); 16-bit samples are rounded to 8 bits, alpha is dropped.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Self::from_decoded(image::load_from_memory(bytes)?)
    }

    /// Takes an image of the `image` crate: grey stays one channel, everything else becomes three.
    pub fn from_decoded(image: image::DynamicImage) -> Result<Self> {
        let (width, height) = (image.width() as usize, image.height() as usize);
        if image.color().has_color() {
            Self::new(width, height, 3, image.into_rgb8().into_raw())
        } else {
            Self::new(width, height, 1, image.into_luma8().into_raw())
        }
    }

    /// The same image as one channel of luminance.
    ///
    /// ITU-R BT.601 weights in 16-bit fixed point, as Pillow's `convert("L")`.
    pub fn to_grey(&self) -> Self {
        if self.channels == 1 {
            return self.clone();
        }
        let data = self
            .data
            .chunks_exact(3)
            .map(|p| {
                let sum =
                    19595 * u32::from(p[0]) + 38470 * u32::from(p[1]) + 7471 * u32::from(p[2]);
                ((sum + 0x8000) >> 16) as u8
            })
            .collect();
        Self {
            channels: 1,
            data,
            ..*self
        }
    }
}
