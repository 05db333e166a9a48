//! Model packs: manifest, hashes, import, install, verify.
//!
//! A pack is a folder with `pack.toml` (a [`PackManifest`]), weights as safetensors, and what else
//! the model needs. [`Pack::open`] verifies every file before anything is read from it. The packs
//! of a machine are a [`PackStore`]; [`PackBuilder`] writes one in a single step.

mod checkpoint;
mod error;
mod hash;
mod home;
mod import;
mod labels;
mod manifest;
mod pack;
mod pickle;
mod store;
mod tensors;
mod write;

pub use error::{PackError, Result};
pub use hash::{digest, file_digest};
pub use home::{assets_dir, bundled_packs, home};
pub use labels::{Decision, Label, LabelSet, Platt};
pub use manifest::{
    Answers, Architecture, FORMAT, Figure, MANIFEST_FILE, Network, PackFile, PackManifest,
    ROLE_ANSWERS, ROLE_CARD, ROLE_NETWORK, ROLE_TOKENIZER, ROLE_WEIGHTS, TokenizerSpec,
    is_pack_name,
};
pub use pack::Pack;
pub use store::{Origin, PackEntry, PackStore};
pub use tensors::read_tensors;
pub use write::{Existing, PackBuilder, write_pack};
