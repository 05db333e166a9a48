//! Question–answer pairs in the types of VQA-RAD (Lau et al. 2018), answerable from one view.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::head;
use crate::random::{chance, pick};
use crate::spec::{Finding, Lesion, Place, Region, Side, Spec, View};
use crate::words::sentences::{MASS_FROM_MM, place_name};

/// Whether an answer is a choice or free text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AnswerType {
    /// Yes, no, or one of the choices that the question names.
    Closed,
    /// Free text.
    Open,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum QuestionType {
    /// Presence of an object or finding.
    Pres,
    /// Abnormality.
    Abn,
    /// Position.
    Pos,
    /// Size.
    Size,
    /// Imaging modality.
    Modality,
    /// Plane or projection.
    Plane,
    /// Organ or organ system.
    Organ,
    /// Another attribute.
    Attrib,
    /// Counting.
    Count,
    /// Anything else.
    Other,
}

/// A question and its true answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QaPair {
    /// The question.
    pub question: String,
    /// The answer, lower case.
    pub answer: String,
    /// Closed or open.
    pub answer_type: AnswerType,
    /// What the question is about.
    pub question_type: QuestionType,
    /// "CHEST" or "HEAD".
    pub organ: String,
    /// The view that it is asked about.
    pub view: View,
    /// The finding that it is about, if one.
    pub finding: Option<Finding>,
}

/// Collects pairs of one view.
struct Pool {
    organ: &'static str,
    view: View,
    pairs: Vec<QaPair>,
}

impl Pool {
    fn push(
        &mut self,
        kind: QuestionType,
        answer_type: AnswerType,
        finding: Option<Finding>,
        question: impl Into<String>,
        answer: impl Into<String>,
    ) {
        self.pairs.push(QaPair {
            question: question.into(),
            answer: answer.into(),
            answer_type,
            question_type: kind,
            organ: self.organ.to_string(),
            view: self.view,
            finding,
        });
    }

    fn closed(
        &mut self,
        kind: QuestionType,
        finding: Option<Finding>,
        question: impl Into<String>,
        yes: bool,
    ) {
        self.push(
            kind,
            AnswerType::Closed,
            finding,
            question,
            if yes { "yes" } else { "no" },
        );
    }

    fn open(
        &mut self,
        kind: QuestionType,
        finding: Option<Finding>,
        question: impl Into<String>,
        answer: impl Into<String>,
    ) {
        self.push(kind, AnswerType::Open, finding, question, answer);
    }
}

impl Spec {
    /// Questions of every view of the study, in order of views.
    pub fn questions(&self, rng: &mut impl Rng) -> Vec<QaPair> {
        self.views
            .iter()
            .flat_map(|&view| self.questions_on(view, rng))
            .collect()
    }

    /// Questions that one view answers, as many with "yes" as with "no".
    ///
    /// For a head study they hold on [`head::key_slice`] and on every slice that shows the lesion.
    pub fn questions_on(&self, view: View, rng: &mut impl Rng) -> Vec<QaPair> {
        let organ = if self.region == Region::Chest {
            "CHEST"
        } else {
            "HEAD"
        };
        let mut pool = Pool {
            organ,
            view,
            pairs: Vec::new(),
        };
        self.ask_presence(&mut pool, rng);
        self.ask_normality(&mut pool, rng);
        self.ask_technique(&mut pool, rng);
        if view != View::Lateral {
            self.ask_position(&mut pool, rng);
            self.ask_size(&mut pool, rng);
        }
        let mut pairs = pool.pairs;
        for i in (1..pairs.len()).rev() {
            pairs.swap(i, rng.random_range(0..=i));
        }
        let count = |word: &str| pairs.iter().filter(|p| p.answer == word).count();
        let keep = count("yes").min(count("no"));
        let (mut yes, mut no) = (0, 0);
        pairs.retain(|p| match p.answer.as_str() {
            "yes" => {
                yes += 1;
                yes <= keep
            }
            "no" => {
                no += 1;
                no <= keep
            }
            _ => true,
        });
        pairs
    }

