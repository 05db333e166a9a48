//! Architectures: CLIP, DINOv2, question answering, preprocessing, tokenizer.

mod checks;
pub mod clip;
pub mod dino;
mod door;
mod error;
pub mod preprocess;
mod shapes;
pub mod tokenizer;
mod transformer;
pub mod vqa;

pub use error::{Result, ZooError};
