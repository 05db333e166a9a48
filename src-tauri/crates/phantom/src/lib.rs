//! Synthetic radiology studies with known truth.
//!
//! A [`Spec`] is the seeded ground truth of one study. Everything else follows from it:
//! [`render_chest`] and [`head::render_head`] make the images.

pub mod chest;
mod draw;
mod error;
mod random;
mod spec;

pub use chest::{Radiograph, film_size, render_chest};
pub use error::{PhantomError, Result};
pub use spec::{Finding, Lesion, Patient, Place, Region, Sex, Side, Site, Spec, View};
