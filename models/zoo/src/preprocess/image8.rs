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

    /// Luminance with its histogram equalised: each grey level becomes the share of the pixels that are darker or as dark.
    pub fn equalised(&self) -> Self {
        let mut image = self.to_grey();
        let mut darker = [0usize; 256];
        for level in &image.data {
            darker[usize::from(*level)] += 1;
        }
        let mut sum = 0;
        for count in &mut darker {
            sum += *count;
            *count = sum;
        }
        let total = image.data.len();
        for level in &mut image.data {
            *level = (255 * darker[usize::from(*level)] / total) as u8;
        }
        image
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equalised_levels_are_the_shares_of_pixels_that_are_as_dark() {
        let image = Image8::new(4, 1, 1, vec![10, 10, 200, 12]).unwrap();
        assert_eq!(image.equalised().data, [127, 127, 255, 191]);
    }

    #[test]
    fn equalising_forgets_exposure_and_window() {
        let dark: Vec<u8> = (0..=99).map(|i| (i * i / 100) as u8).collect();
        let bright: Vec<u8> = dark.iter().map(|v| 2 * v + 30).collect();
        let equalised = |data: Vec<u8>| Image8::new(10, 10, 1, data).unwrap().equalised();
        assert_eq!(equalised(dark), equalised(bright));
    }
}
