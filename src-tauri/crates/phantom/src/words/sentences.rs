//! Single statements with known truth: captions and prompt material.

use rand::Rng;
use serde::{Deserialize, Serialize};

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

fn templates(
    finding: Finding,
    place: Option<Place>,
    is_mass: bool,
    side: Option<Side>,
) -> &'static [&'static str] {
    match finding {
        Finding::Cardiomegaly => &[
            "cardiomegaly.",
            "the heart is enlarged.",
            "the cardiac silhouette is enlarged.",
            "enlarged heart.",
            "the cardiothoracic ratio is increased.",
            "there is cardiac enlargement.",
            "findings of cardiomegaly.",
            "the heart size is increased.",
            "enlargement of the cardiac silhouette.",
            "widened cardiac shadow consistent with cardiomegaly.",
        ],
        Finding::PleuralEffusion if side == Some(Side::Both) => &[
            "bilateral pleural effusions.",
            "there are bilateral pleural effusions.",
            "pleural effusions on both sides.",
            "blunting of both costophrenic angles due to effusions.",
            "fluid in both pleural spaces.",
            "both hemidiaphragms are obscured by pleural fluid.",
            "bilateral pleural fluid with meniscus.",
            "pleural effusion, bilateral.",
        ],
        Finding::PleuralEffusion => &[
            "{side} pleural effusion.",
            "there is a {side} pleural effusion.",
            "pleural effusion {on side}.",
            "blunting of the {side} costophrenic angle by pleural fluid.",
            "fluid layers in the {side} pleural space.",
            "the {side} hemidiaphragm is obscured by pleural effusion.",
            "{side}-sided pleural effusion with meniscus.",
            "homogeneous opacity at the {side} base consistent with effusion.",
            "pleural effusion.",
            "there is a pleural effusion.",
            "pleural fluid is present.",
            "costophrenic angle blunted by pleural effusion.",
        ],
        Finding::Pneumothorax => &[
            "{side} pneumothorax.",
            "there is a {side} pneumothorax.",
            "{side} apical pneumothorax.",
            "a visible pleural line {on side} without lung markings beyond it.",
            "pneumothorax {on side}.",
            "{side}-sided pneumothorax with partial collapse of the lung.",
            "free air in the {side} pleural space.",
            "absent lung markings at the {side} apex, pneumothorax.",
            "pneumothorax.",
            "there is a pneumothorax.",
        ],
        Finding::Consolidation => &[
            "{place} consolidation.",
            "consolidation in the {place}.",
            "airspace opacity in the {place}.",
            "patchy opacity in the {place} consistent with pneumonia.",
            "there is consolidation of the {place}.",
            "{side} lung consolidation.",
            "{side}-sided airspace consolidation.",
            "focal airspace disease in the {place}.",
            "ill-defined opacity in the {place}, consolidation.",
            "pulmonary consolidation.",
            "there is a focal consolidation.",
            "airspace consolidation is present.",
        ],
        Finding::Nodule if is_mass => &[
            "{size} mass in the {place}.",
            "there is a mass in the {place}.",
            "{side} lung mass.",
            "large rounded mass in the {side} lung.",
            "a {size} rounded opacity in the {place}, lung mass.",
            "{place} mass.",
            "pulmonary mass {on side}.",
            "a well-defined mass projects over the {place}.",
            "lung mass.",
            "there is a pulmonary mass.",
        ],
        Finding::Nodule => &[
            "{size} nodule in the {place}.",
            "there is a nodule in the {place}.",
            "{side} lung nodule.",
            "solitary pulmonary nodule in the {side} lung.",
            "a {size} rounded opacity in the {place}, nodule.",
            "{place} nodule.",
            "pulmonary nodule {on side}.",
            "a well-defined nodule projects over the {place}.",
            "pulmonary nodule.",
            "there is a solitary pulmonary nodule.",
        ],
        Finding::Pacemaker => &[
            "{side}-sided pacemaker.",
            "a cardiac pacemaker is in place.",
            "{side} chest wall pacemaker with lead to the right ventricle.",
            "there is a pacemaker.",
            "pacemaker generator over the {side} upper chest.",
            "implanted cardiac device in the {side} chest wall.",
            "pacemaker with transvenous lead.",
            "{side} pectoral pacemaker.",
            "a pacemaker projects over the chest.",
        ],
        Finding::Line if place == Some(Place::Stomach) => &[
            "nasogastric tube in place.",
            "a nasogastric tube ends below the diaphragm.",
            "NG tube with its tip in the stomach.",
            "there is a nasogastric tube.",
            "enteric tube courses below the diaphragm.",
            "a feeding tube is present.",
            "nasogastric tube tip projects over the stomach.",
            "gastric tube in situ.",
        ],
        Finding::Line if place.is_some() => &[
            "{side} central venous catheter.",
            "a {side} central line ends in the superior vena cava.",
            "central venous catheter from the {side}.",
            "there is a {side}-sided central line.",
            "central line tip projects over the superior vena cava.",
            "a central venous catheter is in place.",
            "{side} central venous line with tip in the SVC.",
            "venous catheter inserted from the {side}.",
        ],
        Finding::Line => &[
            "a line or tube is in place.",
            "there is an indwelling line or tube.",
            "catheter or tube present.",
            "support line in place.",
            "a line is present.",
            "an indwelling catheter or tube is seen.",
            "lines and tubes: one in place.",
            "a catheter or tube projects over the chest.",
        ],
        Finding::Haemorrhage if place == Some(Place::Subdural) => &[
            "{side} subdural haemorrhage.",
            "there is a {side} subdural hematoma.",
            "crescent-shaped hyperdense collection over the {side} hemisphere.",
            "acute subdural haemorrhage {on side}.",
            "{side}-sided acute subdural haematoma.",
            "extra-axial haemorrhage over the {side} convexity.",
            "hyperdense subdural blood {on side}.",
            "intracranial haemorrhage, {side} subdural.",
        ],
        Finding::Haemorrhage if place.is_some() => &[
            "intracerebral haemorrhage in the {place}.",
            "acute hemorrhage in the {place}.",
            "{side} intraparenchymal haemorrhage.",
            "hyperdense haematoma in the {place}.",
            "there is acute bleeding in the {place}.",
            "{place} haemorrhage.",
            "an intracranial haemorrhage {on side}.",
            "acute parenchymal hematoma of the {place}.",
        ],
        Finding::Haemorrhage => &[
            "intracranial haemorrhage.",
            "there is acute intracranial hemorrhage.",
            "{side} intracranial haemorrhage.",
            "acute intracranial bleeding {on side}.",
            "hyperdense blood within the skull.",
            "acute haemorrhage in the head.",
            "intracranial bleed.",
            "{side}-sided intracranial hemorrhage.",
        ],
        Finding::Infarct => &[
            "infarct in the {place}.",
            "acute infarction of the {place}.",
            "{side} cerebral infarct.",
            "hypodense area in the {place}, infarction.",
            "ischemic stroke in the {place}.",
            "loss of grey-white differentiation in the {place}.",
            "there is a {side}-sided infarct.",
            "wedge-shaped hypodensity {on side} consistent with infarct.",
            "cerebral infarction.",
            "ischaemic infarct.",
        ],
        Finding::Mass => &[
            "{place} mass with surrounding oedema.",
            "there is a mass in the {place} with midline shift.",
            "{side} brain mass with vasogenic edema.",
            "intracranial mass {on side} with mass effect.",
            "{side} intra-axial tumour with oedema.",
            "space-occupying lesion in the {place}.",
            "brain tumor in the {place} with surrounding edema.",
            "{side} cerebral mass.",
            "intracranial mass.",
            "brain mass with oedema.",
        ],
    }
}

