//! Reports in radiologists' prose; each site has its own voice.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::head;
use crate::random::{chance, pick};
use crate::spec::{Finding, Lesion, Place, Region, Side, Site, Spec, View};
use crate::words::sentences::{self, MASS_FROM_MM, size_words};

/// A report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was done.
    pub technique: String,
    /// What is seen.
    pub findings: String,
    /// What it means.
    pub impression: String,
}

impl Report {
    /// The whole report as text.
    pub fn text(&self) -> String {
        format!(
            "{} FINDINGS: {} IMPRESSION: {}",
            self.technique, self.findings, self.impression
        )
    }
}

impl Spec {
    /// A report that mentions every finding of the study and no other as present.
    pub fn report(&self, rng: &mut impl Rng) -> Report {
        let technique = self.technique(rng);
        let mut findings: Vec<String> = Vec::new();
        let mut impression: Vec<String> = Vec::new();
        for &finding in self.possible() {
            match self.lesion(finding) {
                Some(lesion) => {
                    findings.push(match self.site {
                        Site::A => sentences::positive_of(lesion, rng),
                        Site::B => terse(lesion, rng),
                    });
                    impression.push(conclusion(lesion, self.site));
                }
                None if chance(rng, if self.site == Site::A { 0.85 } else { 0.55 }) => {
                    findings.push(match self.site {
                        Site::A => sentences::negative(finding, rng),
                        Site::B => terse_negative(finding, rng).to_string(),
                    });
                }
                None => {}
            }
        }
        if self.region == Region::Head {
            findings.extend(self.midline(rng));
        }
        if findings.is_empty() {
            findings.push(sentences::normal(self.region, self.views[0], rng));
        }
        // Positive findings first as often as in anatomical order.
        if chance(rng, 0.5) {
            let shift = rng.random_range(0..findings.len());
            findings.rotate_left(shift);
        }
        let impression = if impression.is_empty() {
            match self.site {
                Site::A => sentences::normal(self.region, self.views[0], rng),
                Site::B => pick(
                    rng,
                    &["NAD.", "Normal.", "No acute findings.", "Nil acute."],
                )
                .to_string(),
            }
        } else if impression.len() == 1 || self.site == Site::B {
            impression.join(" ")
        } else {
            impression
                .iter()
                .enumerate()
                .map(|(i, s)| format!("{}. {s}", i + 1))
                .collect::<Vec<_>>()
                .join(" ")
        };
        Report {
            technique,
            findings: findings.join(" "),
            impression,
        }
    }

    fn technique(&self, rng: &mut impl Rng) -> String {
        match (self.region, self.site) {
            (Region::Chest, Site::A) => {
                let views = match self.views.as_slice() {
                    [View::Ap] => "AP radiograph of the chest.",
                    [View::Pa] => "PA radiograph of the chest.",
                    [View::Lateral] => "Lateral radiograph of the chest.",
                    _ => "PA and lateral radiographs of the chest.",
                };
                views.to_string()
            }
            (Region::Chest, Site::B) => {
                let views = match self.views.as_slice() {
                    [View::Ap] => "CXR AP portable.",
                    [View::Pa] => "CXR PA.",
                    [View::Lateral] => "CXR lat.",
                    _ => "CXR PA + lat.",
                };
                views.to_string()
            }
            (Region::Head, Site::A) => pick(
                rng,
                &[
                    "CT of the head without contrast.",
                    "Non-contrast CT of the brain.",
                    "Axial CT of the head without intravenous contrast.",
                ],
            )
            .to_string(),
            (Region::Head, Site::B) => {
                pick(rng, &["CTB non-con.", "NCCT head.", "Plain CT head."]).to_string()
            }
        }
    }

    fn midline(&self, rng: &mut impl Rng) -> Option<String> {
        let shift = head::midline_shift_mm(self);
        if shift >= 2.0 {
            let side = self.lesions.first()?.side?;
            let towards = if side == Side::Left { "right" } else { "left" };
            return Some(match self.site {
                Site::A => format!("Midline shift of {} mm to the {towards}.", shift.round()),
                Site::B => format!(
                    "MLS {} mm to {}.",
                    shift.round(),
                    &towards[..1].to_uppercase()
                ),
            });
        }
        (shift < 0.5).then(|| match self.site {
            Site::A => pick(
                rng,
                &[
                    "No midline shift.",
                    "The midline structures are central.",
                    "The midline is not shifted.",
                ],
            )
            .to_string(),
            Site::B => pick(rng, &["No MLS.", "Midline ok."]).to_string(),
        })
    }
}

/// The line of the impression.
fn conclusion(lesion: &Lesion, site: Site) -> String {
    let side = lesion.side.map_or("", Side::name);
    let place = sentences::place_name(lesion.place, lesion.side).unwrap_or_default();
    let text = match (lesion.finding, site) {
        (Finding::Cardiomegaly, Site::A) => "Cardiomegaly.".to_string(),
        (Finding::Cardiomegaly, Site::B) => "Cardiomegaly, CTR > 0.5.".to_string(),
        (Finding::PleuralEffusion, Site::A) if lesion.side == Some(Side::Both) => {
            "Bilateral pleural effusions.".to_string()
        }
        (Finding::PleuralEffusion, _) => format!("{side} pleural effusion."),
        (Finding::Pneumothorax, _) => format!("{side} pneumothorax."),
        (Finding::Consolidation, Site::A) => {
            format!("{place} consolidation, in keeping with pneumonia.")
        }
        (Finding::Consolidation, Site::B) => format!("{} consolidation.", short_place(lesion)),
        (Finding::Nodule, Site::A) => {
            let noun = if lesion.size_mm >= MASS_FROM_MM {
                "mass"
            } else {
                "nodule"
            };
            format!(
                "{} {place} {noun}; CT is recommended.",
                size_words(lesion.size_mm)
            )
        }
        (Finding::Nodule, Site::B) => {
            let noun = if lesion.size_mm >= MASS_FROM_MM {
                "mass"
            } else {
                "nodule"
            };
            format!("{} {noun}, ?CT.", short_place(lesion))
        }
        (Finding::Pacemaker, _) => "pacemaker in place.".to_string(),
        (Finding::Line, _) if lesion.place == Place::Stomach => {
            "nasogastric tube in the stomach.".to_string()
        }
        (Finding::Line, _) => format!("{side} central venous catheter in place."),
        (Finding::Haemorrhage, _) if lesion.place == Place::Subdural => {
            format!("acute {side} subdural haemorrhage.")
        }
        (Finding::Haemorrhage, _) => format!("acute intracerebral haemorrhage, {place}."),
        (Finding::Infarct, _) => format!("infarct of the {place}."),
        (Finding::Mass, _) => format!("{place} mass with oedema and mass effect."),
    };
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| {
        c.to_uppercase().collect::<String>() + chars.as_str()
    })
}

