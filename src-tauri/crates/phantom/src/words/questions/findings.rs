//! Whether a finding is there, whether anything is, and what.

use rand::Rng;

use super::names::short_name;
use super::{Pool, QuestionType};
use crate::head;
use crate::random::{chance, pick};
use crate::spec::{Finding, Lesion, Region, Spec};

impl Spec {
    pub(super) fn ask_presence(&self, pool: &mut Pool, rng: &mut impl Rng) {
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

    pub(super) fn ask_normality(&self, pool: &mut Pool, rng: &mut impl Rng) {
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
}

fn is_device(finding: Finding) -> bool {
    matches!(finding, Finding::Pacemaker | Finding::Line)
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