    fn ask_presence(&self, pool: &mut Pool, rng: &mut impl Rng) {
        for &finding in self.possible() {
            if !finding.is_decidable_on(pool.view) {
                continue;
            }
            let here = self.has(finding);
            // A present finding is asked for more often, so that yes and no balance.
            let times = if here {
                2
            } else {
                usize::from(chance(rng, 0.5))
            };
            for _ in 0..times {
                let kind = if finding == Finding::Cardiomegaly {
                    QuestionType::Size
                } else {
                    QuestionType::Pres
                };
                pool.closed(kind, Some(finding), pick(rng, presence(finding)), here);
            }
            if finding == Finding::Cardiomegaly && chance(rng, 0.5) {
                let question = pick(
                    rng,
                    &[
                        "Is the heart of normal size?",
                        "Is the heart size normal?",
                        "Is the cardiac silhouette of normal size?",
                        "Is the cardiothoracic ratio normal?",
                    ],
                );
                pool.closed(QuestionType::Size, Some(finding), question, !here);
            }
        }
        if self.region == Region::Head {
            let shift = head::midline_shift_mm(self);
            if !(0.5..4.0).contains(&shift) {
                let question = pick(
                    rng,
                    &[
                        "Is there midline shift?",
                        "Is there a midline shift?",
                        "Are the midline structures shifted?",
                        "Is midline shift present?",
                    ],
                );
                pool.closed(QuestionType::Pres, None, question, shift >= 4.0);
            }
        }
    }

    fn ask_normality(&self, pool: &mut Pool, rng: &mut impl Rng) {
        let shown: Vec<&Lesion> = self
            .lesions
            .iter()
            .filter(|l| l.finding.is_decidable_on(pool.view))
            .collect();
        let disease: Vec<&&Lesion> = shown.iter().filter(|l| !is_device(l.finding)).collect();
        let normal = self.lesions.is_empty();
        if normal || !disease.is_empty() {
            for _ in 0..2 {
                if chance(rng, 0.5) {
                    let question = pick(
                        rng,
                        &[
                            "Is this image normal?",
                            "Is this a normal study?",
                            "Does this image look normal?",
                            "Is this a normal image?",
                            "Is the study normal?",
                        ],
                    );
                    pool.closed(QuestionType::Abn, None, question, normal);
                } else {
                    let question = pick(
                        rng,
                        &[
                            "Is there any abnormality?",
                            "Is the image abnormal?",
                            "Is there an abnormality in this image?",
                            "Are there abnormal findings?",
                            "Is anything abnormal in this image?",
                        ],
                    );
                    pool.closed(QuestionType::Abn, None, question, !normal);
                }
            }
        }
        if self.region == Region::Chest
            && pool.view.is_frontal()
            && (normal
                || shown
                    .iter()
                    .any(|l| l.finding == Finding::Consolidation || l.finding == Finding::Nodule))
        {
            let question = pick(
                rng,
                &[
                    "Are the lungs clear?",
                    "Are the lungs normal appearing?",
                    "Are both lungs clear?",
                    "Do the lungs look normal?",
                ],
            );
            pool.closed(QuestionType::Abn, None, question, normal);
        }
        if let [only] = disease.as_slice() {
            let question = pick(
                rng,
                &[
                    "What is the abnormality?",
                    "What abnormality is seen?",
                    "What is abnormal in this image?",
                    "What pathology is shown?",
                    "What is the main finding?",
                    "What does the image show?",
                ],
            );
            pool.open(
                QuestionType::Abn,
                Some(only.finding),
                question,
                short_name(only),
            );
        }
        for lesion in shown.iter().filter(|l| is_device(l.finding)) {
            if shown.iter().filter(|l| is_device(l.finding)).count() == 1 {
                let question = pick(
                    rng,
                    &[
                        "What device is seen?",
                        "What foreign object is present?",
                        "Which device is visible in the image?",
                        "What kind of device does the patient have?",
                    ],
                );
                pool.open(
                    QuestionType::Pres,
                    Some(lesion.finding),
                    question,
                    short_name(lesion),
                );
            }
        }
    }