fn short_side(side: Option<Side>) -> &'static str {
    match side {
        Some(Side::Left) => "L",
        Some(Side::Right) => "R",
        Some(Side::Both) => "bilat",
        None => "",
    }
}

/// "RUL", "LLL", "R mid zone".
fn short_place(lesion: &Lesion) -> String {
    let side = short_side(lesion.side);
    match lesion.place {
        Place::UpperLobe => format!("{side}UL"),
        Place::MiddleLobe => format!("{side}ML"),
        Place::LowerLobe => format!("{side}LL"),
        Place::UpperZone => format!("{side} upper zone"),
        Place::MidZone => format!("{side} mid zone"),
        Place::LowerZone => format!("{side} lower zone"),
        Place::Frontal => format!("{side} frontal"),
        Place::Parietal => format!("{side} parietal"),
        Place::BasalGanglia => format!("{side} basal ganglia"),
        Place::MiddleCerebral => format!("{side} MCA"),
        Place::PosteriorCerebral => format!("{side} PCA"),
        _ => side.to_string(),
    }
}

fn terse(lesion: &Lesion, rng: &mut impl Rng) -> String {
    let side = short_side(lesion.side);
    let place = short_place(lesion);
    let options: Vec<String> = match lesion.finding {
        Finding::Cardiomegaly => vec![
            "Heart enlarged.".into(),
            "CTR increased, cardiomegaly.".into(),
            "Cardiomegaly.".into(),
        ],
        Finding::PleuralEffusion => vec![
            format!("{side} pleural effusion."),
            format!("{side} effusion, CPA blunted."),
            format!("Pleural fluid {side}."),
        ],
        Finding::Pneumothorax => vec![
            format!("{side} PTX."),
            format!("{side} apical pneumothorax."),
            format!("Pneumothorax {side}, pleural edge seen."),
        ],
        Finding::Consolidation => vec![
            format!("{place} consolidation."),
            format!("{place} airspace opacity, consolidation."),
            format!("Consolidation {place}, ?pneumonia."),
        ],
        Finding::Nodule => {
            let noun = if lesion.size_mm >= MASS_FROM_MM {
                "mass"
            } else {
                "nodule"
            };
            vec![
                format!("{place} {noun} {}.", size_words(lesion.size_mm)),
                format!("{} {noun} {place}.", size_words(lesion.size_mm)),
            ]
        }
        Finding::Pacemaker => vec![
            format!("{side} pacemaker, PPM lead in RV."),
            format!("Pacemaker {side}."),
            "PPM (pacemaker) in situ.".into(),
        ],
        Finding::Line if lesion.place == Place::Stomach => vec![
            "NGT (nasogastric tube) tip in stomach.".into(),
            "Nasogastric tube in situ.".into(),
        ],
        Finding::Line => vec![
            format!("{side} CVC, central line tip in SVC."),
            format!("{side} central line ok."),
        ],
        Finding::Haemorrhage if lesion.place == Place::Subdural => vec![
            format!("{side} SDH, subdural haemorrhage."),
            format!("Acute {side} subdural haemorrhage."),
        ],
        Finding::Haemorrhage => vec![
            format!("{place} ICH, acute haemorrhage."),
            format!("Haemorrhage {place}."),
        ],
        Finding::Infarct => vec![
            format!("{place} infarct."),
            format!("Low density {place}, infarct."),
        ],
        Finding::Mass => vec![
            format!("{place} mass + oedema."),
            format!("{place} SOL, mass with oedema."),
        ],
    };
    options[rng.random_range(0..options.len())].clone()
}

fn terse_negative(finding: Finding, rng: &mut impl Rng) -> &'static str {
    let options: &[&'static str] = match finding {
        Finding::Cardiomegaly => &["Heart size normal.", "CTR normal.", "Heart not enlarged."],
        Finding::PleuralEffusion => &["No effusion.", "CPAs clear.", "No pleural fluid."],
        Finding::Pneumothorax => &["No PTX.", "No pneumothorax."],
        Finding::Consolidation => &["No consolidation.", "No airspace disease."],
        Finding::Nodule => &["No nodule/mass.", "No nodule or mass."],
        Finding::Pacemaker => &["No PPM.", "No pacemaker."],
        Finding::Line => &["No lines/tubes.", "No CVC/NGT."],
        Finding::Haemorrhage => &["No bleed.", "No ICH.", "No haemorrhage."],
        Finding::Infarct => &["No infarct.", "G/W differentiation preserved."],
        Finding::Mass => &["No mass.", "No SOL."],
    };
    options[rng.random_range(0..options.len())]
}
