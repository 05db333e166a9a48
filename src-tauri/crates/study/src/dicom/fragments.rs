//! Encapsulated pixel data: which fragments make which frame. Source: PS3.5 A.4, PS3.3 C.7.6.3.1.8.

use dicom_dictionary_std::tags;

use super::dataset::{DataSet, Order, PixelLocation};
use super::input::Input;
use crate::error::{Result, StudyError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fragment {
    /// Of the item tag, relative to the first byte after the basic offset table.
    item: u64,
    offset: u64,
    length: u64,
}

/// The fragments of each frame.
pub(crate) struct Fragments {
    fragments: Vec<Fragment>,
    /// First fragment of each frame, and one past the last.
    starts: Vec<usize>,
    /// The file ends inside the last fragment or before the delimiter.
    cut: bool,
}

impl Fragments {
    /// Walks the item headers; pixel bytes are skipped but for the start of each fragment.
    ///
    /// Errors if there are no items, or if fragments cannot be told apart by frame.
    pub fn scan(
        input: &mut Input,
        location: &PixelLocation,
        data_set: &DataSet,
        frames: u32,
    ) -> Result<Self> {
        input.seek(location.offset)?;
        let end = location.length.map_or(input.length(), |l| {
            (location.offset + l).min(input.length())
        });
        let table = match item(input, end)? {
            Item::Fragment { length, cut: false } => input.take(length)?,
            _ => return Err(StudyError::truncated("the basic offset table")),
        };
        let base = input.position();
        let mut fragments = Vec::new();
        let mut cut = false;
        loop {
            let at = input.position();
            match item(input, end)? {
                Item::Fragment { length, cut: short } => {
                    let offset = input.position();
                    fragments.push(Fragment {
                        item: at - base,
                        offset,
                        length,
                    });
                    input.seek(offset + length)?;
                    cut = short;
                    if short {
                        break;
                    }
                }
                Item::End => break,
                Item::Missing => {
                    cut = true;
                    break;
                }
            }
        }
        if fragments.is_empty() {
            return Err(StudyError::truncated("no fragment of pixel data"));
        }
        let offsets = offsets(data_set, &table, frames);
        let starts = assign(input, &fragments, &offsets, frames, cut)?;
        Ok(Self {
            fragments,
            starts,
            cut,
        })
    }

    /// The compressed bytes of one frame, counted from 0.
    pub fn read(&self, input: &mut Input, frame: u32) -> Result<Vec<u8>> {
        let frame = frame as usize;
        let missing = || StudyError::truncated(format!("frame {} is missing", frame + 1));
        let start = *self.starts.get(frame).ok_or_else(missing)?;
        let end = self
            .starts
            .get(frame + 1)
            .copied()
            .unwrap_or(self.fragments.len());
        let parts = self.fragments.get(start..end).ok_or_else(missing)?;
        if parts.is_empty() {
            return Err(missing());
        }
        let mut bytes = Vec::new();
        for part in parts {
            input.seek(part.offset)?;
            bytes.extend(input.take(part.length)?);
        }
        if self.cut && end == self.fragments.len() && bytes.is_empty() {
            return Err(missing());
        }
        Ok(bytes)
    }

    /// True when the file ends inside this frame's fragments.
    pub fn is_cut(&self, frame: u32) -> bool {
        self.cut && frame as usize + 1 >= self.starts.len()
    }
}

enum Item {
    Fragment { length: u64, cut: bool },
    End,
    Missing,
}

/// Reads an item header; a fragment that runs past the end is shortened to it.
fn item(input: &mut Input, end: u64) -> Result<Item> {
    if end.saturating_sub(input.position()) < 8 {
        return Ok(Item::Missing);
    }
    let header = input.take(8)?;
    let length = u64::from(u32::from_le_bytes([
        header[4], header[5], header[6], header[7],
    ]));
    let left = end - input.position();
    match header[..4] {
        [0xFE, 0xFF, 0x00, 0xE0] => Ok(Item::Fragment {
            length: length.min(left),
            cut: length > left,
        }),
        [0xFE, 0xFF, 0xDD, 0xE0] => Ok(Item::End),
        _ => Err(StudyError::corrupt(
            "something other than an item among the pixel data's fragments",
        )),
    }
}

/// Offsets of the frames from the extended or the basic table; empty without a usable one.
fn offsets(data_set: &DataSet, table: &[u8], frames: u32) -> Vec<u64> {
    let extended = data_set.bytes(tags::EXTENDED_OFFSET_TABLE).unwrap_or(&[]);
    let read = if data_set.order == Order::Big {
        u64::from_be_bytes
    } else {
        u64::from_le_bytes
    };
    let extended: Vec<u64> = extended
        .as_chunks::<8>()
        .0
        .iter()
        .map(|c| read(*c))
        .collect();
    if extended.len() == frames as usize {
        return extended;
    }
    let basic = table.as_chunks::<4>().0.iter();
    basic.map(|c| u64::from(u32::from_le_bytes(*c))).collect()
}

/// First fragment of each frame.
fn assign(
    input: &mut Input,
    fragments: &[Fragment],
    offsets: &[u64],
    frames: u32,
    cut: bool,
) -> Result<Vec<usize>> {
    let wanted = frames as usize;
    if wanted == 1 {
        return Ok(vec![0]);
    }
    if offsets.len() == wanted {
        let find = |o: &u64| fragments.binary_search_by_key(o, |f| f.item).ok();
        // In a file that is cut short the last frames have no fragment: the table still finds the others.
        let found: Vec<usize> = offsets.iter().map_while(find).collect();
        let ascending = found.windows(2).all(|w| w[0] < w[1]);
        if ascending && (found.len() == wanted || (cut && !found.is_empty())) {
            return Ok(found);
        }
    }
    if fragments.len() <= wanted {
        return Ok((0..fragments.len()).collect());
    }
    // More fragments than frames and no table: a frame starts where a codestream does.
    let mut starts = Vec::new();
    for (index, fragment) in fragments.iter().enumerate() {
        input.seek(fragment.offset)?;
        if starts_codestream(&input.peek::<12>()?[..(fragment.length.min(12) as usize)]) {
            starts.push(index);
        }
    }
    if starts.len() < wanted {
        return Err(StudyError::corrupt(format!(
            "{} fragments for {frames} frames and no offset table",
            fragments.len()
        )));
    }
    starts.truncate(wanted);
    Ok(starts)
}

/// JPEG and JPEG-LS start of image, JPEG 2000 start of codestream or JP2 signature, JPEG XL codestream or container.
fn starts_codestream(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0xD8, 0xFF])
        || bytes.starts_with(&[0xFF, 0x4F, 0xFF, 0x51])
        || bytes.starts_with(b"\0\0\0\x0CjP  ")
        || bytes.starts_with(b"\0\0\0\x0CJXL ")
        || bytes.starts_with(&[0xFF, 0x0A])
}
