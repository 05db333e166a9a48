//! Reads a data set up to its pixel data, leniently, in memory that the file's length bounds.
//!
//! Written here rather than taken from `dicom-object` because an assistant must open what hospitals have: files without
//! preamble or meta group, with wrong VRs, cut short; must find one frame of many without reading the others; and must
//! never allocate for a length that the file cannot hold.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};

use super::dataset::{DataSet, Element, Order, PixelLocation, Value};
use super::input::Input;
use crate::error::{Result, StudyError};

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
const UNDEFINED: u32 = u32::MAX;
/// Deeper nesting than any information object definition uses.
const MAX_DEPTH: u32 = 24;

/// How elements are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encoding {
    pub order: Order,
    pub explicit: bool,
}

impl Encoding {
    pub const IMPLICIT_LITTLE: Self = Self {
        order: Order::Little,
        explicit: false,
    };
    pub const EXPLICIT_LITTLE: Self = Self {
        order: Order::Little,
        explicit: true,
    };

    /// Guesses from the first element of a data set; `None` when it does not look like one.
    pub fn sniff(start: [u8; 8]) -> Option<Self> {
        let little = u16::from_le_bytes([start[0], start[1]]);
        let big = u16::from_be_bytes([start[0], start[1]]);
        let explicit = is_vr([start[4], start[5]]);
        let order = match (little, big) {
            (0x0002..=0x0020, _) => Order::Little,
            (_, 0x0002..=0x0020) => Order::Big,
            _ => return None,
        };
        if !explicit {
            let raw = [start[4], start[5], start[6], start[7]];
            let length = match order {
                Order::Little => u32::from_le_bytes(raw),
                Order::Big => u32::from_be_bytes(raw),
            };
            let element = match order {
                Order::Little => u16::from_le_bytes([start[2], start[3]]),
                Order::Big => u16::from_be_bytes([start[2], start[3]]),
            };
            // A first element is a group length, a character set, an image type or a UID: short.
            if length > 1024 || (element == 0 && length != 4) {
                return None;
            }
        }
        Some(Self { order, explicit })
    }
}

fn is_vr(bytes: [u8; 2]) -> bool {
    VR::from_binary(bytes).is_some()
}

/// What reading a data set gave.
pub(crate) struct Parsed {
    pub data_set: DataSet,
    pub pixels: Option<PixelLocation>,
    /// Why reading stopped early, if it did; what came before is kept.
    pub cut: Option<StudyError>,
}

/// Reads from the input's position to the pixel data or the end.
pub(crate) fn read_data_set(input: &mut Input, encoding: Encoding) -> Result<Parsed> {
    let start = input.peek::<8>()?;
    // Some writers declare one encoding and use the other: the first element tells.
    let explicit = is_vr([start[4], start[5]]);
    let mut reader = Reader {
        input,
        pixels: None,
    };
    let encoding = Encoding {
        explicit,
        ..encoding
    };
    let mut data_set = DataSet::new(encoding.order);
    let end = reader.input.length();
    let cut = reader.elements(&mut data_set, encoding, end, 0).err();
    Ok(Parsed {
        data_set,
        pixels: reader.pixels,
        cut,
    })
}

/// Reads the file meta group (0002,xxxx), always explicit little endian.
pub(crate) fn read_meta(input: &mut Input) -> Result<DataSet> {
    let mut data_set = DataSet::new(Order::Little);
    let mut reader = Reader {
        input,
        pixels: None,
    };
    while reader.input.remaining() >= 8 {
        let start = reader.input.peek::<2>()?;
        if u16::from_le_bytes(start) != 0x0002 {
            break;
        }
        let end = reader.input.length();
        reader.element(&mut data_set, Encoding::EXPLICIT_LITTLE, end, 0)?;
    }
    Ok(data_set)
}

enum Step {
    Element,
    EndOfItem,
    PixelData,
}

