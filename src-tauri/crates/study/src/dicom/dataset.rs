//! A parsed data set: elements in stored order, values as bytes until somebody asks.

use dicom_core::{Tag, VR};

use super::text::Charset;

/// Byte order of numbers in a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

/// Where the bytes of top-level pixel data lie in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PixelLocation {
    pub tag: Tag,
    pub vr: VR,
    /// First byte of the value.
    pub offset: u64,
    /// Length in bytes; `None` for encapsulated fragments.
    pub length: Option<u64>,
}

/// What an element holds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Bytes(Vec<u8>),
    Items(Vec<DataSet>),
    /// Bytes that were skipped, with their number where it is known.
    Skipped(Option<u64>),
}

#[derive(Debug, Clone)]
pub(crate) struct Element {
    pub tag: Tag,
    pub vr: VR,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub(crate) struct DataSet {
    pub elements: Vec<Element>,
    pub order: Order,
}

impl DataSet {
    pub fn new(order: Order) -> Self {
        Self {
            elements: Vec::new(),
            order,
        }
    }

    pub fn get(&self, tag: Tag) -> Option<&Element> {
        self.elements.iter().find(|e| e.tag == tag)
    }

    /// The value's bytes, if there are any.
    pub fn bytes(&self, tag: Tag) -> Option<&[u8]> {
        match &self.get(tag)?.value {
            Value::Bytes(bytes) if !bytes.is_empty() => Some(bytes),
            _ => None,
        }
    }

    /// Items of a sequence; none when it is absent.
    pub fn items(&self, tag: Tag) -> &[DataSet] {
        match self.get(tag) {
            Some(Element {
                value: Value::Items(items),
                ..
            }) => items,
            _ => &[],
        }
    }

    pub fn charset(&self) -> Charset {
        let code = self.text(dicom_dictionary_std::tags::SPECIFIC_CHARACTER_SET);
        Charset::from_attribute(code.as_deref().unwrap_or(""))
    }

    /// An ASCII text value (codes, UIDs, numbers), padding removed; `None` when absent or empty.
    pub fn text(&self, tag: Tag) -> Option<String> {
        let text = String::from_utf8_lossy(self.bytes(tag)?).into_owned();
        let text = text.trim_matches(is_padding);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A text value in the data set's character set, padding removed.
    pub fn words(&self, tag: Tag, charset: &Charset) -> Option<String> {
        let text = charset.decode(self.bytes(tag)?);
        let text = text.trim_matches(is_padding);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Numbers of any numeric or numeric-text VR; values that are not numbers are left out.
    pub fn numbers(&self, tag: Tag) -> Vec<f64> {
        self.get(tag)
            .map_or_else(Vec::new, |e| e.numbers(self.order))
    }

    pub fn number(&self, tag: Tag) -> Option<f64> {
        self.numbers(tag).first().copied()
    }

    pub fn integer(&self, tag: Tag) -> Option<i64> {
        self.number(tag).filter(|v| v.is_finite()).map(|v| v as i64)
    }

    /// A US attribute.
    pub fn u16(&self, tag: Tag) -> Option<u16> {
        self.integer(tag).and_then(|v| u16::try_from(v).ok())
    }

    /// Exactly `N` finite numbers.
    pub fn vector<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        let numbers = self.numbers(tag);
        let vector: [f64; N] = numbers.get(..N)?.try_into().ok()?;
        vector.iter().all(|v| v.is_finite()).then_some(vector)
    }
}

fn is_padding(c: char) -> bool {
    c == '\0' || c.is_ascii_whitespace()
}

impl Element {
    pub fn numbers(&self, order: Order) -> Vec<f64> {
        let Value::Bytes(bytes) = &self.value else {
            return Vec::new();
        };
        match self.vr {
            VR::US | VR::OW => collect(bytes, order, |b| f64::from(u16::from_le_bytes(b))),
            VR::SS => collect(bytes, order, |b| f64::from(i16::from_le_bytes(b))),
            VR::UL | VR::OL => collect(bytes, order, |b| f64::from(u32::from_le_bytes(b))),
            VR::SL => collect(bytes, order, |b| f64::from(i32::from_le_bytes(b))),
            VR::UV | VR::OV => collect(bytes, order, |b| u64::from_le_bytes(b) as f64),
            VR::SV => collect(bytes, order, |b| i64::from_le_bytes(b) as f64),
            VR::FL | VR::OF => collect(bytes, order, |b| f64::from(f32::from_le_bytes(b))),
            VR::FD | VR::OD => collect(bytes, order, f64::from_le_bytes),
            VR::DS | VR::IS | VR::LO | VR::SH | VR::CS => numbers_of_text(bytes),
            VR::UN if bytes.len() == 2 => {
                collect(bytes, order, |b| f64::from(u16::from_le_bytes(b)))
            }
            VR::UN => numbers_of_text(bytes),
            _ => Vec::new(),
        }
    }
}

fn numbers_of_text(bytes: &[u8]) -> Vec<f64> {
    String::from_utf8_lossy(bytes)
        .split('\\')
        .filter_map(|part| part.trim_matches(is_padding).parse().ok())
        .collect()
}

fn collect<const N: usize>(bytes: &[u8], order: Order, read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(|chunk| {
            let mut le = *chunk;
            if order == Order::Big {
                le.reverse();
            }
            read(le)
        })
        .collect()
}