    fn ask_technique(&self, pool: &mut Pool, rng: &mut impl Rng) {
        let chest = self.region == Region::Chest;
        let modality = if chest { "x-ray" } else { "ct" };
        if chance(rng, 0.5) {
            let question = pick(
                rng,
                &[
                    "What is the imaging modality?",
                    "What type of imaging is this?",
                    "What modality was used?",
                    "How was this image taken?",
                    "What kind of scan is this?",
                    "Which imaging technique was used?",
                ],
            );
            pool.open(QuestionType::Modality, None, question, modality);
        }
        for _ in 0..2 {
            let asked = pick(rng, &["x-ray", "CT", "MRI"]);
            let article = if *asked == *"x-ray" || *asked == *"MRI" {
                "an"
            } else {
                "a"
            };
            let question = match rng.random_range(0..3) {
                0 => format!("Is this {article} {asked}?"),
                1 => format!("Is this image {article} {asked}?"),
                _ => format!("Was this taken with {asked}?"),
            };
            pool.closed(
                QuestionType::Modality,
                None,
                question,
                asked.to_lowercase() == modality,
            );
        }
        if chance(rng, 0.5) {
            let question = pick(
                rng,
                &[
                    "What organ system is shown?",
                    "What part of the body is imaged?",
                    "Which body region is shown?",
                    "What is pictured in this image?",
                    "What body part is this?",
                ],
            );
            pool.open(
                QuestionType::Organ,
                None,
                question,
                if chest { "chest" } else { "head" },
            );
        }
        if chance(rng, 0.5) {
            let (word, is) = pick_pair(
                rng,
                &[("chest", chest), ("head", !chest), ("abdomen", false)],
            );
            let question = match rng.random_range(0..2) {
                0 => format!("Is this an image of the {word}?"),
                _ => format!("Is the {word} shown in this image?"),
            };
            pool.closed(QuestionType::Organ, None, question, is);
        }
        match pool.view {
            View::Axial => {
                if chance(rng, 0.6) {
                    pool.open(
                        QuestionType::Plane,
                        None,
                        *pick_ref(
                            rng,
                            &[
                                "What plane is this?",
                                "In which plane is the image?",
                                "What is the plane of this image?",
                                "Which plane is shown?",
                            ],
                        ),
                        "axial",
                    );
                }
                let (word, is) = pick_pair(
                    rng,
                    &[
                        ("axial", true),
                        ("coronal", false),
                        ("sagittal", false),
                        ("axial", true),
                    ],
                );
                pool.closed(
                    QuestionType::Plane,
                    None,
                    format!(
                        "Is this {} {word} image?",
                        if word == "axial" { "an" } else { "a" }
                    ),
                    is,
                );
            }
            view => {
                if view != View::Ap && chance(rng, 0.6) {
                    let question = pick(
                        rng,
                        &[
                            "What view is this?",
                            "What is the projection?",
                            "Which view is shown?",
                            "What is the plane of this image?",
                        ],
                    );
                    pool.open(
                        QuestionType::Plane,
                        None,
                        question,
                        if view == View::Pa { "pa" } else { "lateral" },
                    );
                }
                let frontal = view.is_frontal();
                if chance(rng, 0.5) {
                    pool.closed(
                        QuestionType::Plane,
                        None,
                        pick(
                            rng,
                            &[
                                "Is this a lateral view?",
                                "Is this a lateral film?",
                                "Is the image taken from the side?",
                            ],
                        ),
                        !frontal,
                    );
                } else {
                    pool.closed(
                        QuestionType::Plane,
                        None,
                        pick(
                            rng,
                            &[
                                "Is this a frontal view?",
                                "Is this a frontal film?",
                                "Is this a frontal chest x-ray?",
                            ],
                        ),
                        frontal,
                    );
                }
                if view != View::Ap && chance(rng, 0.4) {
                    pool.closed(
                        QuestionType::Plane,
                        None,
                        pick(
                            rng,
                            &[
                                "Is this a PA film?",
                                "Is this a PA view?",
                                "Was this taken in PA position?",
                            ],
                        ),
                        view == View::Pa,
                    );
                }
            }
        }
    }

