//! One file a command family.

pub mod assist;
pub mod bench;
pub mod demo;
pub mod demo_assets;
pub mod eval;
pub mod packs;
pub mod phantom;
pub mod study;
pub mod train;
