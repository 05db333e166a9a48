//! One file a command family.

pub mod assist;
pub mod demo;
pub mod eval;
pub mod packs;
