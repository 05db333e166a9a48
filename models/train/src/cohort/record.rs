//! A split as it is kept beside the run that used it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Fingerprint;
use crate::best::write_whole;
use crate::{Result, TrainError};

/// What is kept whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitUnit {
    /// All images of a patient.
    Patient,
    /// The image, since no patient is known.
    Image,
}

/// What a case is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Fitting.
    Train,
    /// Early stopping and calibration.
    Validation,
    /// The report.
    Test,
}

impl Part {
    /// All three, in the order of their shares.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Reads `train`, `validation` (also `val`, `valid`, `dev`, `calibration`) or `test`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "validation" | "val" | "valid" | "dev" | "calibration" => Some(Self::Validation),
            "test" => Some(Self::Test),
            _ => None,
        }
    }
}

/// Which image was used for what; it names no patient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRecord {
    /// Seed of the division; `None` where the table stated it.
    pub seed: Option<u64>,
    /// What was kept whole.
    pub unit: SplitUnit,
    /// Every case.
    pub cases: Vec<RecordedCase>,
}

/// One case of a recorded split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedCase {
    /// The image.
    pub image: Fingerprint,
    /// Salted digest of the patient's key, to find the patient again without keeping the key; `None` where none is known.
    pub patient: Option<String>,
    /// What it was used for.
    pub part: Part,
}

impl SplitRecord {
    /// Writes the record, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string(self).map_err(|e| TrainError::json(path, e))?;
        write_whole(path, text.as_bytes())
    }

    /// Reads a record.
    ///
    /// Errors if the file is missing or damaged.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| TrainError::io(path, e))?;
        serde_json::from_str(&text).map_err(|e| TrainError::json(path, e))
    }

    /// The cases of a part.
    pub fn part(&self, part: Part) -> impl Iterator<Item = &RecordedCase> {
        self.cases.iter().filter(move |case| case.part == part)
    }
}
