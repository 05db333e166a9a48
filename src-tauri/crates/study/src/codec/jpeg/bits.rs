//! Entropy-coded bits: stuffed zeros removed, stopping at markers. Source: T.81 B.1.1.5.

use crate::error::{Result, StudyError};

pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u64,
    count: u32,
    /// Bits invented after the end; more than the look-ahead needs means that the stream is too short.
    invented: u32,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            buffer: 0,
            count: 0,
            invented: 0,
        }
    }

    /// Makes at least 32 bits available, zeros past the end of the segment.
    #[inline]
    pub fn fill(&mut self) {
        if self.count > 32 {
            return;
        }
        // Most words hold no byte of ones and are taken whole.
        let ahead = self.bytes.get(self.at..).and_then(|b| b.first_chunk::<4>());
        match ahead.map(|bytes| u32::from_be_bytes(*bytes)) {
            Some(word) if !has_ones(word) => {
                self.buffer = self.buffer << 32 | u64::from(word);
                self.count += 32;
                self.at += 4;
            }
            _ => self.fill_bytes(),
        }
    }

    #[cold]
    fn fill_bytes(&mut self) {
        while self.count <= 56 {
            let byte = match self.bytes.get(self.at) {
                Some(0xFF) => match self.bytes.get(self.at + 1) {
                    Some(0) => {
                        self.at += 2;
                        0xFF
                    }
                    _ => self.invent(),
                },
                Some(&byte) => {
                    self.at += 1;
                    byte
                }
                None => self.invent(),
            };
            self.buffer = self.buffer << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    fn invent(&mut self) -> u8 {
        self.invented += 8;
        0
    }

    /// The next 16 bits, without taking them.
    #[inline]
    pub fn peek16(&mut self) -> u32 {
        if self.count < 16 {
            self.fill();
        }
        (self.buffer >> (self.count - 16)) as u32 & 0xFFFF
    }

    /// The next bits, 32 at most, after [`Self::fill`].
    #[inline]
    pub fn ahead(&self, bits: u32) -> u32 {
        (self.buffer >> (self.count - bits)) as u32 & (u64::MAX >> (64 - bits)) as u32
    }

    /// Takes bits that were looked at; the caller checks [`Self::is_overrun`] before it believes what they said.
    #[inline]
    pub fn drop(&mut self, bits: u32) {
        self.count -= bits;
    }

    /// True when bits after the end were taken.
    #[inline]
    pub fn is_overrun(&self) -> bool {
        self.invented > self.count
    }

    /// Takes bits that were peeked.
    ///
    /// Errors if they lie after the end.
    #[inline]
    pub fn take(&mut self, bits: u32) -> Result<()> {
        self.count -= bits;
        if self.is_overrun() {
            return Err(StudyError::truncated("JPEG entropy-coded data"));
        }
        Ok(())
    }

    /// The next `bits` (at most 16) as a number.
    #[inline]
    pub fn read(&mut self, bits: u32) -> Result<u32> {
        if bits == 0 {
            return Ok(0);
        }
        let value = self.peek16() >> (16 - bits);
        self.take(bits)?;
        Ok(value)
    }

    /// A signed value of a magnitude category. Source: T.81 F.2.2.1, EXTEND.
    #[inline]
    pub fn receive_extend(&mut self, category: u32) -> Result<i32> {
        if category == 0 {
            return Ok(0);
        }
        Ok(extend(self.read(category)?, category))
    }

    /// Goes to the byte after the next restart marker.
    ///
    /// Errors if another marker or the end comes first.
    pub fn restart(&mut self) -> Result<()> {
        self.buffer = 0;
        self.count = 0;
        self.invented = 0;
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        let marker = rest
            .windows(2)
            .position(|w| w[0] == 0xFF && w[1] != 0 && w[1] != 0xFF);
        match marker {
            Some(skip) if (0xD0..=0xD7).contains(&rest[skip + 1]) => {
                self.at += skip + 2;
                Ok(())
            }
            _ => Err(StudyError::truncated("a JPEG restart interval")),
        }
    }

    /// Bytes up to the marker that ends the scan.
    pub fn position(&self) -> usize {
        self.at
    }
}

/// The signed value of a magnitude category (1 to 16) from its additional bits. Source: T.81 F.2.2.1, EXTEND.
#[inline]
pub(super) fn extend(bits: u32, category: u32) -> i32 {
    let value = bits as i32;
    if value < 1 << (category - 1) {
        value - (1 << category) + 1
    } else {
        value
    }
}

/// True if any byte is 0xFF.
#[inline]
fn has_ones(word: u32) -> bool {
    (!word).wrapping_sub(0x0101_0101) & word & 0x8080_8080 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_of_ones_is_found_wherever_it_is() {
        for place in 0..4 {
            for other in [0x00, 0x01, 0x7F, 0x80, 0xFE] {
                let mut bytes = [other; 4];
                assert!(
                    !has_ones(u32::from_be_bytes(bytes)),
                    "{other:#x} is not ones"
                );
                bytes[place] = 0xFF;
                assert!(
                    has_ones(u32::from_be_bytes(bytes)),
                    "ones at {place} beside {other:#x}"
                );
            }
        }
    }
}
