//! Synthetic radiology studies with known truth.
//!
//! A [`Spec`] is the seeded ground truth of one study. Everything else follows from it:
//! [`render_chest`] and [`head::render_head`] make the images, [`Spec::labels`] and
//! [`Spec::chest_boxes`] say what is there, [`Spec::report`], [`Spec::sentences`] and
//! [`Spec::questions`] put it into words, [`write_study`] and [`export::export`] write files.

pub mod chest;
pub mod dicom;
mod draw;
mod error;
pub mod export;
mod files;
pub mod head;
mod labels;
mod random;
mod spec;
pub mod words;

pub use chest::{Radiograph, film_size, midline_of_film, render_chest};
pub use dicom::{Encoding, Identity, StudyOptions, write_study};
pub use error::{PhantomError, Result};
pub use head::{HeadSlice, render_head};
pub use labels::{Label, Labels, LesionBox};
pub use spec::{Finding, Lesion, Patient, Place, Region, Sex, Side, Site, Spec, View};
pub use words::questions::{AnswerType, QaPair, QuestionType};
pub use words::report::Report;
pub use words::sentences;
pub use words::sentences::Sentence;