    fn ask_position(&self, pool: &mut Pool, rng: &mut impl Rng) {
        for lesion in &self.lesions {
            let finding = lesion.finding;
            let Some(side) = lesion.side else { continue };
            let noun = noun(lesion);
            if chance(rng, 0.8) {
                let question = match rng.random_range(0..4) {
                    0 => format!("On which side is the {noun}?"),
                    1 => format!("Which side is the {noun} on?"),
                    2 => format!("What side of the patient is the {noun} on?"),
                    _ => format!("Which side shows the {noun}?"),
                };
                pool.open(QuestionType::Pos, Some(finding), question, side.name());
            }
            if side != Side::Both && chance(rng, 0.6) {
                let question = match rng.random_range(0..3) {
                    0 => format!("Is the {noun} on the left or right?"),
                    1 => format!("Is the {noun} on the right or the left side?"),
                    _ => format!("Left or right {noun}?"),
                };
                pool.push(
                    QuestionType::Pos,
                    AnswerType::Closed,
                    Some(finding),
                    question,
                    side.name(),
                );
            }
            if side != Side::Both && chance(rng, 0.7) {
                let asked = if chance(rng, 0.5) {
                    Side::Left
                } else {
                    Side::Right
                };
                let question = match rng.random_range(0..3) {
                    0 => format!("Is the {noun} on the {} side?", asked.name()),
                    1 => format!("Is there a {} {noun}?", asked.name()),
                    _ => format!("Is the {noun} located on the patient's {}?", asked.name()),
                };
                pool.closed(QuestionType::Pos, Some(finding), question, asked == side);
            }
            if let Some(place) = place_name(lesion.place, Some(side))
                && lesion.place != Place::Apex
            {
                let question = match rng.random_range(0..4) {
                    0 => format!("Where is the {noun}?"),
                    1 => format!("Where is the {noun} located?"),
                    2 if matches!(
                        lesion.place,
                        Place::UpperLobe | Place::MiddleLobe | Place::LowerLobe
                    ) =>
                    {
                        format!("Which lobe shows the {noun}?")
                    }
                    _ => format!("What is the location of the {noun}?"),
                };
                pool.open(QuestionType::Pos, Some(finding), question, place);
            }
        }
    }

    fn ask_size(&self, pool: &mut Pool, rng: &mut impl Rng) {
        if let Some(lesion) = self.lesion(Finding::Nodule) {
            let (small, large) = (lesion.size_mm < 24.0, lesion.size_mm > 36.0);
            if small || large {
                let question = pick(
                    rng,
                    &[
                        "Is the lung lesion larger than 3 cm?",
                        "Does the lesion measure more than 3 cm?",
                        "Is the lung lesion a mass of more than 3 cm?",
                    ],
                );
                pool.closed(QuestionType::Size, Some(Finding::Nodule), question, large);
                let question = pick(
                    rng,
                    &[
                        "Is the lesion a nodule or a mass?",
                        "Is this a nodule or a mass?",
                    ],
                );
                pool.push(
                    QuestionType::Attrib,
                    AnswerType::Closed,
                    Some(Finding::Nodule),
                    question,
                    if large { "mass" } else { "nodule" },
                );
            }
            if chance(rng, 0.3) {
                let question = pick(
                    rng,
                    &[
                        "How many lung lesions are seen?",
                        "How many lesions are in the lungs?",
                        "How many round opacities are there?",
                    ],
                );
                pool.open(QuestionType::Count, Some(Finding::Nodule), question, "1");
            }
        }
        if let Some(lesion) = self.lesion(Finding::PleuralEffusion) {
            if lesion.conspicuity < 0.3 || lesion.conspicuity > 0.7 {
                let word = if lesion.conspicuity > 0.7 {
                    "large"
                } else {
                    "small"
                };
                pool.push(
                    QuestionType::Size,
                    AnswerType::Closed,
                    Some(Finding::PleuralEffusion),
                    pick(
                        rng,
                        &[
                            "Is the effusion small or large?",
                            "Is the pleural effusion large or small?",
                        ],
                    ),
                    word,
                );
            }
            if chance(rng, 0.5) {
                pool.closed(
                    QuestionType::Pos,
                    Some(Finding::PleuralEffusion),
                    pick(
                        rng,
                        &[
                            "Is the effusion bilateral?",
                            "Are there effusions on both sides?",
                            "Are there bilateral pleural effusions?",
                        ],
                    ),
                    lesion.side == Some(Side::Both),
                );
            }
        }
        if self.region == Region::Head
            && let Some(lesion) = self.lesions.first()
            && chance(rng, 0.6)
        {
            let bright = lesion.finding == Finding::Haemorrhage;
            if bright || lesion.finding == Finding::Infarct {
                let answer = if bright { "hyperdense" } else { "hypodense" };
                pool.push(
                    QuestionType::Attrib,
                    AnswerType::Closed,
                    Some(lesion.finding),
                    pick(
                        rng,
                        &[
                            "Is the lesion hyperdense or hypodense?",
                            "Is the abnormality hypodense or hyperdense?",
                        ],
                    ),
                    answer,
                );
            }
        }
        if pool.view.is_frontal() && chance(rng, 0.15) {
            pool.open(
                QuestionType::Other,
                None,
                pick(
                    rng,
                    &[
                        "Which side of the patient is on the right of the image?",
                        "The right of the image is which side of the patient?",
                    ],
                ),
                "left",
            );
        }
    }
}

fn is_device(finding: Finding) -> bool {
    matches!(finding, Finding::Pacemaker | Finding::Line)
}