struct Header {
    tag: Tag,
    vr: VR,
    length: u32,
}

struct Reader<'a> {
    input: &'a mut Input,
    pixels: Option<PixelLocation>,
}

impl Reader<'_> {
    /// Reads elements until `end`, an item delimiter, or the pixel data; what was read stays in `into` on error.
    fn elements(
        &mut self,
        into: &mut DataSet,
        encoding: Encoding,
        end: u64,
        depth: u32,
    ) -> Result<()> {
        while self.input.position() < end {
            // Trailing padding shorter than an element header.
            if depth == 0 && self.input.remaining() < 8 {
                break;
            }
            match self.element(into, encoding, end, depth)? {
                Step::Element => {}
                Step::EndOfItem | Step::PixelData => break,
            }
        }
        Ok(())
    }

    fn element(
        &mut self,
        into: &mut DataSet,
        encoding: Encoding,
        end: u64,
        depth: u32,
    ) -> Result<Step> {
        let Header { tag, vr, length } = self.header(encoding)?;
        if tag == ITEM_END || tag == SEQUENCE_END {
            return Ok(Step::EndOfItem);
        }
        if tag == ITEM {
            return Err(StudyError::corrupt("an item outside a sequence"));
        }
        if depth == 0 && is_pixel_data(tag) {
            self.pixels = Some(PixelLocation {
                tag,
                vr,
                offset: self.input.position(),
                length: (length != UNDEFINED).then_some(u64::from(length)),
            });
            return Ok(Step::PixelData);
        }
        let dictionary = dictionary_vr(tag);
        let value = if length == UNDEFINED {
            if matches!(vr, VR::OB | VR::OW) {
                self.skip_fragments()?;
                Value::Skipped(None)
            } else {
                // PS3.5 6.2.2: UN of undefined length is an implicit little endian sequence.
                let inner = if vr == VR::UN {
                    Encoding::IMPLICIT_LITTLE
                } else {
                    encoding
                };
                Value::Items(self.items(inner, end, depth + 1)?)
            }
        } else {
            let value_end = self.input.position() + u64::from(length);
            if value_end > end {
                return Err(StudyError::truncated(format!(
                    "the value of {tag} has {length} bytes and {} are left",
                    end.saturating_sub(self.input.position())
                )));
            }
            if vr == VR::SQ {
                Value::Items(self.items(encoding, value_end, depth + 1)?)
            } else if vr == VR::UN && dictionary == Some(VR::SQ) {
                Value::Items(self.items(Encoding::IMPLICIT_LITTLE, value_end, depth + 1)?)
            } else if depth > 0 && is_pixel_data(tag) {
                self.input.seek(value_end)?;
                Value::Skipped(Some(u64::from(length)))
            } else {
                Value::Bytes(self.input.take(u64::from(length))?)
            }
        };
        let vr = match (&value, vr, dictionary) {
            (Value::Items(_), ..) => VR::SQ,
            (_, VR::UN, Some(known)) if known != VR::SQ => known,
            _ => vr,
        };
        into.elements.push(Element { tag, vr, value });
        Ok(Step::Element)
    }

    fn tag(&mut self, order: Order) -> Result<Tag> {
        let [a, b, c, d] = self.input.array::<4>()?;
        Ok(match order {
            Order::Little => Tag(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])),
            Order::Big => Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
        })
    }

    fn u32(&mut self, order: Order) -> Result<u32> {
        let bytes = self.input.array::<4>()?;
        Ok(match order {
            Order::Little => u32::from_le_bytes(bytes),
            Order::Big => u32::from_be_bytes(bytes),
        })
    }

    fn header(&mut self, encoding: Encoding) -> Result<Header> {
        let Encoding { order, explicit } = encoding;
        let tag = self.tag(order)?;
        if tag.group() == 0xFFFE || !explicit {
            let length = self.u32(order)?;
            let vr = dictionary_vr(tag).unwrap_or(VR::UN);
            return Ok(Header { tag, vr, length });
        }
        let [a, b, c, d] = self.input.array::<4>()?;
        let Some(vr) = VR::from_binary([a, b]) else {
            if a.is_ascii_uppercase() && b.is_ascii_uppercase() {
                // A VR of a later edition of the standard: PS3.5 6.2 gives new ones the long form.
                let length = self.u32(order)?;
                let vr = VR::UN;
                return Ok(Header { tag, vr, length });
            }
            // An implicit element in an explicit data set: these four bytes are its length.
            let length = match order {
                Order::Little => u32::from_le_bytes([a, b, c, d]),
                Order::Big => u32::from_be_bytes([a, b, c, d]),
            };
            let vr = dictionary_vr(tag).unwrap_or(VR::UN);
            return Ok(Header { tag, vr, length });
        };
        let length = if has_long_length(vr) {
            self.u32(order)?
        } else {
            u32::from(match order {
                Order::Little => u16::from_le_bytes([c, d]),
                Order::Big => u16::from_be_bytes([c, d]),
            })
        };
        Ok(Header { tag, vr, length })
    }

    /// Reads the items of a sequence until `end` or the sequence delimiter.
    fn items(&mut self, encoding: Encoding, end: u64, depth: u32) -> Result<Vec<DataSet>> {
        if depth > MAX_DEPTH {
            return Err(StudyError::corrupt("sequences are nested too deeply"));
        }
        let mut items = Vec::new();
        while self.input.position() < end {
            let tag = self.tag(encoding.order)?;
            let length = self.u32(encoding.order)?;
            if tag == SEQUENCE_END {
                break;
            }
            if tag != ITEM {
                return Err(StudyError::corrupt(format!(
                    "{tag} where a sequence item should start"
                )));
            }
            let item_end = if length == UNDEFINED {
                end
            } else {
                self.input.position() + u64::from(length)
            };
            if item_end > end {
                return Err(StudyError::truncated("an item is longer than its sequence"));
            }
            let mut encoding = encoding;
            if item_end > self.input.position() {
                let start = self.input.peek::<8>()?;
                if start[..4] != [0xFE, 0xFF, 0x0D, 0xE0] && start[..4] != [0xFF, 0xFE, 0xE0, 0x0D]
                {
                    encoding.explicit = is_vr([start[4], start[5]]);
                }
            }
            let mut item = DataSet::new(encoding.order);
            self.elements(&mut item, encoding, item_end, depth)?;
            if length != UNDEFINED {
                self.input.seek(item_end)?;
            }
            items.push(item);
        }
        Ok(items)
    }

    fn skip_fragments(&mut self) -> Result<()> {
        loop {
            let tag = self.tag(Order::Little)?;
            let length = u64::from(self.u32(Order::Little)?);
            match tag {
                SEQUENCE_END => return Ok(()),
                ITEM if length <= self.input.remaining() => {
                    self.input.seek(self.input.position() + length)?;
                }
                _ => return Err(StudyError::corrupt("fragments without an end")),
            }
        }
    }
}

fn is_pixel_data(tag: Tag) -> bool {
    matches!(
        tag,
        tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA
    )
}

fn has_long_length(vr: VR) -> bool {
    matches!(
        vr,
        VR::OB
            | VR::OD
            | VR::OF
            | VR::OL
            | VR::OV
            | VR::OW
            | VR::SQ
            | VR::SV
            | VR::UC
            | VR::UN
            | VR::UR
            | VR::UT
            | VR::UV
    )
}

/// The dictionary's VR; values whose VR depends on the pixel representation read as unsigned.
pub(crate) fn dictionary_vr(tag: Tag) -> Option<VR> {
    if tag.group() % 2 == 1 {
        return None;
    }
    StandardDataDictionary
        .by_tag(tag)
        .map(|entry| entry.vr().relaxed())
}
