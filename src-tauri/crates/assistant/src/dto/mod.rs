//! What crosses from the use cases to a window or a terminal: plain records, serialised as JSON.
//!
//! Names are the product's words in snake_case. Rates and confidences are fractions of 1. The TypeScript side is generated
//! from these types (`bindings.rs`).

mod adapters;
mod computing;
mod labelling;
mod library;
mod results;
mod study;
mod training;
mod window;

pub use adapters::*;
pub use computing::*;
pub use labelling::*;
pub use library::*;
pub use results::*;
pub use study::*;
pub use training::*;
pub use window::*;