/// The answer to "what is it": "pleural effusion", "nasogastric tube".
pub fn short_name(lesion: &Lesion) -> &'static str {
    match (lesion.finding, lesion.place) {
        (Finding::Nodule, _) if lesion.size_mm >= MASS_FROM_MM => "lung mass",
        (Finding::Nodule, _) => "lung nodule",
        (Finding::Line, Place::Stomach) => "nasogastric tube",
        (Finding::Line, _) => "central venous catheter",
        (Finding::Haemorrhage, Place::Subdural) => "subdural hemorrhage",
        (Finding::Haemorrhage, _) => "intracerebral hemorrhage",
        (Finding::Mass, _) => "brain mass",
        (finding, _) => finding.name(),
    }
}

/// The noun of a position question; never tells the answer.
fn noun(lesion: &Lesion) -> &'static str {
    match lesion.finding {
        Finding::PleuralEffusion => "pleural effusion",
        Finding::Nodule if lesion.size_mm >= MASS_FROM_MM => "mass",
        Finding::Line => "central line",
        Finding::Haemorrhage => "hemorrhage",
        finding => finding.name(),
    }
}

fn presence(finding: Finding) -> &'static [&'static str] {
    match finding {
        Finding::Cardiomegaly => &[
            "Is the heart enlarged?",
            "Is there cardiomegaly?",
            "Is cardiomegaly present?",
            "Is the cardiac silhouette enlarged?",
            "Is the patient's heart enlarged?",
            "Does the patient have cardiomegaly?",
        ],
        Finding::PleuralEffusion => &[
            "Is there a pleural effusion?",
            "Is a pleural effusion present?",
            "Is there pleural fluid?",
            "Is there evidence of pleural effusion?",
            "Are there pleural effusions?",
            "Is there blunting of a costophrenic angle?",
        ],
        Finding::Pneumothorax => &[
            "Is there a pneumothorax?",
            "Is a pneumothorax present?",
            "Is there evidence of a pneumothorax?",
            "Is there air in the pleural space?",
            "Does the patient have a pneumothorax?",
            "Is pneumothorax seen?",
        ],
        Finding::Consolidation => &[
            "Is there consolidation?",
            "Is there a focal consolidation?",
            "Is there airspace consolidation?",
            "Is there evidence of pneumonia?",
            "Is consolidation present?",
            "Is there an airspace opacity?",
        ],
        Finding::Nodule => &[
            "Is there a lung nodule or mass?",
            "Is there a pulmonary nodule or mass?",
            "Is a nodule or mass present?",
            "Is there a nodular lung lesion?",
            "Are there any nodules or masses in the lungs?",
            "Is there a round lesion in the lung?",
        ],
        Finding::Pacemaker => &[
            "Is there a pacemaker?",
            "Does the patient have a pacemaker?",
            "Is a pacemaker present?",
            "Is there an implanted cardiac device?",
            "Is a pacemaker seen?",
            "Can a pacemaker be seen?",
        ],
        Finding::Line => &[
            "Is there a central line or tube?",
            "Is there a line or tube?",
            "Are lines or tubes present?",
            "Is there a catheter or tube in place?",
            "Are there support lines?",
            "Is a catheter or gastric tube seen?",
        ],
        Finding::Haemorrhage => &[
            "Is there a hemorrhage?",
            "Is there intracranial hemorrhage?",
            "Is there an intracranial bleed?",
            "Is there evidence of haemorrhage?",
            "Is blood seen in the brain or around it?",
            "Is there acute bleeding?",
        ],
        Finding::Infarct => &[
            "Is there an infarct?",
            "Is there evidence of an infarct?",
            "Is infarction present?",
            "Is there an ischemic stroke?",
            "Are regions of the brain infarcted?",
            "Is a territorial infarct seen?",
        ],
        Finding::Mass => &[
            "Is there a brain mass?",
            "Is there an intracranial mass?",
            "Is there a brain tumor?",
            "Is a mass with edema present?",
            "Is there a tumour in the brain?",
            "Is an intracranial tumor seen?",
        ],
    }
}

fn pick_pair<'a>(rng: &mut impl Rng, options: &[(&'a str, bool)]) -> (&'a str, bool) {
    options[rng.random_range(0..options.len())]
}

fn pick_ref<'a, 'b>(rng: &mut impl Rng, options: &'b [&'a str]) -> &'b &'a str {
    &options[rng.random_range(0..options.len())]
}
