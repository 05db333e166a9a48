//! DICOM and raster images to frames, geometry and the display pipeline.
//!
//! ```text
//! paths ── open ──► Study ► Series ► Instance ── decode ──► Frame ── render ──► Image (8 bit)
//!                                                            └ modality → VOI → polarity, see `display`
//! ```
//!
//! [`open`] sniffs content and parses without pixels; [`decode`] gives the exact stored values of one frame; [`display`]
//! holds the pure types that turn them into what a screen shows.
//!
//! **Untrusted files.** Every parser and codec in this path is Rust. Lengths in a file are checked against the file
//! before anything is allocated, codecs run behind a panic guard, and a file that is cut short is an error rather than
//! an image with invented pixels.

mod codec;
mod decode;
mod dicom;
pub mod display;
mod error;
mod frame;
pub mod geometry;
mod model;
mod open;
mod raster;
mod report;
mod source;
mod tags;

pub use decode::{ImageFile, decode};
pub use dicom::syntax::transfer_syntax_name;
pub use display::{
    Image, LabelledVoi, Lut, ModalityTransform, Palette, Polarity, Voi, VoiFunction, Window,
};
pub use error::{Result, StudyError};
pub use frame::{Frame, Padding, Photometric, StoredValues};
pub use geometry::{PatientOrientation, Spacing, SpacingKind};
pub use model::{Format, FrameRef, Instance, PatientInfo, Series, Study};
pub use open::{OpenOptions, OpenProgress, OpenReport, Rejected, open};
pub use report::{StructuredReport, structured_report};
pub use source::Source;
pub use tags::{TagNode, tags};
