//! The seeded ground truth of one study.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::random::{Purpose, between, chance, stream};

mod sample;
mod terms;

pub use terms::{Finding, Place, Region, Sex, Side, Site, View};

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
