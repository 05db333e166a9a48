//! The last step: bytes for a screen.

/// An 8-bit picture, row-major, samples interleaved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 1 for grey, 3 for RGB.
    pub channels: u8,
    /// `width * height * channels` bytes.
    pub data: Vec<u8>,
}

/// The byte of a display fraction: `floor(clamp(t, 0, 1) * 255 + 0.5)`; 0 when `t` is not a number.
pub fn to_byte(fraction: f64) -> u8 {
    // `as` saturates and turns NaN into 0; max/min would turn NaN into a bound.
    (fraction.clamp(0.0, 1.0) * 255.0 + 0.5).floor() as u8
}

impl Image {
    /// The picture as a PNG file.
    ///
    /// Errors only if `data` does not have the size that the other fields say.
    pub fn to_png(&self) -> crate::Result<Vec<u8>> {
        use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
        let colour = match self.channels {
            1 => ExtendedColorType::L8,
            _ => ExtendedColorType::Rgb8,
        };
        let size = self.width as usize * self.height as usize * usize::from(self.channels);
        if size != self.data.len() {
            return Err(crate::StudyError::corrupt("a picture of another size"));
        }
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(&self.data, self.width, self.height, colour)
            .map_err(|_| crate::StudyError::corrupt("a picture that PNG cannot hold"))?;
        Ok(png)
    }
}
