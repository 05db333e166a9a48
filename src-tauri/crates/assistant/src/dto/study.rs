//! Studies, series, frames and their data elements.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// One series of a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct SeriesDto {
    /// Identifier within this session of the application.
    pub id: String,
    /// DICOM modality, such as `CT`; `IMG` for an image file.
    pub modality: String,
    /// Series description.
    pub description: String,
    /// Body part examined.
    pub body_part: String,
    /// View position, such as `PA`; empty if none.
    pub view: String,
    /// Frames in all instances.
    pub frames: usize,
}

/// One study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct StudyDto {
    /// Identifier within this session of the application.
    pub id: String,
    /// Patient's name, for the overlay only.
    pub patient_name: String,
    /// Patient's identifier, for the overlay only.
    pub patient_id: String,
    /// `M`, `F`, `O` or empty.
    pub sex: String,
    /// Age as in DICOM, such as `054Y`; empty if none.
    pub age: String,
    /// Study date, `YYYY-MM-DD`; empty if none.
    pub date: String,
    /// Study description.
    pub description: String,
    /// True when the study is a phantom.
    pub synthetic: bool,
    /// The series, in order.
    pub series: Vec<SeriesDto>,
}

/// A file that was not opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RejectedDto {
    /// The file's name without its folder.
    pub path: String,
    /// Stable word for the cause.
    pub code: String,
    /// What is wrong with the file.
    pub message: String,
}

/// What came of opening files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct OpenReportDto {
    /// Studies that were opened.
    pub studies: Vec<StudyDto>,
    /// Files that were not.
    pub rejected: Vec<RejectedDto>,
    /// True when the user stopped it; what was read until then is in `studies`.
    pub cancelled: bool,
}

/// A VOI function, PS3.3 C.11.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub enum WindowFunctionDto {
    /// C.11.2.1.2.1, the default.
    #[serde(rename = "LINEAR")]
    Linear,
    /// C.11.2.1.3.2.
    #[serde(rename = "LINEAR_EXACT")]
    LinearExact,
    /// C.11.2.1.3.1.
    #[serde(rename = "SIGMOID")]
    Sigmoid,
}

/// A window with its function.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct WindowDto {
    /// Centre, in modality units.
    pub center: f64,
    /// Width, in modality units.
    pub width: f64,
    /// How values map.
    pub function: WindowFunctionDto,
}

/// Stored values to modality units, PS3.3 C.11.1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModalityDto {
    /// Stored values are modality values.
    Identity,
    /// A straight line.
    Rescale {
        /// Modality units per stored unit.
        slope: f64,
        /// Modality value of stored 0.
        intercept: f64,
    },
    /// A look-up table.
    Lut {
        /// First stored value mapped.
        first: i32,
        /// Modality values.
        values: Vec<u16>,
    },
}

/// A way from modality units to grey levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum VoiDto {
    /// A window.
    Window {
        /// Centre, in modality units.
        center: f64,
        /// Width, in modality units.
        width: f64,
        /// How values map.
        function: WindowFunctionDto,
        /// The file's explanation; may be empty.
        label: String,
    },
    /// A VOI look-up table.
    Lut {
        /// First modality value mapped.
        first: i32,
        /// Output values.
        values: Vec<u16>,
        /// Bits of an output value.
        bits: u16,
        /// The file's explanation; may be empty.
        label: String,
    },
}

/// The type of a stored value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ValueKindDto {
    /// Unsigned, 8 bit.
    U8,
    /// Signed, 8 bit.
    I8,
    /// Unsigned, 16 bit.
    U16,
    /// Signed, 16 bit.
    I16,
    /// Unsigned, 32 bit.
    U32,
    /// Signed, 32 bit.
    I32,
    /// Floating point, 32 bit.
    F32,
    /// Floating point, 64 bit.
    F64,
}

/// Where the pixel spacing holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum SpacingKindDto {
    /// In the patient.
    Calibrated,
    /// At the detector: lengths in the patient are smaller.
    AtDetector,
}

/// Distance of neighbouring pixel centres.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct SpacingDto {
    /// Between rows, millimetres.
    pub row_mm: f64,
    /// Between columns, millimetres.
    pub column_mm: f64,
    /// Where it holds.
    pub kind: SpacingKindDto,
}

/// Everything about a frame but its values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct FrameInfo {
    /// Height.
    pub rows: u32,
    /// Width.
    pub columns: u32,
    /// 1 for grey, 3 for RGB.
    pub samples: u8,
    /// Type of the values that `frame_pixels` returns.
    pub kind: ValueKindDto,
    /// Photometric interpretation as stored.
    pub photometric: String,
    /// To modality units.
    pub modality: ModalityDto,
    /// The file's windows and tables, in order.
    pub voi: Vec<VoiDto>,
    /// The window to begin with.
    pub default_window: WindowDto,
    /// True when the first entry of `voi` is a table and should be used until the user windows.
    pub default_is_lut: bool,
    /// True when low values are bright (MONOCHROME1); applied after the window.
    pub inverted: bool,
    /// Spacing, if the file states one.
    pub spacing: Option<SpacingDto>,
    /// Heights of a pixel in widths: 1 for square pixels.
    pub pixel_aspect: f64,
    /// Value that stands for no data, in stored units.
    pub padding: Option<f64>,
    /// Instance number; 0 if none.
    pub instance_number: i32,
    /// Position along the slice normal, millimetres.
    pub position_mm: Option<f64>,
    /// Direction of rows then columns in patient coordinates, six numbers.
    pub orientation: Option<Vec<f64>>,
    /// Where a row and a column lead, in letters (`L`, `F`), for projections without `orientation`.
    pub patient_orientation: Option<[String; 2]>,
    /// Frame within its file, counted from 1.
    pub frame: u32,
    /// SHA-256 of stored values and shape.
    pub pixel_hash: String,
}

/// A data element for the list of tags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct TagNode {
    /// `(gggg,eeee)`.
    pub tag: String,
    /// Value representation.
    pub vr: String,
    /// Keyword of the standard; empty for a private element.
    pub name: String,
    /// Value as text, shortened.
    pub value: String,
    /// Items' elements.
    pub children: Vec<TagNode>,
}
