//! Colours of PALETTE COLOR images.

use super::Lut;

/// Red, green and blue tables of a PALETTE COLOR image. Source: PS3.3 C.7.6.3.1.5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Palette {
    /// Red table.
    pub red: Lut,
    /// Green table.
    pub green: Lut,
    /// Blue table.
    pub blue: Lut,
}

impl Palette {
    /// 8-bit colour of a stored index: the high byte of 16-bit entries, the entry of 8-bit ones.
    pub fn rgb8(&self, index: f64) -> [u8; 3] {
        [&self.red, &self.green, &self.blue].map(|lut| {
            let value = lut.at(index) as u32;
            (value >> lut.bits.saturating_sub(8)).min(255) as u8
        })
    }
}
