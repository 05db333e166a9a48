//! Instances to frames.

use std::io::{BufReader, Seek, SeekFrom};
use std::path::Path;

use crate::dicom::DicomFile;
use crate::dicom::pixels::DicomImage;
use crate::error::{Result, StudyError};
use crate::frame::Frame;
use crate::model::{Format, Instance};
use crate::open::{Content, format_of};
use crate::raster;
use crate::source::Source;

/// An open image whose frames are decoded one by one: parses the header once.
pub struct ImageFile {
    kind: Kind,
}

enum Kind {
    Dicom(Box<DicomImage>),
    Raster(Format, Source),
}

impl ImageFile {
    /// Opens an image of any kind that is read here; content decides which.
    ///
    /// Errors if there is none, or if it has no pixels or no decoder.
    pub fn open(source: &Source) -> Result<Self> {
        let mut reader = source.reader()?;
        let kind = match format_of(&mut *reader)? {
            Content::Image(Format::Dicom) => {
                Kind::Dicom(Box::new(DicomImage::new(DicomFile::open(reader)?)?))
            }
            Content::Image(format) => Kind::Raster(format, source.clone()),
            Content::Zip => {
                return Err(StudyError::NotAnImage(
                    "an archive: open it as a study".into(),
                ));
            }
        };
        Ok(Self { kind })
    }

    /// Opens a file on disk.
    ///
    /// Errors like [`Self::open`].
    pub fn open_path(path: &Path) -> Result<Self> {
        Self::open(&Source::File(path.to_owned()))
    }

    /// Number of frames, at least 1.
    pub fn number_of_frames(&self) -> u32 {
        match &self.kind {
            Kind::Dicom(image) => image.number_of_frames(),
            Kind::Raster(..) => 1,
        }
    }

    /// Decodes one frame, counted from 0; of a multi-frame file only that frame's bytes are read.
    ///
    /// Errors if there is no such frame, or if its pixels are damaged or cut short.
    pub fn frame(&mut self, frame: u32) -> Result<Frame> {
        match &mut self.kind {
            Kind::Dicom(image) => image.frame(frame),
            Kind::Raster(_, _) if frame > 0 => Err(StudyError::FrameOutOfRange {
                frame: u64::from(frame) + 1,
                frames: 1,
            }),
            Kind::Raster(format, source) => {
                let mut reader = source.reader()?;
                let bytes = reader.seek(SeekFrom::End(0))?;
                reader.rewind()?;
                raster::decode(*format, BufReader::new(reader), bytes)
            }
        }
    }
}

/// Decodes one frame of an instance, counted from 0.
///
/// Errors if the source is gone, or as [`ImageFile::frame`].
pub fn decode(instance: &Instance, frame: u32) -> Result<Frame> {
    ImageFile::open(&instance.source)?.frame(frame)
}
