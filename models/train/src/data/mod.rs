//! What a data source must tell the engine, and how batches are made from it.

mod augment;
mod mixture;
mod sides;

use std::sync::Arc;

pub use augment::{Augment, Facing, Warp, augment, centre_view};
use lucency_zoo::preprocess::Image8;
pub(crate) use mixture::rng_for;
pub use mixture::{Mixture, Part};
pub use sides::swap_sides;

use crate::Result;

/// What a mirror image of a picture would still be true of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// A mirrored picture would be wrong, as a chest with the heart on the other side.
    Never,
    /// Nothing that is said of the picture has a side.
    Free,
    /// Everything stays true once left and right change places.
    SwapSides,
}

/// A text that is true of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caption {
    /// The text.
    pub text: String,
    /// What it states, as a key: texts of one key say the same, and are true of every image that has the key.
    pub fact: Option<String>,
}

/// Where a claim holds: a rectangle in fractions of the image's sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The claim's index in the prompt pool.
    pub claim: usize,
    /// Left, top, right and bottom edge, 0 to 1.
    pub edges: [f32; 4],
}

/// An image and what is known about it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// One grey channel, square, somewhat larger than the model's input so that a crop can wander.
    pub image: Image8,
    /// Texts that are true of it, at least one.
    pub captions: Vec<Caption>,
    /// Facts that are true of it, sorted.
    pub facts: Vec<String>,
    /// Indices into the prompt pool's claims, each with whether the claim holds; others are unknown.
    pub claims: Vec<(usize, bool)>,
    /// Where claims hold that have a place.
    pub places: Vec<Place>,
    /// Claims all of whose places are in `places`; where none is, the claim holds nowhere.
    pub located: Vec<usize>,
    /// Indices into the prompt pool's class sets, each with the class.
    pub classes: Vec<(usize, usize)>,
    /// How it may be mirrored.
    pub mirror: Mirror,
}

/// A source of samples.
pub trait Dataset: Sync {
    /// How many samples there are.
    fn len(&self) -> usize;

    /// True without any sample.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One sample.
    fn sample(&self, index: usize) -> Result<Arc<Sample>>;

    /// What must stay on one side of a split: the patient, or the image.
    fn group(&self, index: usize) -> u64;
}

/// Samples held in memory.
#[derive(Default)]
pub struct InMemory {
    samples: Vec<(u64, Arc<Sample>)>,
}

impl InMemory {
    /// Adds a sample of a group.
    pub fn push(&mut self, group: u64, sample: Sample) {
        self.samples.push((group, Arc::new(sample)));
    }
}

impl Dataset for InMemory {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn sample(&self, index: usize) -> Result<Arc<Sample>> {
        Ok(Arc::clone(&self.samples[index].1))
    }

    fn group(&self, index: usize) -> u64 {
        self.samples[index].0
    }
}