fn negatives(finding: Finding) -> &'static [&'static str] {
    match finding {
        Finding::Cardiomegaly => &[
            "The heart is normal in size.",
            "No cardiomegaly.",
            "The cardiac silhouette is not enlarged.",
            "Heart size within normal limits.",
            "Normal heart size.",
            "The cardiothoracic ratio is normal.",
            "The heart is not enlarged.",
            "Cardiac silhouette of normal size.",
        ],
        Finding::PleuralEffusion => &[
            "No pleural effusion.",
            "The costophrenic angles are sharp.",
            "There is no pleural effusion.",
            "No evidence of pleural fluid.",
            "Both costophrenic angles are clear.",
            "The pleural spaces are free of fluid.",
            "No effusion is seen.",
            "Without pleural effusion.",
        ],
        Finding::Pneumothorax => &[
            "No pneumothorax.",
            "There is no pneumothorax.",
            "No evidence of pneumothorax.",
            "No pneumothorax is seen.",
            "No pleural air.",
            "No pleural line and no pneumothorax.",
            "Pneumothorax is absent.",
            "Without pneumothorax.",
        ],
        Finding::Consolidation => &[
            "No consolidation.",
            "There is no focal consolidation.",
            "No airspace consolidation.",
            "No focal airspace disease.",
            "No evidence of pneumonia.",
            "The lungs are free of consolidation.",
            "No airspace opacity.",
            "Without consolidation.",
        ],
        Finding::Nodule => &[
            "No pulmonary nodule or mass.",
            "No lung mass.",
            "No nodule is seen.",
            "There is no pulmonary nodule.",
            "No suspicious nodule or mass in the lungs.",
            "No focal lung lesion of nodular shape.",
            "No evidence of a lung nodule or mass.",
            "Without pulmonary nodule.",
        ],
        Finding::Pacemaker => &[
            "No pacemaker.",
            "There is no cardiac pacemaker.",
            "No implanted cardiac device.",
            "No pacemaker is seen.",
            "Pacemaker is absent.",
            "No pacing device over the chest.",
            "Without pacemaker.",
            "No pacemaker generator or lead.",
        ],
        Finding::Line => &[
            "No central line or nasogastric tube.",
            "No lines or tubes.",
            "No support lines are seen.",
            "There is no indwelling line or tube.",
            "No central venous catheter or gastric tube.",
            "Lines and tubes: none.",
            "Without lines or tubes.",
            "No catheter or tube projects over the chest.",
        ],
        Finding::Haemorrhage => &[
            "No intracranial haemorrhage.",
            "No acute hemorrhage.",
            "There is no intracranial bleeding.",
            "No evidence of haemorrhage.",
            "No hyperdense blood.",
            "No acute intracranial hemorrhage is seen.",
            "No intra- or extra-axial haemorrhage.",
            "Without haemorrhage.",
        ],
        Finding::Infarct => &[
            "No infarct.",
            "No evidence of acute infarction.",
            "There is no territorial infarct.",
            "Grey-white differentiation is preserved.",
            "No ischemic stroke.",
            "No established infarction.",
            "No hypodensity to suggest infarct.",
            "Without infarct.",
        ],
        Finding::Mass => &[
            "No intracranial mass.",
            "No mass lesion.",
            "There is no brain tumour.",
            "No space-occupying lesion.",
            "No evidence of a brain mass.",
            "No tumor is seen.",
            "No intra-axial mass.",
            "Without intracranial mass.",
        ],
    }
}
