//! The words that a specification is made of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a study was made: sites differ in exposure, noise, processing and wording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Site {
    /// A modern digital department; reports in full sentences.
    A,
    /// A busy hospital with portable films; terse reports with abbreviations.
    B,
}

/// The patient's sex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sex {
    /// Female.
    Female,
    /// Male.
    Male,
}

/// The part of the body in the study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// Chest radiographs.
    Chest,
    /// Non-contrast computed tomography of the head.
    Head,
}

/// How an image was projected or cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Chest, x-rays from back to front; the patient's left is on the image's right.
    Pa,
    /// Chest, x-rays from front to back (portable films); the patient's left is on the image's right.
    Ap,
    /// Chest from the side; the front of the chest is on the image's left.
    Lateral,
    /// A slice of the head; the patient's left is on the image's right.
    Axial,
}

impl View {
    /// DICOM View Position (0018,5101), or "AXIAL".
    pub fn code(self) -> &'static str {
        match self {
            View::Pa => "PA",
            View::Ap => "AP",
            View::Lateral => "LL",
            View::Axial => "AXIAL",
        }
    }

    /// True for the two frontal projections.
    pub fn is_frontal(self) -> bool {
        matches!(self, View::Pa | View::Ap)
    }
}

/// A side of the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The patient's left: image right on frontal and axial images.
    Left,
    /// The patient's right: image left on frontal and axial images.
    Right,
    /// Left and right.
    Both,
}

impl Side {
    /// "left", "right" or "bilateral".
    pub fn name(self) -> &'static str {
        match self {
            Side::Left => "left",
            Side::Right => "right",
            Side::Both => "bilateral",
        }
    }

    /// The sign of image x of one side: +1 left, −1 right; both sides for [`Side::Both`].
    pub(crate) fn signs(self) -> &'static [f32] {
        match self {
            Side::Left => &[1.0],
            Side::Right => &[-1.0],
            Side::Both => &[-1.0, 1.0],
        }
    }
}

/// What can be found in a phantom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Finding {
    /// Cardiothoracic ratio above 0.55.
    #[serde(rename = "cardiomegaly")]
    Cardiomegaly,
    /// Fluid in the pleural space.
    #[serde(rename = "pleural effusion")]
    PleuralEffusion,
    /// Air in the pleural space.
    #[serde(rename = "pneumothorax")]
    Pneumothorax,
    /// Airspace opacity of a lobe.
    #[serde(rename = "consolidation")]
    Consolidation,
    /// A round lung lesion: a nodule up to 30 mm, a mass above.
    #[serde(rename = "nodule")]
    Nodule,
    /// A cardiac pacemaker with its leads.
    #[serde(rename = "pacemaker")]
    Pacemaker,
    /// A central venous catheter or a nasogastric tube.
    #[serde(rename = "line")]
    Line,
    /// Bleeding within the skull.
    #[serde(rename = "haemorrhage")]
    Haemorrhage,
    /// An infarct in an arterial territory.
    #[serde(rename = "infarct")]
    Infarct,
    /// A brain mass with oedema and midline shift.
    #[serde(rename = "mass")]
    Mass,
}

impl Finding {
    /// The findings that a chest study can have.
    pub const CHEST: [Finding; 7] = [
        Finding::Cardiomegaly,
        Finding::PleuralEffusion,
        Finding::Pneumothorax,
        Finding::Consolidation,
        Finding::Nodule,
        Finding::Pacemaker,
        Finding::Line,
    ];
    /// The findings that a head study can have.
    pub const HEAD: [Finding; 3] = [Finding::Haemorrhage, Finding::Infarct, Finding::Mass];

    /// The label, as used in files and label sets.
    pub fn name(self) -> &'static str {
        match self {
            Finding::Cardiomegaly => "cardiomegaly",
            Finding::PleuralEffusion => "pleural effusion",
            Finding::Pneumothorax => "pneumothorax",
            Finding::Consolidation => "consolidation",
            Finding::Nodule => "nodule",
            Finding::Pacemaker => "pacemaker",
            Finding::Line => "line",
            Finding::Haemorrhage => "haemorrhage",
            Finding::Infarct => "infarct",
            Finding::Mass => "mass",
        }
    }

    /// The region in which this finding occurs.
    pub fn region(self) -> Region {
        if Finding::HEAD.contains(&self) {
            Region::Head
        } else {
            Region::Chest
        }
    }

    /// True where a reader can decide on this finding from the view alone.
    pub fn is_decidable_on(self, view: View) -> bool {
        match view {
            View::Pa | View::Ap => self.region() == Region::Chest,
            View::Lateral => matches!(
                self,
                Finding::Cardiomegaly
                    | Finding::PleuralEffusion
                    | Finding::Consolidation
                    | Finding::Nodule
                    | Finding::Pacemaker
            ),
            View::Axial => self.region() == Region::Head,
        }
    }

    /// True where the finding has a side.
    pub fn has_side(self) -> bool {
        !matches!(self, Finding::Cardiomegaly)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Finding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Finding::CHEST
            .into_iter()
            .chain(Finding::HEAD)
            .find(|f| f.name() == text.trim().to_lowercase().replace('_', " "))
            .ok_or_else(|| format!("no finding is called '{text}'"))
    }
}

/// Where within its side a finding lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Nothing more to say than the side.
    Whole,
    /// Upper lobe of a lung.
    UpperLobe,
    /// Middle lobe (right alone).
    MiddleLobe,
    /// Lower lobe of a lung.
    LowerLobe,
    /// Upper third of a lung, as projected.
    UpperZone,
    /// Middle third of a lung, as projected.
    MidZone,
    /// Lower third of a lung, as projected.
    LowerZone,
    /// Apex of a lung.
    Apex,
    /// A catheter through the internal jugular vein.
    Jugular,
    /// A catheter through the subclavian vein.
    Subclavian,
    /// A tube through the oesophagus into the stomach.
    Stomach,
    /// Frontal lobe.
    Frontal,
    /// Parietal lobe.
    Parietal,
    /// Basal ganglia.
    BasalGanglia,
    /// Over the hemisphere, under the dura.
    Subdural,
    /// Territory of the middle cerebral artery.
    MiddleCerebral,
    /// Territory of the posterior cerebral artery.
    PosteriorCerebral,
}
