//! One file a command family.

pub mod packs;
