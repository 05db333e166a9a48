//! Random patients and lesions.

use rand::Rng;

use super::{Finding, Lesion, Patient, Place, Sex, Side};
use crate::random::{between, chance};

impl Patient {
    pub(super) fn sample(rng: &mut impl Rng) -> Self {
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
    pub(super) fn sample(finding: Finding, rng: &mut impl Rng) -> Self {
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
