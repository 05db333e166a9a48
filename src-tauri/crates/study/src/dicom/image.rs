//! The attributes that say what pixel data mean, for the whole image and for each frame.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::dataset::{DataSet, PixelLocation};
use super::luts;
use crate::display::{LabelledVoi, ModalityTransform, Polarity, Voi, VoiFunction, Window};
use crate::error::{Result, StudyError};
use crate::frame::Padding;
use crate::geometry::{PatientOrientation, Spacing, SpacingAttributes};

/// How the samples of every frame are laid out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    pub rows: u32,
    pub columns: u32,
    pub samples: u16,
    /// Samples of a pixel lie apart, in planes.
    pub planar: bool,
    pub photometric: String,
    pub bits_allocated: u16,
    pub bits_stored: u16,
    pub high_bit: u16,
    pub signed: bool,
    pub number_of_frames: u32,
}

impl Layout {
    /// Reads and checks the Image Pixel module. Source: PS3.3 C.7.6.3.
    pub fn read(data_set: &DataSet, pixels: &PixelLocation) -> Result<Self> {
        let size = |tag: Tag, name: &str| match data_set.integer(tag) {
            Some(v @ 1..=0xFFFF) => Ok(v as u32),
            Some(_) => Err(StudyError::corrupt(format!("{name} {tag} is out of range"))),
            None => Err(StudyError::corrupt(format!("{name} {tag} is missing"))),
        };
        let photometric = data_set
            .text(tags::PHOTOMETRIC_INTERPRETATION)
            .unwrap_or_default()
            .to_ascii_uppercase();
        let colour = photometric.starts_with("RGB") || photometric.starts_with("YBR");
        let samples = match data_set.u16(tags::SAMPLES_PER_PIXEL) {
            Some(n @ (1 | 3)) => n,
            Some(n) => {
                return Err(StudyError::unsupported(format!("{n} samples per pixel")));
            }
            None if colour => 3,
            None => 1,
        };
        let photometric = match photometric.as_str() {
            "" if samples == 1 => "MONOCHROME2".to_owned(),
            "" => "RGB".to_owned(),
            _ => photometric,
        };
        let bits_allocated = match pixels.tag {
            tags::FLOAT_PIXEL_DATA => 32,
            tags::DOUBLE_FLOAT_PIXEL_DATA => 64,
            _ => data_set.u16(tags::BITS_ALLOCATED).ok_or_else(|| {
                StudyError::corrupt(format!(
                    "Bits Allocated {} is missing",
                    tags::BITS_ALLOCATED
                ))
            })?,
        };
        if !(1..=64).contains(&bits_allocated) {
            return Err(StudyError::unsupported(format!(
                "{bits_allocated} bits allocated"
            )));
        }
        let bits_stored = data_set
            .u16(tags::BITS_STORED)
            .filter(|b| (1..=bits_allocated).contains(b))
            .unwrap_or(bits_allocated);
        let high_bit = data_set
            .u16(tags::HIGH_BIT)
            .filter(|h| (bits_stored - 1..bits_allocated).contains(h))
            .unwrap_or(bits_stored - 1);
        Ok(Self {
            rows: size(tags::ROWS, "Rows")?,
            columns: size(tags::COLUMNS, "Columns")?,
            samples,
            planar: samples > 1 && data_set.u16(tags::PLANAR_CONFIGURATION) == Some(1),
            photometric,
            bits_allocated,
            bits_stored,
            high_bit,
            signed: data_set.u16(tags::PIXEL_REPRESENTATION) == Some(1),
            number_of_frames: data_set
                .integer(tags::NUMBER_OF_FRAMES)
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(1)
                .max(1),
        })
    }

    /// Refuses more frames than a file of `bytes` bytes can hold, before anything is kept for each of them.
    pub fn check_frames(&self, bytes: u64) -> Result<()> {
        if u64::from(self.number_of_frames) > bytes {
            return Err(StudyError::corrupt(format!(
                "{} frames in {bytes} bytes",
                self.number_of_frames
            )));
        }
        Ok(())
    }

    pub fn pixels(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.columns)
    }

    /// Values in a frame: rows × columns × samples.
    pub fn values(&self) -> u64 {
        self.pixels() * u64::from(self.samples)
    }
}

/// The functional groups of one frame, most specific first. Source: PS3.3 C.7.6.16.
struct Groups<'a> {
    levels: Vec<&'a DataSet>,
    root: &'a DataSet,
}

impl<'a> Groups<'a> {
    fn of_frame(root: &'a DataSet, frame: u32) -> Self {
        let per_frame = root
            .items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
            .get(frame as usize);
        let shared = root.items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).first();
        Self {
            levels: per_frame.into_iter().chain(shared).collect(),
            root,
        }
    }

    /// The data set that carries a group's attributes: the group's item, else the image itself.
    fn group(&self, sequence: Tag) -> &'a DataSet {
        self.levels
            .iter()
            .find_map(|level| level.items(sequence).first())
            .unwrap_or(self.root)
    }
}

