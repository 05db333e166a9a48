//! Architectures: CLIP, question answering, preprocessing, tokenizer.

pub mod clip;
mod error;
pub mod preprocess;
pub mod tokenizer;
pub mod vqa;

pub use error::{Result, ZooError};
