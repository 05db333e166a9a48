//! Every attribute of a DICOM instance, for people to read.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use crate::dicom::DicomFile;
use crate::dicom::dataset::{DataSet, Element, Value};
use crate::dicom::text::Charset;
use crate::error::Result;
use crate::source::Source;

/// Longest value text, characters.
const MAX_TEXT: usize = 256;
/// Most values of a multi-valued number that are spelt out.
const MAX_NUMBERS: usize = 32;

/// One attribute; a sequence has its items as children, and an item its attributes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TagNode {
    /// `(gggg,eeee)`, or `item 1` for an item of a sequence.
    pub tag: String,
    /// Value representation, empty for an item.
    pub vr: String,
    /// Keyword in PS3.6; "private" or "unknown" without one.
    pub name: String,
    /// The value as text, shortened; sizes for binary values.
    pub value: String,
    /// Items of a sequence, attributes of an item.
    pub children: Vec<TagNode>,
}

/// The attributes of a DICOM source, file meta information first; empty for images that are not DICOM.
///
/// Pixel data are named, not read. Errors if the source cannot be read.
pub fn tags(source: &Source) -> Result<Vec<TagNode>> {
    let file = match DicomFile::open(source.reader()?) {
        Ok(file) => file,
        Err(crate::StudyError::NotAnImage(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let charset = file.data_set.charset();
    let mut nodes = nodes(&file.meta, &charset);
    nodes.extend(self::nodes(&file.data_set, &charset));
    if let Some(pixels) = file.pixels {
        nodes.push(TagNode {
            value: match pixels.length {
                Some(length) => format!("{length} bytes"),
                None => "encapsulated".into(),
            },
            ..node(pixels.tag, pixels.vr)
        });
    }
    Ok(nodes)
}

fn nodes(data_set: &DataSet, charset: &Charset) -> Vec<TagNode> {
    let element_node = |element: &Element| {
        let mut node = node(element.tag, element.vr);
        match &element.value {
            Value::Items(items) => {
                node.value = match items.len() {
                    1 => "1 item".into(),
                    n => format!("{n} items"),
                };
                node.children = items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| TagNode {
                        tag: format!("item {}", i + 1),
                        vr: String::new(),
                        name: "Item".into(),
                        value: String::new(),
                        children: nodes(item, charset),
                    })
                    .collect();
            }
            Value::Skipped(Some(length)) => node.value = format!("{length} bytes"),
            Value::Skipped(None) => node.value = "binary".into(),
            Value::Bytes(bytes) => node.value = text(element, bytes, data_set, charset),
        }
        node
    };
    data_set.elements.iter().map(element_node).collect()
}

fn node(tag: Tag, vr: VR) -> TagNode {
    let name = match StandardDataDictionary.by_tag(tag) {
        Some(entry) if tag.group().is_multiple_of(2) || tag.element() < 0x100 => entry.alias(),
        _ if tag.group() % 2 == 1 => "private",
        _ => "unknown",
    };
    TagNode {
        tag: format!("({:04X},{:04X})", tag.group(), tag.element()),
        vr: vr.to_string().into(),
        name: name.into(),
        value: String::new(),
        children: Vec::new(),
    }
}

fn text(element: &Element, bytes: &[u8], data_set: &DataSet, charset: &Charset) -> String {
    match element.vr {
        VR::AT => {
            let words = Element {
                vr: VR::US,
                ..element.clone()
            };
            let words = words.numbers(data_set.order);
            let pair = |p: &[f64; 2]| format!("({:04X},{:04X})", p[0] as u16, p[1] as u16);
            let tags = words.as_chunks::<2>().0.iter().take(MAX_NUMBERS);
            tags.map(pair).collect::<Vec<_>>().join("\\")
        }
        VR::US | VR::SS | VR::UL | VR::SL | VR::UV | VR::SV | VR::FL | VR::FD => {
            let numbers = element.numbers(data_set.order);
            let shown = numbers.iter().take(MAX_NUMBERS).map(f64::to_string);
            let mut text = shown.collect::<Vec<_>>().join("\\");
            if numbers.len() > MAX_NUMBERS {
                text += &format!("\\… ({} values)", numbers.len());
            }
            text
        }
        VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::SQ => {
            format!("{} bytes", bytes.len())
        }
        VR::UN if !is_text(bytes) => format!("{} bytes", bytes.len()),
        _ => shorten(charset.decode(&bytes[..bytes.len().min(8 * MAX_TEXT)])),
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    bytes.iter().all(|b| (0x20..0x7F).contains(b))
}

fn shorten(text: String) -> String {
    let clean: String = text
        .trim_matches(|c: char| c == '\0' || c.is_whitespace())
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if clean.chars().count() <= MAX_TEXT {
        return clean;
    }
    clean.chars().take(MAX_TEXT).chain(['…']).collect()
}
