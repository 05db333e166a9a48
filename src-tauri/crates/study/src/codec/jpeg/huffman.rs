//! Huffman tables. Source: T.81 annex C, F.2.2.3.

use super::bits::{Bits, extend};
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
        let code = self.code(bits.peek16());
        let (length, value) = code.ok_or_else(|| StudyError::corrupt("a JPEG Huffman code"))?;
        bits.take(length)?;
        Ok(value)
    }
}

/// Bits that [`Differences`] looks at: the codes of small differences with what follows them.
const WIDE_BITS: u32 = 12;

/// A table for lossless scans: where a code and its additional bits fit into [`WIDE_BITS`], one look-up gives the
/// difference. Source: T.81 H.1.2.2.
pub(super) struct Differences<'t> {
    /// `difference << 8 | bits`; 0 where more bits are needed.
    wide: Vec<i32>,
    table: &'t Table,
}

impl<'t> Differences<'t> {
    pub fn new(table: &'t Table) -> Self {
        let wide = (0..1u32 << WIDE_BITS)
            .map(|ahead| table.short(ahead).unwrap_or(0))
            .collect();
        Self { wide, table }
    }

    /// The next difference, of 16 bits and a sign. The caller checks [`Bits::is_overrun`].
    ///
    /// Errors if the bits are no code.
    #[inline]
    pub fn next(&self, bits: &mut Bits<'_>) -> Result<i32> {
        bits.fill();
        let entry = self.wide[bits.ahead(WIDE_BITS) as usize];
        if entry != 0 {
            bits.drop((entry & 0xFF) as u32);
            return Ok(entry >> 8);
        }
        self.long(bits)
    }

    #[inline(never)]
    fn long(&self, bits: &mut Bits<'_>) -> Result<i32> {
        match self.table.decode(bits)? {
            16 => Ok(0x8000),
            category @ 0..16 => bits.receive_extend(u32::from(category)),
            _ => Err(StudyError::corrupt("a JPEG magnitude category")),
        }
    }
}

impl Table {
    /// The entry of [`Differences::wide`] for these bits.
    fn short(&self, ahead: u32) -> Option<i32> {
        let (length, category) = self.code(ahead << (16 - WIDE_BITS))?;
        let category = u32::from(category);
        let total = match category {
            16 => length,
            _ => length + category,
        };
        if category > 16 || total > WIDE_BITS {
            return None;
        }
        let difference = match category {
            0 => 0,
            16 => 0x8000,
            _ => extend(
                ahead >> (WIDE_BITS - total) & ((1 << category) - 1),
                category,
            ),
        };
        Some(difference << 8 | total as i32)
    }

    /// Length and value of the code that starts these 16 bits.
    #[inline]
    fn code(&self, ahead: u32) -> Option<(u32, u8)> {
        let entry = self.fast[(ahead >> (16 - FAST_BITS)) as usize];
        if entry != 0 {
            return Some((u32::from(entry >> 8), entry as u8));
        }
        let length = (FAST_BITS + 1..=16).find(|l| ahead < self.limit[*l as usize])?;
        let code = (ahead >> (16 - length)) as i32;
        let index = (code + self.offset[length as usize]) as usize;
        Some((length, *self.values.get(index)?))
    }
}
