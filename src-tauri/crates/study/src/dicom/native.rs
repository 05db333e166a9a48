//! Uncompressed samples to stored values: any width, either byte order, planes or interleaved. Source: PS3.5 8.1, annex D.

use super::dataset::Order;
use super::image::Layout;
use crate::error::{Result, StudyError};
use crate::frame::StoredValues;

/// How the samples of a frame lie in a run of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packing {
    pub order: Order,
    /// Bits before the first sample in the first byte.
    pub skip_bits: u32,
}

/// Bits of one frame of uncompressed samples.
pub(crate) fn frame_bits(layout: &Layout) -> u64 {
    if is_subsampled_422(layout) {
        // Two chrominance samples for two pixels: PS3.3 C.7.6.3.1.2.
        return layout.pixels() * 2 * u64::from(layout.bits_allocated);
    }
    layout.values() * u64::from(layout.bits_allocated)
}

/// True when uncompressed chrominance has half the columns.
pub(crate) fn is_subsampled_422(layout: &Layout) -> bool {
    matches!(
        layout.photometric.as_str(),
        "YBR_FULL_422" | "YBR_PARTIAL_422"
    ) && layout.samples == 3
        && !layout.planar
        && layout.columns.is_multiple_of(2)
        && layout.bits_allocated == 8
}

/// Integers as stored, samples interleaved: bits below and above the stored ones dropped, sign extended.
///
/// - `bytes`: one frame in native form
///
/// Errors if the bytes are fewer than the frame needs.
pub(crate) fn integers(bytes: &[u8], layout: &Layout, packing: Packing) -> Result<StoredValues> {
    let needed = (u64::from(packing.skip_bits) + frame_bits(layout)).div_ceil(8);
    if (bytes.len() as u64) < needed {
        return Err(StudyError::truncated(format!(
            "a frame needs {needed} bytes and {} are there",
            bytes.len()
        )));
    }
    let clean = Clean::new(layout);
    let big = packing.order == Order::Big;
    let signed = layout.signed;
    let count = (frame_bits(layout) / u64::from(layout.bits_allocated)) as usize;
    let values = match layout.bits_allocated {
        8 if signed => StoredValues::I8(
            bytes[..count]
                .iter()
                .map(|b| clean.signed(u64::from(*b)) as i8)
                .collect(),
        ),
        8 if clean.is_trivial() => StoredValues::U8(bytes[..count].to_vec()),
        8 => StoredValues::U8(
            bytes[..count]
                .iter()
                .map(|b| clean.unsigned(u64::from(*b)) as u8)
                .collect(),
        ),
        16 => {
            let words = bytes.as_chunks::<2>().0[..count].iter();
            let word = move |c: &[u8; 2]| {
                u64::from(if big {
                    u16::from_be_bytes(*c)
                } else {
                    u16::from_le_bytes(*c)
                })
            };
            if signed {
                StoredValues::I16(words.map(|c| clean.signed(word(c)) as i16).collect())
            } else {
                StoredValues::U16(words.map(|c| clean.unsigned(word(c)) as u16).collect())
            }
        }
        32 => {
            let words = bytes.as_chunks::<4>().0[..count].iter();
            let word = move |c: &[u8; 4]| {
                u64::from(if big {
                    u32::from_be_bytes(*c)
                } else {
                    u32::from_le_bytes(*c)
                })
            };
            if signed {
                StoredValues::I32(words.map(|c| clean.signed(word(c)) as i32).collect())
            } else {
                StoredValues::U32(words.map(|c| clean.unsigned(word(c)) as u32).collect())
            }
        }
        bits => {
            let read = |i: usize| bit_field(bytes, packing, i as u64 * u64::from(bits), bits);
            from_bits(count, read, clean, layout)?
        }
    };
    Ok(interleave(values, layout))
}

/// Widths that are not a machine word: 1, 12, 24, 64, …
fn from_bits(
    count: usize,
    read: impl Fn(usize) -> u64,
    clean: Clean,
    layout: &Layout,
) -> Result<StoredValues> {
    let range = 0..count;
    Ok(match (layout.bits_allocated, layout.signed) {
        (..=8, false) => StoredValues::U8(range.map(|i| clean.unsigned(read(i)) as u8).collect()),
        (..=8, true) => StoredValues::I8(range.map(|i| clean.signed(read(i)) as i8).collect()),
        (..=16, false) => {
            StoredValues::U16(range.map(|i| clean.unsigned(read(i)) as u16).collect())
        }
        (..=16, true) => StoredValues::I16(range.map(|i| clean.signed(read(i)) as i16).collect()),
        (..=32, false) => {
            StoredValues::U32(range.map(|i| clean.unsigned(read(i)) as u32).collect())
        }
        (..=32, true) => StoredValues::I32(range.map(|i| clean.signed(read(i)) as i32).collect()),
        (_, signed) => {
            let exact = 1i64 << f64::MANTISSA_DIGITS;
            let value = |i: usize| {
                let v = if signed {
                    clean.signed(read(i))
                } else {
                    i64::try_from(clean.unsigned(read(i))).unwrap_or(i64::MAX)
                };
                if v.abs() > exact {
                    return Err(StudyError::unsupported("integers beyond 53 bits"));
                }
                Ok(v as f64)
            };
            StoredValues::F64(range.map(value).collect::<Result<_>>()?)
        }
    })
}

