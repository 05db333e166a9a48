//! Cases with their images, reports and labels, and the nearest-case index.
//!
//! Two seams let other stores and indexes in later: [`CaseStore`] (here a folder with a JSON
//! manifest and PNG files) and [`vectors::VectorIndex`]. [`Library`] joins them.

mod case;
mod embeddings;
mod error;
mod files;
mod library;
mod store;
pub mod vectors;

pub use case::{Case, ImageFile, NewCase};
pub use error::{LibraryError, Result};
pub use library::{Exclude, Hit, Library};
pub use store::{CaseStore, FolderStore};
