//! Look-up tables in data sets: modality, VOI and palette.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::dataset::{DataSet, Order, Value};
use crate::display::{LabelledVoi, Lut, Palette, Voi};
use crate::error::{Result, StudyError};

/// LUT Descriptor: number of entries, first input value, bits of an entry. Source: PS3.3 C.11.1.1.1.
struct Descriptor {
    entries: usize,
    first: i64,
    bits: u16,
}

impl Descriptor {
    fn read(data_set: &DataSet, tag: Tag, signed: bool) -> Option<Self> {
        let [entries, first, bits]: [f64; 3] = data_set.vector(tag)?;
        // Entries and bits are unsigned whatever the VR; the first value has the sign of the pixels.
        let entries = match entries as i64 & 0xFFFF {
            0 => 0x1_0000,
            n => n as usize,
        };
        let first = match first as i64 {
            v if signed && v > 0x7FFF => v - 0x1_0000,
            v if !signed && v < 0 => v + 0x1_0000,
            v => v,
        };
        Some(Self {
            entries,
            first,
            bits: bits as u16,
        })
    }

    fn lut(&self, values: Vec<u16>) -> Option<Lut> {
        let largest = values.iter().copied().max().unwrap_or(0);
        // Some writers state 8 bits and store 16, or state 16 and store 8.
        let bits = match self.bits {
            ..=8 if largest > 0xFF => 16,
            0 => 8,
            bits => bits.min(16),
        };
        Lut::new(self.first, bits, values)
    }
}

/// Entries of a table: one a word, or one a byte when there are only as many bytes as entries.
fn entries(data_set: &DataSet, tag: Tag, count: usize) -> Option<Vec<u16>> {
    let element = data_set.get(tag)?;
    let Value::Bytes(bytes) = &element.value else {
        return None;
    };
    let mut values: Vec<u16> = if bytes.len() >= 2 * count {
        words(bytes, data_set.order)
    } else if bytes.len() >= count && (bytes.len() == count || bytes.len() == count + 1) {
        let swapped = data_set.order == Order::Big && element.vr != VR::OB;
        let at = |i: usize| if swapped { i ^ 1 } else { i };
        (0..count)
            .filter_map(|i| bytes.get(at(i)).copied().map(u16::from))
            .collect()
    } else {
        words(bytes, data_set.order)
    };
    values.truncate(count);
    Some(values)
}

fn words(bytes: &[u8], order: Order) -> Vec<u16> {
    let read = match order {
        Order::Little => u16::from_le_bytes,
        Order::Big => u16::from_be_bytes,
    };
    bytes.as_chunks::<2>().0.iter().map(|c| read(*c)).collect()
}

/// The table in an item of a Modality LUT Sequence or VOI LUT Sequence.
pub(crate) fn sequence_item_lut(item: &DataSet, signed: bool) -> Option<Lut> {
    let descriptor = Descriptor::read(item, tags::LUT_DESCRIPTOR, signed)?;
    let values = entries(item, tags::LUT_DATA, descriptor.entries)?;
    descriptor.lut(values)
}

/// The tables of a VOI LUT Sequence (0028,3010).
pub(crate) fn voi_luts(data_set: &DataSet, signed: bool) -> Vec<LabelledVoi> {
    let charset = data_set.charset();
    let item_voi = |item: &DataSet| {
        Some(LabelledVoi {
            label: item
                .words(tags::LUT_EXPLANATION, &charset)
                .unwrap_or_default(),
            voi: Voi::Lut(sequence_item_lut(item, signed)?),
        })
    };
    data_set
        .items(tags::VOILUT_SEQUENCE)
        .iter()
        .filter_map(item_voi)
        .collect()
}

/// The colours of a PALETTE COLOR image, plain or segmented.
///
/// Errors if a table is absent or empty.
pub(crate) fn palette(data_set: &DataSet, signed: bool) -> Result<Palette> {
    let table = |descriptor: Tag, plain: Tag, segmented: Tag, name: &str| {
        let missing =
            || StudyError::corrupt(format!("the {name} palette table is missing or empty"));
        let descriptor = Descriptor::read(data_set, descriptor, signed).ok_or_else(missing)?;
        let values = match entries(data_set, plain, descriptor.entries) {
            Some(values) => values,
            None => segments(data_set, segmented, &descriptor).ok_or_else(missing)?,
        };
        descriptor.lut(values).ok_or_else(missing)
    };
    let mut palette = Palette {
        red: table(
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            "red",
        )?,
        green: table(
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            "green",
        )?,
        blue: table(
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            "blue",
        )?,
    };
    // Tables said to have 16 bits but filled with bytes would show as black.
    let tables = [&mut palette.red, &mut palette.green, &mut palette.blue];
    if tables.iter().all(|t| t.values.iter().all(|v| *v <= 0xFF)) {
        tables.into_iter().for_each(|t| t.bits = 8);
    }
    Ok(palette)
}

/// Expands a segmented table. Source: PS3.3 C.7.9.2: discrete, linear and indirect segments.
fn segments(data_set: &DataSet, tag: Tag, descriptor: &Descriptor) -> Option<Vec<u16>> {
    let bytes = data_set.bytes(tag)?;
    let units: Vec<u16> = if descriptor.bits <= 8 && data_set.get(tag)?.vr == VR::OB {
        bytes.iter().copied().map(u16::from).collect()
    } else {
        words(bytes, data_set.order)
    };
    let mut values = Vec::with_capacity(descriptor.entries);
    let mut at = 0;
    while values.len() < descriptor.entries && at + 2 <= units.len() {
        at = segment(
            &units,
            at,
            &mut values,
            descriptor.entries,
            Indirection::Allowed,
        )?;
    }
    (!values.is_empty()).then_some(values)
}

#[derive(Clone, Copy, PartialEq)]
enum Indirection {
    Allowed,
    Refused,
}

/// Appends one segment and returns where the next starts; `None` when it is damaged.
fn segment(
    units: &[u16],
    at: usize,
    values: &mut Vec<u16>,
    limit: usize,
    indirection: Indirection,
) -> Option<usize> {
    let (opcode, length) = (*units.get(at)?, usize::from(*units.get(at + 1)?));
    let room = limit - values.len().min(limit);
    match opcode {
        0 => {
            let end = at + 2 + length;
            values.extend(units.get(at + 2..end)?.iter().take(room));
            Some(end)
        }
        1 => {
            let from = f64::from(*values.last()?);
            let to = f64::from(*units.get(at + 2)?);
            let step = (to - from) / length.max(1) as f64;
            let ramp = (1..=length).map(|i| (from + step * i as f64 + 0.5).floor() as u16);
            values.extend(ramp.take(room));
            Some(at + 3)
        }
        2 if indirection == Indirection::Allowed => {
            let offset = usize::from(*units.get(at + 2)?) | usize::from(*units.get(at + 3)?) << 16;
            let mut inner = offset;
            for _ in 0..length {
                inner = segment(units, inner, values, limit, Indirection::Refused)?;
            }
            Some(at + 4)
        }
        _ => None,
    }
}