/// A field of `bits` bits, `at` bits after the first sample. Fields are packed from the least significant bit of each
/// byte (PS3.5 8.1.1); big endian data are words of 16 bits.
fn bit_field(bytes: &[u8], packing: Packing, at: u64, bits: u16) -> u64 {
    let start = at + u64::from(packing.skip_bits);
    if packing.order == Order::Big && bits.is_multiple_of(8) {
        let first = (start / 8) as usize;
        let field = &bytes[first..first + usize::from(bits / 8)];
        return field.iter().fold(0, |v, b| (v << 8) | u64::from(*b));
    }
    let mut value = 0;
    let mut have = 0;
    while have < u64::from(bits) {
        let position = start + have;
        let byte = (position / 8) as usize;
        let byte = if packing.order == Order::Big {
            byte ^ 1
        } else {
            byte
        };
        let offset = position % 8;
        let take = (8 - offset).min(u64::from(bits) - have);
        let mask = (1u64 << take) - 1;
        let part = (u64::from(bytes.get(byte).copied().unwrap_or(0)) >> offset) & mask;
        value |= part << have;
        have += take;
    }
    value
}

/// Keeps the stored bits of a sample: overlays and garbage in unused bits are dropped.
#[derive(Clone, Copy)]
pub(crate) struct Clean {
    shift: u32,
    stored: u32,
    allocated: u32,
}

impl Clean {
    pub fn new(layout: &Layout) -> Self {
        Self {
            shift: u32::from(layout.high_bit + 1 - layout.bits_stored),
            stored: u32::from(layout.bits_stored),
            allocated: u32::from(layout.bits_allocated),
        }
    }

    fn is_trivial(&self) -> bool {
        self.shift == 0 && self.stored == self.allocated
    }

    #[inline]
    pub fn unsigned(&self, raw: u64) -> u64 {
        (raw >> self.shift) & (u64::MAX >> (64 - self.stored))
    }

    #[inline]
    pub fn signed(&self, raw: u64) -> i64 {
        let spare = 64 - self.stored;
        (((raw >> self.shift) << spare) as i64) >> spare
    }
}

/// Float Pixel Data or Double Float Pixel Data.
///
/// Errors if the bytes are fewer than the frame needs.
pub(crate) fn floats(bytes: &[u8], layout: &Layout, order: Order) -> Result<StoredValues> {
    let count = layout.values() as usize;
    if (bytes.len() as u64) < layout.values() * u64::from(layout.bits_allocated / 8) {
        return Err(StudyError::truncated("floating point pixel data"));
    }
    let big = order == Order::Big;
    Ok(if layout.bits_allocated == 32 {
        let read = if big {
            f32::from_be_bytes
        } else {
            f32::from_le_bytes
        };
        let chunks = bytes.as_chunks::<4>().0[..count].iter();
        StoredValues::F32(chunks.map(|c| read(*c)).collect())
    } else {
        let read = if big {
            f64::from_be_bytes
        } else {
            f64::from_le_bytes
        };
        let chunks = bytes.as_chunks::<8>().0[..count].iter();
        StoredValues::F64(chunks.map(|c| read(*c)).collect())
    })
}

/// Planes to interleaved samples, and 4:2:2 to full chrominance by repeating it.
fn interleave(values: StoredValues, layout: &Layout) -> StoredValues {
    if is_subsampled_422(layout) {
        if let StoredValues::U8(packed) = &values {
            // Y1 Y2 Cb Cr → Y1 Cb Cr, Y2 Cb Cr
            let pair = |c: &[u8; 4]| [c[0], c[2], c[3], c[1], c[2], c[3]];
            let chunks = packed.as_chunks::<4>().0.iter();
            return StoredValues::U8(chunks.flat_map(pair).collect());
        }
        return values;
    }
    if !layout.planar {
        return values;
    }
    let (pixels, samples) = (layout.pixels() as usize, usize::from(layout.samples));
    match values {
        StoredValues::U8(v) => StoredValues::U8(planes(&v, pixels, samples)),
        StoredValues::I8(v) => StoredValues::I8(planes(&v, pixels, samples)),
        StoredValues::U16(v) => StoredValues::U16(planes(&v, pixels, samples)),
        StoredValues::I16(v) => StoredValues::I16(planes(&v, pixels, samples)),
        StoredValues::U32(v) => StoredValues::U32(planes(&v, pixels, samples)),
        StoredValues::I32(v) => StoredValues::I32(planes(&v, pixels, samples)),
        StoredValues::F32(v) => StoredValues::F32(planes(&v, pixels, samples)),
        StoredValues::F64(v) => StoredValues::F64(planes(&v, pixels, samples)),
    }
}

fn planes<T: Copy>(values: &[T], pixels: usize, samples: usize) -> Vec<T> {
    let mut out = Vec::with_capacity(values.len());
    for pixel in 0..pixels {
        out.extend((0..samples).map(|s| values[s * pixels + pixel]));
    }
    out
}
