//! DICOM data sets: reading, attributes, pixels.

pub(crate) mod colour;
pub(crate) mod dataset;
pub(crate) mod fragments;
pub(crate) mod image;
pub(crate) mod input;
pub(crate) mod luts;
pub(crate) mod native;
pub(crate) mod pixels;
pub(crate) mod reader;
pub(crate) mod syntax;
pub(crate) mod text;

use std::io::{Cursor, Read};

use dicom_dictionary_std::tags;

use crate::error::{Result, StudyError};
use dataset::{DataSet, PixelLocation};
use input::{Input, ReadSeek};
use reader::Encoding;

/// A DICOM input, parsed up to its pixel data.
pub(crate) struct DicomFile {
    pub input: Input,
    pub meta: DataSet,
    pub data_set: DataSet,
    pub pixels: Option<PixelLocation>,
    /// Why parsing stopped before the pixel data, if it did.
    pub cut: Option<StudyError>,
    /// Transfer syntax UID; empty when the file names none.
    pub transfer_syntax: String,
}

/// Where the data set starts when `head` (the first bytes of a file) may be DICOM.
///
/// Sources: PS3.10 7.1 (preamble and prefix); files without them are recognised by their first element.
pub(crate) fn data_set_start(head: &[u8]) -> Option<u64> {
    if head.get(128..132) == Some(b"DICM") {
        return Some(132);
    }
    if head.starts_with(b"DICM") {
        return Some(4);
    }
    let start: [u8; 8] = head.get(..8)?.try_into().ok()?;
    Encoding::sniff(start).map(|_| 0)
}

impl DicomFile {
    /// Parses up to the pixel data.
    ///
    /// Errors if the content is not DICOM. A data set that is cut short or damaged before its pixel data is kept up to
    /// that point; see [`DicomFile::cut`].
    pub fn open(reader: Box<dyn ReadSeek>) -> Result<Self> {
        let mut input = Input::new(reader)?;
        let head = input.peek::<132>()?;
        let head = &head[..(input.length() as usize).min(132)];
        let start = data_set_start(head)
            .ok_or_else(|| StudyError::NotAnImage("no DICOM prefix or first element".into()))?;
        input.seek(start)?;
        let meta = reader::read_meta(&mut input)?;
        let transfer_syntax = meta.text(tags::TRANSFER_SYNTAX_UID).unwrap_or_default();
        if syntax::is_deflated(&transfer_syntax) {
            input = inflate(input)?;
        }
        let encoding = match syntax::encoding(&transfer_syntax) {
            Some(encoding) => encoding,
            None => Encoding::sniff(input.peek::<8>()?).ok_or_else(|| {
                if input.remaining() == 0 {
                    StudyError::truncated("no data set after the file meta information")
                } else {
                    StudyError::corrupt("the data set's encoding cannot be recognised")
                }
            })?,
        };
        let parsed = reader::read_data_set(&mut input, encoding)?;
        Ok(Self {
            input,
            meta,
            data_set: parsed.data_set,
            pixels: parsed.pixels,
            cut: parsed.cut,
            transfer_syntax,
        })
    }
}

/// Inflates the rest of the input; deflate expands at most about 1032 times, so the file bounds the result.
fn inflate(mut input: Input) -> Result<Input> {
    const LIMIT: u64 = 1 << 30;
    let bytes = input.take(input.remaining())?;
    let mut inflated = Vec::new();
    let outcome = flate2::read::DeflateDecoder::new(bytes.as_slice())
        .take(LIMIT + 1)
        .read_to_end(&mut inflated);
    if inflated.len() as u64 > LIMIT {
        return Err(StudyError::TooLarge("the inflated data set".into()));
    }
    if let (Err(_), true) = (&outcome, inflated.is_empty()) {
        return Err(StudyError::corrupt("the deflated data set"));
    }
    // A damaged stream gives what came before the damage: the data set then counts as truncated where it ends.
    Input::new(Box::new(Cursor::new(inflated)))
}
