//! Modality, body part, plane and projection.

use rand::Rng;

use super::{Pool, QuestionType};
use crate::random::{chance, pick};
use crate::spec::{Region, Spec, View};

impl Spec {
    pub(super) fn ask_technique(&self, pool: &mut Pool, rng: &mut impl Rng) {
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
}

fn pick_pair<'a>(rng: &mut impl Rng, options: &[(&'a str, bool)]) -> (&'a str, bool) {
    options[rng.random_range(0..options.len())]
}

fn pick_ref<'a, 'b>(rng: &mut impl Rng, options: &'b [&'a str]) -> &'b &'a str {
    &options[rng.random_range(0..options.len())]
}
