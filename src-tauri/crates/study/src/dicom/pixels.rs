//! One frame of a DICOM input to a [`Frame`].

use dicom_dictionary_std::tags;

use super::colour::{ColourSpace, to_rgb};
use super::dataset::{Order, PixelLocation};
use super::fragments::Fragments;
use super::image::{self, Layout};
use super::native::{self, Clean, Packing};
use super::syntax::{self, PixelCoding};
use super::{DicomFile, luts};
use crate::codec::{self, Decoded, Expected};
use crate::error::{Result, StudyError};
use crate::frame::{Frame, Photometric, StoredValues};

/// A DICOM image whose frames can be decoded one by one.
pub(crate) struct DicomImage {
    file: DicomFile,
    location: PixelLocation,
    layout: Layout,
    coding: PixelCoding,
    fragments: Option<Fragments>,
}

impl DicomImage {
    /// Checks that there are pixels, that they are described, and that their transfer syntax has a decoder.
    pub fn new(mut file: DicomFile) -> Result<Self> {
        let location = pixel_location(&file)?;
        let layout = Layout::read(&file.data_set, &location)?;
        layout.check_frames(file.input.length())?;
        let coding = coding(&mut file, &location)?;
        Ok(Self {
            file,
            location,
            layout,
            coding,
            fragments: None,
        })
    }

    pub fn number_of_frames(&self) -> u32 {
        self.layout.number_of_frames
    }

    /// Decodes one frame, counted from 0.
    pub fn frame(&mut self, frame: u32) -> Result<Frame> {
        if frame >= self.layout.number_of_frames {
            return Err(StudyError::FrameOutOfRange {
                frame: u64::from(frame) + 1,
                frames: self.layout.number_of_frames,
            });
        }
        let (values, bits_stored) = match self.coding {
            PixelCoding::Native => self.native(frame)?,
            _ => self.encapsulated(frame)?,
        };
        self.describe(frame, values, bits_stored)
    }

    fn native(&mut self, frame: u32) -> Result<(StoredValues, u16)> {
        let available = self
            .file
            .input
            .length()
            .saturating_sub(self.location.offset);
        let length = self.location.length.unwrap_or(available);
        let float = self.location.tag != tags::PIXEL_DATA;
        // Luminance and chrominance declared 4:2:2 but stored in full.
        let full = self.layout.values() * u64::from(self.layout.number_of_frames);
        if native::is_subsampled_422(&self.layout) && length >= full {
            self.layout.photometric = self.layout.photometric.replace("_422", "");
        }
        let bits = native::frame_bits(&self.layout);
        let first_bit = bits * u64::from(frame);
        let (start, skip_bits) = (first_bit / 8, (first_bit % 8) as u32);
        let needed = (u64::from(skip_bits) + bits).div_ceil(8);
        let order = self.pixel_order();
        let words = order == Order::Big && self.location.vr == dicom_core::VR::OW;
        let swap = words && self.layout.bits_allocated == 8;
        // Swapped pairs and 16-bit words must be read whole.
        let lead = if words { start % 2 } else { 0 };
        if start + needed > length.min(available) {
            return Err(StudyError::truncated(format!(
                "frame {} ends {} bytes after the end of the pixel data",
                frame + 1,
                start + needed - length.min(available)
            )));
        }
        let span = (lead + needed).next_multiple_of(if words { 2 } else { 1 });
        let offset = self.location.offset + start - lead;
        self.file.input.seek(offset)?;
        let span = span.min(self.file.input.remaining());
        let mut bytes = self.file.input.take(span)?;
        if swap {
            bytes
                .as_chunks_mut::<2>()
                .0
                .iter_mut()
                .for_each(|c| c.swap(0, 1));
        }
        if float {
            let values = native::floats(&bytes, &self.layout, order)?;
            return Ok((values, self.layout.bits_allocated));
        }
        let packing = Packing {
            // Bytes (VR OB) have no order; only words are turned round.
            order: match self.layout.bits_allocated.is_multiple_of(8) {
                true if !swap => order,
                false if words => order,
                _ => Order::Little,
            },
            skip_bits: skip_bits + lead as u32 * 8,
        };
        // Whole-byte samples are sliced from the first byte; only bit fields know how to skip.
        let (bytes, packing) = if self.layout.bits_allocated.is_multiple_of(8) && lead > 0 {
            let skip_bits = 0;
            (
                &bytes[lead as usize..],
                Packing {
                    skip_bits,
                    ..packing
                },
            )
        } else {
            (&bytes[..], packing)
        };
        let mut values = native::integers(bytes, &self.layout, packing)?;
        if let StoredValues::U8(samples) = &mut values {
            to_rgb(samples, colour_space(&self.layout.photometric));
        }
        Ok((values, self.layout.bits_stored))
    }

