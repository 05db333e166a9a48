//! Huffman tables. Source: T.81 annex C, F.2.2.3.

use super::bits::Bits;
use crate::error::{Result, StudyError};

const FAST_BITS: u32 = 9;

/// A decoding table: short codes by look-up, long ones by comparing with the largest code of each length.
pub(super) struct Table {
    /// `length << 8 | value` for codes of up to [`FAST_BITS`]; 0 for longer ones.
    fast: Vec<u16>,
    /// For each length, one more than its largest code, shifted to 16 bits.
    limit: [u32; 17],
    /// For each length, what to add to a code to get the index of its value.
    offset: [i32; 17],
    values: Vec<u8>,
}

impl Table {
    /// From the number of codes of each length; `None` when they do not fit a prefix code.
    pub fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        let mut fast = vec![0; 1 << FAST_BITS];
        let mut limit = [0; 17];
        let mut offset = [0; 17];
        let mut code = 0u32;
        let mut index = 0usize;
        for length in 1..=16u32 {
            let count = u32::from(counts[length as usize - 1]);
            offset[length as usize] = index as i32 - code as i32;
            if code + count > 1 << length {
                return None;
            }
            for _ in 0..count {
                if length <= FAST_BITS {
                    let spare = FAST_BITS - length;
                    let first = (code << spare) as usize;
                    let entry = (length as u16) << 8 | u16::from(values[index]);
                    fast[first..first + (1 << spare)].fill(entry);
                }
                code += 1;
                index += 1;
            }
            limit[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(Self {
            fast,
            limit,
            offset,
            values: values.to_vec(),
        })
    }

    /// The next value.
    ///
    /// Errors if the bits are no code or end.
    #[inline]
    pub fn decode(&self, bits: &mut Bits<'_>) -> Result<u8> {
        let ahead = bits.peek16();
        let entry = self.fast[(ahead >> (16 - FAST_BITS)) as usize];
        if entry != 0 {
            bits.take(u32::from(entry >> 8))?;
            return Ok(entry as u8);
        }
        for length in FAST_BITS + 1..=16 {
            if ahead < self.limit[length as usize] {
                bits.take(length)?;
                let code = (ahead >> (16 - length)) as i32;
                let index = (code + self.offset[length as usize]) as usize;
                let value = self.values.get(index).copied();
                return value.ok_or_else(|| StudyError::corrupt("a JPEG Huffman code"));
            }
        }
        Err(StudyError::corrupt("a JPEG Huffman code"))
    }
}
