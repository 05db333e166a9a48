//! A frame as the networks see it: displayed with its own window, 8 bit, with its identity.

use std::path::{Path, PathBuf};

use lucency_study::display::{ModalityTransform, Polarity, Voi};
use lucency_study::{Frame, OpenOptions, Photometric, Series, StoredValues, StudyError};
use lucency_zoo::preprocess::{Channels, Geometry, Image8, Preprocess};

use crate::error::{AssistantError, Result};

/// One frame, ready for a pack's preprocessing.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Grey or RGB, 8 bit, as displayed with the file's first window.
    pub image: Image8,
    /// SHA-256 of stored values and shape.
    pub pixel_hash: String,
    /// Frame within its file, counted from 1.
    pub frame: u32,
    /// DICOM modality; empty when the file does not state one.
    pub modality: String,
    /// Body part examined; empty when not stated.
    pub body_part: String,
    /// How stored values became 8 bit.
    pub rendering: String,
}

impl Picture {
    /// Shows a decoded frame with its own VOI transform.
    ///
    /// - `frame_number`: within its file, counted from 1
    /// - `modality`, `body_part`: as the series states them, empty if it does not
    ///
    /// Errors if the frame has no pixels.
    pub fn from_frame(
        frame: &Frame,
        frame_number: u32,
        modality: &str,
        body_part: &str,
    ) -> Result<Self> {
        let voi = frame.default_voi();
        let shown = frame.render_with(&voi);
        let rendering = match (&frame.photometric, &voi) {
            (Photometric::Rgb | Photometric::Palette(_), _) => "colour as stored".to_owned(),
            (_, Voi::Window(w)) => format!("window {} / {}", w.center, w.width),
            (_, Voi::Lut(_)) => "VOI LUT of the file".to_owned(),
        };
        Ok(Self {
            image: Image8::new(
                shown.width as usize,
                shown.height as usize,
                usize::from(shown.channels),
                shown.data,
            )?,
            pixel_hash: frame.pixel_hash(),
            frame: frame_number,
            // "OT" is what a file without a modality is given.
            modality: if modality == "OT" {
                String::new()
            } else {
                modality.to_owned()
            },
            body_part: body_part.to_owned(),
            rendering,
        })
    }
}

/// Decodes one frame of a series.
///
/// - `index`: into [`Series::frames`], the order of scrolling
///
/// Errors if there is no such frame or it cannot be decoded.
pub fn of_series(series: &Series, index: usize) -> Result<Picture> {
    let frame = series
        .frames
        .get(index)
        .ok_or(StudyError::FrameOutOfRange {
            frame: index as u64 + 1,
            frames: series.frames.len() as u32,
        })?;
    let decoded = lucency_study::decode(&series.instances[frame.instance], frame.frame)?;
    Picture::from_frame(
        &decoded,
        frame.frame + 1,
        &series.modality,
        series.body_part.as_deref().unwrap_or_default(),
    )
}

/// Reads one frame of one file.
///
/// - `frame`: counted from 1, within the file
///
/// Errors if the file holds no image that can be read, or not that frame.
pub fn open(path: &Path, frame: u32) -> Result<Picture> {
    let paths = [PathBuf::from(path)];
    let mut opened = lucency_study::open(&paths, &OpenOptions::default(), &|| false, &mut |_| {});
    if opened.studies.is_empty()
        && let Some(rejected) = opened.rejected.pop()
    {
        return Err(AssistantError::Rejected {
            code: rejected.code,
            message: rejected.message,
        });
    }
    let series = opened
        .studies
        .iter()
        .flat_map(|study| &study.series)
        .find(|series| !series.instances.is_empty())
        .ok_or(StudyError::NotFound)?;
    let instance = &series.instances[0];
    if frame == 0 || frame > instance.number_of_frames {
        return Err(AssistantError::Study(StudyError::FrameOutOfRange {
            frame: u64::from(frame),
            frames: instance.number_of_frames,
        }));
    }
    let decoded = lucency_study::decode(instance, frame - 1)?;
    Picture::from_frame(
        &decoded,
        frame,
        &series.modality,
        series.body_part.as_deref().unwrap_or_default(),
    )
}

/// A picture from the bytes of a PNG or another encoded image.
///
/// Errors if the bytes are not an image.
pub fn from_encoded(bytes: &[u8]) -> Result<Picture> {
    let image = Image8::decode(bytes)?;
    let pixel_hash = hash(&image);
    Ok(Picture {
        image,
        pixel_hash,
        frame: 1,
        modality: String::new(),
        body_part: String::new(),
        rendering: "as stored".to_owned(),
    })
}

/// A black picture: what an answer without the image is measured on. Its size does not matter, since every
/// preprocessing makes the same black square of it.
pub fn blank() -> Picture {
    let image = Image8 {
        width: 16,
        height: 16,
        channels: 1,
        data: vec![0; 16 * 16],
    };
    Picture {
        pixel_hash: hash(&image),
        image,
        frame: 1,
        modality: String::new(),
        body_part: String::new(),
        rendering: "blank".to_owned(),
    }
}

/// The hash that [`Frame::pixel_hash`] gives the same 8-bit pixels.
fn hash(image: &Image8) -> String {
    let photometric = if image.channels == 3 {
        Photometric::Rgb
    } else {
        Photometric::Monochrome2
    };
    Frame {
        rows: image.height as u32,
        columns: image.width as u32,
        samples: image.channels as u8,
        values: StoredValues::U8(image.data.clone()),
        bits_stored: 8,
        photometric,
        modality: ModalityTransform::Identity,
        voi: Vec::new(),
        polarity: Polarity::Normal,
        spacing: None,
        padding: None,
    }
    .pixel_hash()
}

/// The preprocessing in words, for provenance.
pub(crate) fn describe(preprocess: &Preprocess) -> String {
    let geometry = match preprocess.geometry {
        Geometry::ShortSideCentreCrop { short_side, side } => {
            format!("short side {short_side}, centre {side} × {side}")
        }
        Geometry::Squash { side } => format!("squashed to {side} × {side}"),
        Geometry::PadToSquare { side, .. } => format!("padded to {side} × {side}"),
    };
    let channels = match preprocess.channels {
        Channels::Rgb => "RGB",
        _ => "grey",
    };
    format!("{geometry}, {channels}")
}

/// Lower-case hexadecimal digits of a digest.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
