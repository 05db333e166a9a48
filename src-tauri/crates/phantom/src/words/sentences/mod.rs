//! Single statements with known truth: captions and prompt material.

mod templates;

use rand::Rng;
use serde::{Deserialize, Serialize};

use self::templates::{negatives, templates};
use crate::random::{chance, pick};
use crate::spec::{Finding, Lesion, Place, Region, Side, Spec, View};

/// One true statement about an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sentence {
    /// The statement.
    pub text: String,
    /// What it is about; None for view, modality and organ.
    pub finding: Option<Finding>,
    /// True if it says that the finding is there.
    pub present: bool,
    /// The side it names.
    pub side: Option<Side>,
}

/// From this diameter on a lung nodule is called a mass (Fleischner Society glossary 2008).
pub const MASS_FROM_MM: f32 = 30.0;

/// A statement that the finding is there, naming what is given of side, place and size.
pub fn positive(
    finding: Finding,
    side: Option<Side>,
    place: Option<Place>,
    size_mm: Option<f32>,
    rng: &mut impl Rng,
) -> String {
    let place_words = place.and_then(|p| place_name(p, side));
    let is_mass = size_mm.is_some_and(|s| s >= MASS_FROM_MM);
    let usable: Vec<&str> = templates(finding, place, is_mass, side)
        .iter()
        .copied()
        .filter(|t| {
            (side.is_some() || !t.contains("{side}") && !t.contains("{the side}"))
                && (place_words.is_some() || !t.contains("{place}"))
                && (size_mm.is_some() || !t.contains("{size}"))
        })
        .collect();
    let template = pick(rng, &usable);
    fill(template, side, place_words.as_deref(), size_mm)
}

/// A statement about a lesion with its side and place.
pub fn positive_of(lesion: &Lesion, rng: &mut impl Rng) -> String {
    let size = (lesion.size_mm > 0.0).then_some(lesion.size_mm);
    positive(lesion.finding, lesion.side, Some(lesion.place), size, rng)
}

/// A statement that the finding is not there.
pub fn negative(finding: Finding, rng: &mut impl Rng) -> String {
    pick(rng, negatives(finding)).to_string()
}

/// A statement about view, modality and organ.
pub fn neutral(view: View, rng: &mut impl Rng) -> String {
    let options: &[&str] = match view {
        View::Pa => &[
            "PA chest radiograph.",
            "Posteroanterior chest x-ray.",
            "Frontal chest radiograph, PA projection.",
            "Upright PA view of the chest.",
            "Chest x-ray, PA view.",
            "A frontal radiograph of the chest.",
            "This is a chest x-ray.",
            "Plain film of the chest, PA projection.",
            "PA film of the chest.",
        ],
        View::Ap => &[
            "AP chest radiograph.",
            "Anteroposterior chest x-ray.",
            "Portable AP view of the chest.",
            "Frontal chest radiograph, AP projection.",
            "Chest x-ray, AP view.",
            "A frontal radiograph of the chest.",
            "This is a chest x-ray.",
            "Portable frontal film of the chest.",
            "AP film of the chest.",
        ],
        View::Lateral => &[
            "Lateral chest radiograph.",
            "Lateral view of the chest.",
            "Chest x-ray, lateral projection.",
            "Side view of the chest on plain film.",
            "A lateral chest x-ray.",
            "This is a lateral chest radiograph.",
            "Lateral film of the thorax.",
            "Chest radiograph in lateral projection.",
        ],
        View::Axial => &[
            "Non-contrast axial CT of the head.",
            "Axial CT image of the brain without contrast.",
            "Unenhanced head CT, axial slice.",
            "CT of the head in the axial plane.",
            "Head CT without contrast.",
            "This is a CT scan of the brain.",
            "Axial computed tomography of the head.",
            "Plain CT of the brain, axial section.",
        ],
    };
    pick(rng, options).to_string()
}