    /// Byte order of native samples.
    fn pixel_order(&self) -> Order {
        if self.file.transfer_syntax == syntax::GE_BIG_PIXELS {
            Order::Big
        } else {
            self.file.data_set.order
        }
    }

    fn encapsulated(&mut self, frame: u32) -> Result<(StoredValues, u16)> {
        let fragments = match self.fragments.take() {
            Some(fragments) => fragments,
            None => Fragments::scan(
                &mut self.file.input,
                &self.location,
                &self.file.data_set,
                self.layout.number_of_frames,
            )?,
        };
        let fragments = self.fragments.insert(fragments);
        let bytes = fragments.read(&mut self.file.input, frame)?;
        let cut = fragments.is_cut(frame);
        let decoded = self.decode(&bytes).map_err(|error| match error {
            StudyError::Corrupt(what) if cut => StudyError::Truncated(what),
            other => other,
        });
        // A decoder may fill in what a cut stream lacks; a diagnosis must not rest on filled-in pixels.
        match decoded {
            Ok(_) if cut => Err(StudyError::truncated(format!(
                "the file ends inside frame {}",
                frame + 1
            ))),
            other => other,
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<(StoredValues, u16)> {
        let layout = &self.layout;
        let little = Packing {
            order: Order::Little,
            skip_bits: 0,
        };
        let native = |bytes: &[u8], layout: &Layout| {
            let mut values = native::integers(bytes, layout, little)?;
            if let StoredValues::U8(samples) = &mut values {
                to_rgb(samples, colour_space(&layout.photometric));
            }
            Ok((values, layout.bits_stored))
        };
        match self.coding {
            PixelCoding::EncapsulatedNative => native(bytes, layout),
            PixelCoding::DeflatedFrame => {
                let wanted = native::frame_bits(layout).div_ceil(8);
                native(&codec::deflate::decode(bytes, wanted)?, layout)
            }
            PixelCoding::RunLength => {
                // RLE stores every sample in full, in planes of bytes, most significant first.
                let layout = Layout {
                    planar: true,
                    photometric: layout.photometric.replace("_422", ""),
                    ..layout.clone()
                };
                native(&codec::rle::decode(bytes, &layout)?, &layout)
            }
            coding => {
                let expected = Expected {
                    rows: layout.rows,
                    columns: layout.columns,
                    samples: layout.samples,
                };
                let decoded = codec::decode(coding, bytes, &expected)?;
                self.conform(decoded)
            }
        }
    }

    /// A codestream's samples as the data set declares them: signed or not, RGB.
    fn conform(&self, decoded: Decoded) -> Result<(StoredValues, u16)> {
        let layout = &self.layout;
        if decoded.precision > layout.bits_allocated.max(8) {
            return Err(StudyError::corrupt(format!(
                "the codestream has {} bits and {} are allocated",
                decoded.precision, layout.bits_allocated
            )));
        }
        // Signedness is the data set's to say; a codestream with the other sign carries the same bits.
        let width = if matches!(self.coding, PixelCoding::Jpeg) {
            layout.bits_stored.max(1)
        } else {
            decoded.precision
        };
        let clean = Clean::new(&Layout {
            bits_stored: width,
            high_bit: width - 1,
            ..layout.clone()
        });
        let space = decoded
            .space
            .unwrap_or_else(|| colour_space(&layout.photometric));
        let mut values = decoded.samples.into_values(layout, clean);
        if let (3, StoredValues::U8(samples)) = (layout.samples, &mut values) {
            to_rgb(samples, space);
        }
        Ok((values, layout.bits_stored.max(decoded.precision)))
    }

    fn describe(&self, frame: u32, values: StoredValues, bits_stored: u16) -> Result<Frame> {
        let (layout, root) = (&self.layout, &self.file.data_set);
        let samples = layout.samples as u8;
        let photometric = match (samples, layout.photometric.as_str()) {
            (3, _) => Photometric::Rgb,
            (_, "PALETTE COLOR") => {
                Photometric::Palette(Box::new(luts::palette(root, layout.signed)?))
            }
            (_, "MONOCHROME1") => Photometric::Monochrome1,
            _ => Photometric::Monochrome2,
        };
        let grey = matches!(
            photometric,
            Photometric::Monochrome1 | Photometric::Monochrome2
        );
        Ok(Frame {
            rows: layout.rows,
            columns: layout.columns,
            samples,
            values,
            bits_stored,
            modality: if grey {
                image::modality(root, frame, layout.signed)
            } else {
                crate::display::ModalityTransform::Identity
            },
            voi: if grey {
                image::voi(root, frame, layout.signed)
            } else {
                Vec::new()
            },
            polarity: image::polarity(root, &layout.photometric),
            photometric,
            spacing: image::spacing(root, frame),
            padding: image::padding(root, layout.signed),
        })
    }
}

/// Where the pixels are.
///
/// Errors if the object has none, or was cut off before them.
pub(crate) fn pixel_location(file: &DicomFile) -> Result<PixelLocation> {
    if let Some(location) = file.pixels {
        return Ok(location);
    }
    if let Some(cut) = &file.cut {
        return Err(cut.clone());
    }
    let class = file
        .data_set
        .text(tags::SOP_CLASS_UID)
        .or_else(|| file.meta.text(tags::MEDIA_STORAGE_SOP_CLASS_UID));
    Err(StudyError::NoPixels(match class {
        Some(uid) => format!("SOP class {uid}"),
        None => "without a SOP class".into(),
    }))
}

fn coding(file: &mut DicomFile, location: &PixelLocation) -> Result<PixelCoding> {
    let uid = &file.transfer_syntax;
    let coding = match syntax::pixel_coding(uid) {
        Some(coding) => coding,
        None if uid.is_empty() && location.length.is_some() => PixelCoding::Native,
        None => PixelCoding::None,
    };
    match coding {
        PixelCoding::None => Err(StudyError::UnsupportedTransferSyntax {
            uid: uid.clone(),
            name: syntax::transfer_syntax_name(uid).into(),
        }),
        // Some writers leave pixels uncompressed under a compressed syntax, and some give fragments a defined length: a
        // value that does not start with an item is plain.
        coding if location.length.is_some() && coding != PixelCoding::Native => {
            file.input.seek(location.offset.min(file.input.length()))?;
            Ok(match file.input.peek::<4>()? {
                [0xFE, 0xFF, 0x00, 0xE0] => coding,
                _ => PixelCoding::Native,
            })
        }
        PixelCoding::Native if location.length.is_none() => Err(StudyError::corrupt(
            "encapsulated pixel data under an uncompressed transfer syntax",
        )),
        coding => Ok(coding),
    }
}

fn colour_space(photometric: &str) -> ColourSpace {
    match photometric {
        "YBR_FULL" | "YBR_FULL_422" => ColourSpace::YbrFull,
        "YBR_PARTIAL_422" | "YBR_PARTIAL_420" => ColourSpace::YbrPartial,
        _ => ColourSpace::Rgb,
    }
}
