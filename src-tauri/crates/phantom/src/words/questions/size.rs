//! How large, how many, how dense.

use rand::Rng;

use super::{AnswerType, Pool, QuestionType};
use crate::random::{chance, pick};
use crate::spec::{Finding, Region, Side, Spec};

impl Spec {
    pub(super) fn ask_size(&self, pool: &mut Pool, rng: &mut impl Rng) {
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
