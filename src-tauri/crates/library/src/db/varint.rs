//! SQLite's numbers of one to nine bytes.

/// Numbers of one to nine bytes, one after the other.
pub(super) struct Numbers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Numbers<'a> {
    /// The numbers of some bytes.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next number; none at the end, or if it is cut short.
    pub fn next(&mut self) -> Option<u64> {
        let (number, at) = number(self.bytes, self.at)?;
        self.at = at;
        Some(number)
    }

    /// What follows.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }
}

/// One of SQLite's variable-length numbers, and where the next one begins.
///
/// Source: <https://www.sqlite.org/fileformat2.html#varint>
#[inline(always)]
pub(super) fn number(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let first = *bytes.get(at)?;
    match first < 0x80 {
        true => Some((u64::from(first), at + 1)),
        false => long_number(bytes, at),
    }
}

fn long_number(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for i in 0..9 {
        let byte = *bytes.get(at + i)?;
        if i == 8 {
            return Some(((value << 8) | u64::from(byte), at + 9));
        }
        value = (value << 7) | u64::from(byte & 0x7F);
        if byte < 0x80 {
            return Some((value, at + i + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_length_that_they_need() {
        for (bytes, value) in [
            (&[5u8][..], 5),
            (&[0x81, 0x00], 128),
            (&[0xFF, 0x7F], 16_383),
            (
                &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
                u64::MAX,
            ),
        ] {
            assert_eq!(number(bytes, 0), Some((value, bytes.len())));
            let mut cut = Numbers::of(&bytes[..bytes.len() - 1]);
            assert_eq!(cut.next(), None, "cut short");
        }
    }
}
