//! Study, series and instance, as in DICOM.

use crate::display::LabelledVoi;
use crate::geometry::{PatientOrientation, Spacing};
use crate::source::Source;

/// The person examined. Shown to the user alone: never in logs, errors or telemetry.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct PatientInfo {
    /// Patient's Name (0010,0010) as stored, components separated by `^`.
    pub name: Option<String>,
    /// Patient ID (0010,0020).
    pub id: Option<String>,
    /// Patient's Sex (0010,0040).
    pub sex: Option<String>,
    /// Patient's Age (0010,1010), such as `052Y`.
    pub age: Option<String>,
    /// Patient's Birth Date (0010,0030) as `YYYY-MM-DD` where it can be read.
    pub birth_date: Option<String>,
}

impl PatientInfo {
    /// The name for people: `DOE^JANE^^DR` becomes `DOE, JANE DR`; of several scripts the first.
    pub fn display_name(&self) -> Option<String> {
        let alphabetic = self.name.as_deref()?.split('=').find(|g| !g.is_empty())?;
        let mut parts = alphabetic
            .split('^')
            .map(str::trim)
            .filter(|p| !p.is_empty());
        let family = parts.next()?.to_owned();
        let rest: Vec<&str> = parts.collect();
        Some(if rest.is_empty() {
            family
        } else {
            format!("{family}, {}", rest.join(" "))
        })
    }
}

/// Everything that belongs to one examination.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// Study Instance UID (0020,000D), or one made from the folder for images that have none.
    pub uid: String,
    /// Who was examined.
    pub patient: PatientInfo,
    /// Study Date (0008,0020) as `YYYY-MM-DD` where it can be read.
    pub date: Option<String>,
    /// Study Description (0008,1030).
    pub description: Option<String>,
    /// True when the file says that its data are synthetic, Synthetic Data (0008,001C).
    pub synthetic: bool,
    /// In order of Series Number, then as found.
    pub series: Vec<Series>,
}

/// Images that belong together and share size and orientation.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Series Instance UID (0020,000E); parts of a series that mixes sizes or orientations share it.
    pub uid: String,
    /// Series Number (0020,0011).
    pub number: Option<i64>,
    /// Modality (0008,0060); `OT` for images that are not DICOM.
    pub modality: String,
    /// Series Description (0008,103E); the file's stem for images that are not DICOM.
    pub description: Option<String>,
    /// Body Part Examined (0018,0015).
    pub body_part: Option<String>,
    /// View Position (0018,5101), such as `PA` or `LL`.
    pub view: Option<String>,
    /// Sorted by position along the slice normal; by instance number where positions are missing.
    pub instances: Vec<Instance>,
    /// Every frame of every instance, in the order of scrolling.
    pub frames: Vec<FrameRef>,
}

/// One frame of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameRef {
    /// Index into [`Series::instances`].
    pub instance: usize,
    /// Frame in the instance, counted from 0.
    pub frame: u32,
    /// Position along the slice normal, millimetres, where the file states it.
    pub position_mm: Option<f64>,
}

/// What a file was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A DICOM data set.
    Dicom,
    /// Portable Network Graphics.
    Png,
    /// JPEG outside DICOM.
    Jpeg,
    /// Tagged Image File Format.
    Tiff,
    /// Windows bitmap.
    Bmp,
}

/// One image object: a file or an archive's member, with one frame or more.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Where to read it.
    pub source: Source,
    /// What it is.
    pub format: Format,
    /// SOP Instance UID (0008,0018); made from the source for images that have none.
    pub sop_uid: String,
    /// SOP Class UID (0008,0016); empty for images that are not DICOM.
    pub sop_class_uid: String,
    /// Instance Number (0020,0013).
    pub instance_number: Option<i64>,
    /// Transfer syntax UID; empty when the file names none.
    pub transfer_syntax: String,
    /// Number of Frames (0028,0008), at least 1.
    pub number_of_frames: u32,
    /// Rows (0028,0010).
    pub rows: u32,
    /// Columns (0028,0011).
    pub columns: u32,
    /// Samples per Pixel (0028,0002) as stored.
    pub samples: u16,
    /// Photometric Interpretation (0028,0004) as stored.
    pub photometric: String,
    /// Bits Allocated (0028,0100).
    pub bits_allocated: u16,
    /// Bits Stored (0028,0101).
    pub bits_stored: u16,
    /// Pixel Representation (0028,0103) is 1.
    pub signed: bool,
    /// VOI transforms of the first frame, in the file's order: windows, then tables.
    pub voi: Vec<LabelledVoi>,
    /// Size of a pixel of the first frame.
    pub spacing: Option<Spacing>,
    /// Image Orientation (Patient) (0020,0037) of the first frame.
    pub orientation: Option<[f64; 6]>,
    /// Patient Orientation (0020,0020): what a projection states in place of Image Orientation (Patient).
    pub patient_orientation: Option<PatientOrientation>,
    /// Pixel Aspect Ratio (0028,0034), vertical and horizontal.
    pub aspect_ratio: Option<[f64; 2]>,
    /// Image Position (Patient) (0020,0032) of each frame; empty when none is stated.
    pub positions: Vec<Option<[f64; 3]>>,
}
