//! What people write and ask about a study, true by construction.

pub mod questions;
pub mod report;
pub mod sentences;
