//! The seeded ground truth of one study.

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::random::{Purpose, between, chance, stream};

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

/// One finding with everything that is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesion {
    /// What it is.
    pub finding: Finding,
    /// Where, if it has a side.
    pub side: Option<Side>,
    /// Where within the side.
    pub place: Place,
    /// Diameter, depth of fluid or width of air, in millimetres; 0 where a size means nothing.
    pub size_mm: f32,
    /// From 0 (subtle, still detectable) to 1 (obvious).
    pub conspicuity: f32,
    /// Position within its place, both from 0 to 1.
    pub position: (f32, f32),
}

/// The person and the body.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Patient {
    /// The patient's sex.
    pub sex: Sex,
    /// Age in years.
    pub age: u32,
    /// Habitus from −1 (slim) to 1 (heavy).
    pub habitus: f32,
    /// Stature relative to the average of the sex.
    pub stature: f32,
}

/// The ground truth of one study; everything else (images, boxes, words, files) follows from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The seed that anatomy, texture and noise follow.
    pub seed: u64,
    /// Where the study was made.
    pub site: Site,
    /// What was imaged.
    pub region: Region,
    /// The images of the study.
    pub views: Vec<View>,
    /// The person.
    pub patient: Patient,
    /// Heart width over inner chest width; 0 in a head study.
    pub cardiothoracic_ratio: f32,
    /// What is there to find, at most one of each kind.
    pub lesions: Vec<Lesion>,
}

impl Spec {
    /// A study of either region: two of three are chests.
    pub fn sample(seed: u64, site: Site) -> Self {
        let mut rng = stream(seed, Purpose::Placement);
        if chance(&mut rng, 0.68) {
            Self::chest(seed, site)
        } else {
            Self::head(seed, site)
        }
    }

    /// A chest study; about 35 of 100 have no finding.
    pub fn chest(seed: u64, site: Site) -> Self {
        let mut spec = Self::normal_chest(seed, site);
        let mut rng = stream(seed, Purpose::Findings);
        if chance(&mut rng, 0.35) {
            return spec;
        }
        let count = match rng.random::<f32>() {
            x if x < 0.50 => 1,
            x if x < 0.83 => 2,
            _ => 3,
        };
        let mut choice = Finding::CHEST;
        for i in 0..count {
            let j = rng.random_range(i..choice.len());
            choice.swap(i, j);
            spec = spec.with(choice[i]);
        }
        spec
    }

    /// A head study; about 35 of 100 have no finding, the others one.
    pub fn head(seed: u64, site: Site) -> Self {
        let spec = Self::normal_head(seed, site);
        let mut rng = stream(seed, Purpose::Findings);
        if chance(&mut rng, 0.35) {
            return spec;
        }
        let finding = Finding::HEAD[rng.random_range(0..Finding::HEAD.len())];
        spec.with(finding)
    }

    /// A chest study without finding.
    pub fn normal_chest(seed: u64, site: Site) -> Self {
        let mut rng = stream(seed, Purpose::Patient);
        let patient = Patient::sample(&mut rng);
        let portable = match site {
            Site::A => 0.12,
            Site::B => 0.55,
        };
        let views = if chance(&mut rng, portable) {
            vec![View::Ap]
        } else if chance(&mut rng, 0.5) {
            vec![View::Pa, View::Lateral]
        } else {
            vec![View::Pa]
        };
        Self {
            seed,
            site,
            region: Region::Chest,
            views,
            patient,
            cardiothoracic_ratio: between(&mut rng, 0.40, 0.475),
            lesions: Vec::new(),
        }
    }

    /// A head study without finding.
    pub fn normal_head(seed: u64, site: Site) -> Self {
        let mut rng = stream(seed, Purpose::Patient);
        Self {
            seed,
            site,
            region: Region::Head,
            views: vec![View::Axial],
            patient: Patient::sample(&mut rng),
            cardiothoracic_ratio: 0.0,
            lesions: Vec::new(),
        }
    }

    /// The same study with this finding, placed and sized by the seed (no change if it is there
    /// already or belongs to the other region).
    pub fn with(self, finding: Finding) -> Self {
        let mut rng = stream(self.seed ^ ((finding as u64) << 48), Purpose::Lesion);
        let lesion = Lesion::sample(finding, &mut rng);
        self.with_lesion(lesion)
    }

    /// The same study with exactly this lesion.
    pub fn with_lesion(mut self, lesion: Lesion) -> Self {
        if lesion.finding.region() != self.region || self.has(lesion.finding) {
            return self;
        }
        if lesion.finding == Finding::Cardiomegaly {
            self.cardiothoracic_ratio = 0.575 + 0.085 * lesion.conspicuity;
        }
        self.lesions.push(lesion);
        self
    }

    /// The same study with these views.
    pub fn with_views(mut self, views: Vec<View>) -> Self {
        self.views = views;
        self
    }