/// A statement that nothing is wrong, for a study without finding.
pub fn normal(region: Region, view: View, rng: &mut impl Rng) -> String {
    let options: &[&str] = match (region, view) {
        (Region::Chest, View::Lateral) => &[
            "Normal lateral chest radiograph.",
            "The lateral view is normal.",
            "No abnormality on the lateral film.",
            "Unremarkable lateral chest x-ray.",
            "Lateral chest radiograph without abnormality.",
        ],
        (Region::Chest, _) => &[
            "Normal chest radiograph.",
            "No acute cardiopulmonary abnormality.",
            "The lungs are clear and the heart is of normal size.",
            "Clear lungs, normal heart, no pleural abnormality.",
            "Unremarkable chest x-ray.",
            "No active disease in the chest.",
            "Chest radiograph within normal limits.",
            "Heart, lungs and pleura are normal.",
            "No evidence of cardiopulmonary disease.",
        ],
        (Region::Head, _) => &[
            "Normal head CT.",
            "No acute intracranial abnormality.",
            "Unremarkable non-contrast CT of the brain.",
            "The brain appears normal.",
            "No haemorrhage, infarct or mass.",
            "CT of the head within normal limits.",
            "No intracranial pathology is seen.",
            "Normal appearance of brain and ventricles.",
        ],
    };
    pick(rng, options).to_string()
}

impl Spec {
    /// True statements about one view: view and organ, every decidable finding that is there, and
    /// some that are not, in random order.
    pub fn sentences(&self, view: View, rng: &mut impl Rng) -> Vec<Sentence> {
        let mut out = vec![Sentence {
            text: neutral(view, rng),
            finding: None,
            present: true,
            side: None,
        }];
        if self.lesions.is_empty() {
            out.push(Sentence {
                text: normal(self.region, view, rng),
                finding: None,
                present: true,
                side: None,
            });
        }
        for &finding in self.possible() {
            if !finding.is_decidable_on(view) {
                continue;
            }
            match self.lesion(finding) {
                Some(lesion) => {
                    let text = if view == View::Lateral {
                        // A lateral film alone does not tell left from right.
                        positive(finding, None, None, None, rng)
                    } else {
                        positive_of(lesion, rng)
                    };
                    let side = if view == View::Lateral {
                        None
                    } else {
                        lesion.side
                    };
                    out.push(Sentence {
                        text,
                        finding: Some(finding),
                        present: true,
                        side,
                    });
                }
                None if chance(rng, 0.5) => {
                    out.push(Sentence {
                        text: negative(finding, rng),
                        finding: Some(finding),
                        present: false,
                        side: None,
                    });
                }
                None => {}
            }
        }
        for i in (1..out.len()).rev() {
            out.swap(i, rng.random_range(0..=i));
        }
        out
    }
}

/// "right upper lobe", "left lower zone", "left frontal lobe"; None where there is nothing to add.
pub fn place_name(place: Place, side: Option<Side>) -> Option<String> {
    let words = match place {
        Place::UpperLobe => "upper lobe",
        Place::MiddleLobe => "middle lobe",
        Place::LowerLobe => "lower lobe",
        Place::UpperZone => "upper zone",
        Place::MidZone => "mid zone",
        Place::LowerZone => "lower zone",
        Place::Apex => "apex",
        Place::Frontal => "frontal lobe",
        Place::Parietal => "parietal lobe",
        Place::BasalGanglia => "basal ganglia",
        Place::MiddleCerebral => "middle cerebral artery territory",
        Place::PosteriorCerebral => "posterior cerebral artery territory",
        _ => return None,
    };
    Some(side.map_or_else(|| words.to_string(), |s| format!("{} {words}", s.name())))
}

fn fill(template: &str, side: Option<Side>, place: Option<&str>, size_mm: Option<f32>) -> String {
    let mut text = template.to_string();
    if let Some(side) = side {
        text = text.replace("{side}", side.name());
        let on = match side {
            Side::Both => "on both sides".to_string(),
            s => format!("on the {}", s.name()),
        };
        text = text.replace("{on side}", &on);
    }
    if let Some(place) = place {
        text = text.replace("{place}", place);
    }
    if let Some(size) = size_mm {
        text = text.replace("{size}", &size_words(size));
    }
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().collect::<String>() + chars.as_str(),
        None => text,
    }
}

/// "18 mm" or "3.4 cm".
pub fn size_words(size_mm: f32) -> String {
    if size_mm < 30.0 {
        format!("{} mm", size_mm.round())
    } else {
        format!("{:.1} cm", size_mm / 10.0)
    }
}
