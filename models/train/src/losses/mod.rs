//! Objectives, one file each, over candle tensors with gradients.

mod claims;
mod infonce;
mod siglip;
mod simclr;
mod vqa;

pub use claims::{binary_cross_entropy, claim_loss, focal_cross_entropy};
pub use infonce::{cross_entropy, infonce, multi_positive_infonce, similarity};
pub use siglip::siglip;
pub use simclr::{nt_xent, slip};
pub use vqa::{RECONSTRUCTION, Reconstruction, mevf_loss, qcr_loss};
