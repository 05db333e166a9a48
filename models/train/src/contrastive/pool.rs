//! The wordings of claims and classes.

use serde::{Deserialize, Serialize};

use crate::data::swap_sides;

/// A statement about an image with the ways to say it and to deny it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimWordings {
    /// Its name, such as `pleural effusion` or `left pleural effusion`.
    pub name: String,
    /// Ways to say it, at least one.
    pub positive: Vec<String>,
    /// Ways to deny it, at least one.
    pub negative: Vec<String>,
}

/// A class with the ways to name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassWordings {
    /// Its name, such as `ChestCT`.
    pub name: String,
    /// Whole sentences, at least one.
    pub texts: Vec<String>,
}

/// Classes that exclude each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassSet {
    /// Its name, such as `modality and region`.
    pub name: String,
    /// At least two classes.
    pub classes: Vec<ClassWordings>,
}

/// Everything that samples' `claims` and `classes` point into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptPool {
    /// Claims, any of which may hold or not.
    pub claims: Vec<ClaimWordings>,
    /// Sets of classes.
    pub class_sets: Vec<ClassSet>,
}

impl PromptPool {
    /// The claim that a mirror image turns `claim` into: the one with left and right swapped in its name.
    pub fn mirrored(&self, claim: usize) -> usize {
        let name = swap_sides(&self.claims[claim].name);
        self.claims
            .iter()
            .position(|c| c.name == name)
            .unwrap_or(claim)
    }

    /// Every wording, for building a vocabulary.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let claims = self
            .claims
            .iter()
            .flat_map(|c| c.positive.iter().chain(&c.negative));
        let classes = self
            .class_sets
            .iter()
            .flat_map(|s| &s.classes)
            .flat_map(|c| &c.texts);
        claims.chain(classes).map(String::as_str)
    }
}