/// Modality transform of a frame: table, frame's rescale, image's rescale, identity.
pub(crate) fn modality(root: &DataSet, frame: u32, signed: bool) -> ModalityTransform {
    let lut = root
        .items(tags::MODALITY_LUT_SEQUENCE)
        .first()
        .and_then(|item| luts::sequence_item_lut(item, signed));
    if let Some(lut) = lut {
        return ModalityTransform::Lut(lut);
    }
    let group = Groups::of_frame(root, frame).group(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
    let slope = group.number(tags::RESCALE_SLOPE).filter(|v| v.is_finite());
    let intercept = group
        .number(tags::RESCALE_INTERCEPT)
        .filter(|v| v.is_finite());
    match (slope, intercept) {
        (None, None) | (Some(1.0), Some(0.0) | None) | (None, Some(0.0)) => {
            ModalityTransform::Identity
        }
        (slope, intercept) => ModalityTransform::Rescale {
            slope: slope.unwrap_or(1.0),
            intercept: intercept.unwrap_or(0.0),
        },
    }
}

/// VOI transforms of a frame: windows in the file's order, then tables.
pub(crate) fn voi(root: &DataSet, frame: u32, signed: bool) -> Vec<LabelledVoi> {
    let group = Groups::of_frame(root, frame).group(tags::FRAME_VOILUT_SEQUENCE);
    let function = match group.text(tags::VOILUT_FUNCTION).as_deref() {
        Some("SIGMOID") => VoiFunction::Sigmoid,
        Some("LINEAR_EXACT") => VoiFunction::LinearExact,
        _ => VoiFunction::Linear,
    };
    let explanation = group.words(tags::WINDOW_CENTER_WIDTH_EXPLANATION, &root.charset());
    let labels: Vec<&str> = explanation.iter().flat_map(|e| e.split('\\')).collect();
    let centers = group.numbers(tags::WINDOW_CENTER);
    let widths = group.numbers(tags::WINDOW_WIDTH);
    let usable = |(_, (c, w)): &(usize, (f64, f64))| c.is_finite() && w.is_finite() && *w > 0.0;
    let window = |(i, (center, width)): (usize, (f64, f64))| LabelledVoi {
        label: labels.get(i).map_or("", |l| l.trim()).to_owned(),
        voi: Voi::Window(Window {
            center,
            width,
            function,
        }),
    };
    let pairs = centers.into_iter().zip(widths).enumerate();
    let mut transforms: Vec<LabelledVoi> = pairs.filter(usable).map(window).collect();
    // The input of a VOI LUT is signed when modality values can be negative.
    let negative = match modality(root, frame, signed) {
        ModalityTransform::Rescale { intercept, .. } => signed || intercept < 0.0,
        ModalityTransform::Identity => signed,
        ModalityTransform::Lut(_) => false,
    };
    transforms.extend(luts::voi_luts(root, negative));
    transforms
}

/// MONOCHROME1 and Presentation LUT Shape INVERSE both say that large values are black; together they say it once.
pub(crate) fn polarity(root: &DataSet, photometric: &str) -> Polarity {
    let inverse = root.text(tags::PRESENTATION_LUT_SHAPE).as_deref() == Some("INVERSE");
    if photometric == "MONOCHROME1" || (photometric == "MONOCHROME2" && inverse) {
        Polarity::Inverted
    } else {
        Polarity::Normal
    }
}

/// Pixel Padding Value and its range limit, with the sign of the pixels.
pub(crate) fn padding(root: &DataSet, signed: bool) -> Option<Padding> {
    let read = |tag: Tag| {
        let value = root.number(tag)?;
        let unsigned_vr = root.get(tag).is_some_and(|e| e.vr == VR::US);
        let wraps = signed && unsigned_vr && value > 32767.0;
        Some(if wraps { value - 65536.0 } else { value })
    };
    let value = read(tags::PIXEL_PADDING_VALUE)?;
    let limit = read(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(value);
    Some(Padding {
        low: value.min(limit),
        high: value.max(limit),
    })
}

/// Pixel size of a frame.
pub(crate) fn spacing(root: &DataSet, frame: u32) -> Option<Spacing> {
    let group = Groups::of_frame(root, frame).group(tags::PIXEL_MEASURES_SEQUENCE);
    Spacing::from_attributes(&SpacingAttributes {
        pixel_spacing: group.vector(tags::PIXEL_SPACING),
        imager_pixel_spacing: root.vector(tags::IMAGER_PIXEL_SPACING),
        calibration_stated: root.text(tags::PIXEL_SPACING_CALIBRATION_TYPE).is_some(),
        projection: is_projection(root),
    })
}

/// Modalities that project the body onto a detector.
fn is_projection(root: &DataSet) -> bool {
    let modality = root.text(tags::MODALITY).unwrap_or_default();
    let projecting = ["CR", "DX", "MG", "RG", "XA", "RF", "PX", "IO"];
    projecting.contains(&modality.as_str()) || root.get(tags::IMAGER_PIXEL_SPACING).is_some()
}

/// Image Orientation (Patient) of a frame.
pub(crate) fn orientation(root: &DataSet, frame: u32) -> Option<[f64; 6]> {
    Groups::of_frame(root, frame)
        .group(tags::PLANE_ORIENTATION_SEQUENCE)
        .vector(tags::IMAGE_ORIENTATION_PATIENT)
}

/// Patient Orientation, which the standard wants where there is no Image Orientation (Patient).
pub(crate) fn patient_orientation(root: &DataSet) -> Option<PatientOrientation> {
    let text = root.text(tags::PATIENT_ORIENTATION)?;
    PatientOrientation::from_values(text.split('\\'))
}

/// Image Position (Patient) of a frame.
pub(crate) fn position(root: &DataSet, frame: u32) -> Option<[f64; 3]> {
    Groups::of_frame(root, frame)
        .group(tags::PLANE_POSITION_SEQUENCE)
        .vector(tags::IMAGE_POSITION_PATIENT)
}