    /// The same body and the same acquisition without this finding.
    pub fn without(&self, finding: Finding) -> Self {
        let mut spec = self.clone();
        spec.lesions.retain(|l| l.finding != finding);
        if finding == Finding::Cardiomegaly && self.has(finding) {
            spec.cardiothoracic_ratio =
                Self::normal_chest(self.seed, self.site).cardiothoracic_ratio;
        }
        spec
    }

    /// True if the study has this finding.
    pub fn has(&self, finding: Finding) -> bool {
        self.lesion(finding).is_some()
    }

    /// The lesion of this kind.
    pub fn lesion(&self, finding: Finding) -> Option<&Lesion> {
        self.lesions.iter().find(|l| l.finding == finding)
    }

    /// The findings that this kind of study can have.
    pub fn possible(&self) -> &'static [Finding] {
        match self.region {
            Region::Chest => &Finding::CHEST,
            Region::Head => &Finding::HEAD,
        }
    }
}

impl Patient {
    fn sample(rng: &mut impl Rng) -> Self {
        let sex = if chance(rng, 0.5) {
            Sex::Female
        } else {
            Sex::Male
        };
        Self {
            sex,
            age: 19 + (between(rng, 0.0, 1.0).powf(0.8) * 71.0) as u32,
            habitus: (between(rng, -1.0, 1.0) + between(rng, -1.0, 1.0)) / 1.6,
            stature: 1.0 + 0.05 * (between(rng, -1.0, 1.0) + between(rng, -1.0, 1.0)),
        }
    }
}

impl Lesion {
    fn sample(finding: Finding, rng: &mut impl Rng) -> Self {
        let conspicuity = between(rng, 0.0, 1.0);
        let one_side = if chance(rng, 0.5) {
            Side::Left
        } else {
            Side::Right
        };
        let position = (between(rng, 0.0, 1.0), between(rng, 0.0, 1.0));
        let roll = rng.random::<f32>();
        let (side, place, size_mm) = match finding {
            Finding::Cardiomegaly => (None, Place::Whole, 0.0),
            Finding::PleuralEffusion => {
                let side = if roll < 0.25 { Side::Both } else { one_side };
                (Some(side), Place::Whole, 32.0 + 65.0 * conspicuity)
            }
            Finding::Pneumothorax => (Some(one_side), Place::Apex, 16.0 + 34.0 * conspicuity),
            Finding::Consolidation => {
                let place = match (one_side, roll) {
                    (Side::Right, r) if r < 0.27 => Place::MiddleLobe,
                    (_, r) if r < 0.6 => Place::UpperLobe,
                    _ => Place::LowerLobe,
                };
                (Some(one_side), place, 60.0 + 50.0 * between(rng, 0.0, 1.0))
            }
            Finding::Nodule => {
                let place = match roll {
                    r if r < 0.4 => Place::UpperZone,
                    r if r < 0.7 => Place::MidZone,
                    _ => Place::LowerZone,
                };
                let spread = between(rng, 0.0, 1.0);
                (Some(one_side), place, 14.0 + 40.0 * spread * spread)
            }
            Finding::Pacemaker => {
                let side = if roll < 0.75 { Side::Left } else { Side::Right };
                (Some(side), Place::Whole, 48.0)
            }
            Finding::Line => match roll {
                r if r < 0.28 => (None, Place::Stomach, 0.0),
                r if r < 0.62 => (Some(side_of_line(rng)), Place::Jugular, 0.0),
                _ => (Some(side_of_line(rng)), Place::Subclavian, 0.0),
            },
            Finding::Haemorrhage => {
                let place = match roll {
                    r if r < 0.4 => Place::Subdural,
                    r if r < 0.7 => Place::BasalGanglia,
                    r if r < 0.85 => Place::Frontal,
                    _ => Place::Parietal,
                };
                let size = if place == Place::Subdural {
                    8.0 + 9.0 * conspicuity
                } else {
                    22.0 + 26.0 * conspicuity
                };
                (Some(one_side), place, size)
            }
            Finding::Infarct => {
                let place = if roll < 0.75 {
                    Place::MiddleCerebral
                } else {
                    Place::PosteriorCerebral
                };
                (Some(one_side), place, 45.0 + 30.0 * conspicuity)
            }
            Finding::Mass => {
                let place = if roll < 0.5 {
                    Place::Frontal
                } else {
                    Place::Parietal
                };
                (Some(one_side), place, 24.0 + 22.0 * conspicuity)
            }
        };
        Self {
            finding,
            side,
            place,
            size_mm,
            conspicuity,
            position,
        }
    }
}

fn side_of_line(rng: &mut impl Rng) -> Side {
    if chance(rng, 0.7) {
        Side::Right
    } else {
        Side::Left
    }
}
