//! The bytes of a pickle, read from front to back.

use super::machine::{PickleError, Result};

/// The longest name of a module, class or function, and the longest number in digits.
const MAX_NAME_BYTES: usize = 1024;

/// A pickle's bytes and how far they were read. Nothing is read beyond the end, and lengths that
/// the pickle states are compared with what is left before they are used.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes that were read.
    pub(super) fn consumed(&self) -> usize {
        self.at
    }

    /// Goes back by one byte, so that a message names the instruction's own place.
    pub(super) fn step_back(&mut self) {
        self.at -= 1;
    }

    pub(super) fn malformed<T>(&self, what: impl Into<String>) -> Result<T> {
        let what = what.into();
        Err(PickleError::Malformed(format!(
            "{what} (pickle byte {})",
            self.at
        )))
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        if rest.len() < count {
            return self.malformed(format!("{count} bytes are needed, {} are left", rest.len()));
        }
        self.at += count;
        Ok(&rest[..count])
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.bytes(N)?;
        Ok(bytes
            .try_into()
            .expect("`bytes` returns as many as asked for"))
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// A length of `N` bytes, little endian.
    pub(super) fn length<const N: usize>(&mut self) -> Result<usize> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(&self.array::<N>()?);
        match usize::try_from(u64::from_le_bytes(wide)) {
            Ok(length) => Ok(length),
            Err(_) => self.malformed("a length beyond this machine's memory"),
        }
    }

    /// UTF-8 text of a stated length.
    pub(super) fn text(&mut self, length: usize) -> Result<&'a str> {
        let bytes = self.bytes(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(_) => self.malformed("a text is not UTF-8"),
        }
    }

    /// A short line: an object's name, or a number in digits.
    pub(super) fn name(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().take(MAX_NAME_BYTES).position(|&b| b == b'\n');
        let Some(length) = end else {
            return self.malformed("a name or number does not end");
        };
        let line = self.bytes(length + 1)?;
        match std::str::from_utf8(&line[..length]) {
            Ok(text) => Ok(text.trim_end_matches('\r')),
            Err(_) => self.malformed("an object's name is not UTF-8"),
        }
    }

    /// A line of any length, without its end.
    pub(super) fn line(&mut self) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().position(|&b| b == b'\n') else {
            return self.malformed("a text does not end");
        };
        Ok(&self.bytes(length + 1)?[..length])
    }

    /// A whole number of up to 16 bytes, little endian, in two's complement, behind its length.
    pub(super) fn long(&mut self) -> Result<i128> {
        let length = usize::from(self.byte()?);
        if length > 16 {
            return self.malformed(format!("a whole number of {length} bytes"));
        }
        let bytes = self.bytes(length)?;
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 16];
        wide[..length].copy_from_slice(bytes);
        Ok(i128::from_le_bytes(wide))
    }
}
