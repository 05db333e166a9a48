//! The wordings of findings and classes: what training asks and what the pack ships as label sets.

use std::collections::BTreeSet;

use lucency_phantom::{Finding, Region, Side, View, sentences};
use lucency_train::contrastive::{ClaimWordings, ClassSet, ClassWordings, PromptPool};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Findings that are asked about side by side.
pub const SIDED: [Finding; 8] = [
    Finding::PleuralEffusion,
    Finding::Pneumothorax,
    Finding::Consolidation,
    Finding::Nodule,
    Finding::Pacemaker,
    Finding::Haemorrhage,
    Finding::Infarct,
    Finding::Mass,
];

/// The six classes of MedNIST in words: folder name, region, and how to name the image.
pub const MEDNIST: [(&str, usize, [&str; 4]); 6] = [
    (
        "AbdomenCT",
        2,
        [
            "abdominal CT",
            "CT of the abdomen",
            "axial CT slice of the abdomen",
            "computed tomography of the abdomen",
        ],
    ),
    (
        "BreastMRI",
        3,
        [
            "breast MRI",
            "MRI of the breast",
            "magnetic resonance image of the breast",
            "axial MRI of the breasts",
        ],
    ),
    (
        "CXR",
        1,
        [
            "chest x-ray",
            "chest radiograph",
            "frontal radiograph of the chest",
            "plain film of the chest",
        ],
    ),
    (
        "ChestCT",
        1,
        [
            "chest CT",
            "CT of the chest",
            "axial CT slice of the chest",
            "computed tomography of the thorax",
        ],
    ),
    (
        "Hand",
        4,
        [
            "hand x-ray",
            "radiograph of a hand",
            "x-ray of the hand and wrist",
            "plain film of the hand",
        ],
    ),
    (
        "HeadCT",
        0,
        [
            "head CT",
            "CT of the head",
            "axial CT slice of the brain",
            "computed tomography of the brain",
        ],
    ),
];

/// Regions of the body in words.
pub const REGIONS: [(&str, &[&str]); 5] = [
    (
        "head",
        &[
            "An image of the head.",
            "A head study.",
            "This image shows the brain.",
        ],
    ),
    (
        "chest",
        &[
            "An image of the chest.",
            "A chest study.",
            "This image shows the thorax.",
        ],
    ),
    (
        "abdomen",
        &[
            "An image of the abdomen.",
            "An abdominal study.",
            "This image shows the abdomen.",
        ],
    ),
    ("breast", &["An image of the breast.", "A breast study."]),
    ("hand", &["An image of the hand.", "A hand study."]),
];

/// Templates around the name of a class.
pub const CLASS_TEMPLATES: [&str; 5] = [
    "{}.",
    "A {}.",
    "This is a {}.",
    "An image of a {}.",
    "{} image.",
];

/// The set of the six classes in [`PromptPool::class_sets`].
pub const CLASSES: usize = 0;
/// The set of regions.
pub const REGION_SET: usize = 1;
/// The set of projections.
const PROJECTIONS: usize = 2;

const ABNORMAL_CHEST: &str = "abnormal chest";
const ABNORMAL_HEAD: &str = "abnormal head";

/// The prompt pool with its names.
pub struct Prompts {
    /// Wordings.
    pub pool: PromptPool,
}

impl Prompts {
    /// The demo preset's prompts; always the same.
    pub fn demo() -> Self {
        let mut claims = Vec::new();
        for finding in Finding::CHEST.into_iter().chain(Finding::HEAD) {
            claims.push(ClaimWordings {
                name: finding.name().into(),
                positive: positives(finding),
                negative: negatives(finding),
            });
        }
        for finding in SIDED {
            for (side, word) in [(Side::Left, "left"), (Side::Right, "right")] {
                claims.push(ClaimWordings {
                    name: format!("{word} {finding}"),
                    positive: sided(finding, side),
                    negative: vec![
                        format!("No {finding} on the {word}."),
                        format!("There is no {word} {finding}."),
                        format!("No {word}-sided {finding}."),
                    ],
                });
            }
        }
        for (name, region, view) in [
            (ABNORMAL_CHEST, Region::Chest, View::Pa),
            (ABNORMAL_HEAD, Region::Head, View::Axial),
        ] {
            let organ = if region == Region::Chest {
                "chest radiograph"
            } else {
                "head CT"
            };
            claims.push(ClaimWordings {
                name: name.into(),
                positive: vec![
                    format!("Abnormal {organ}."),
                    format!("The {organ} is abnormal."),
                    format!("There is an abnormality on the {organ}."),
                ],
                negative: variants(|rng| sentences::normal(region, view, rng)),
            });
        }
        let mednist = MEDNIST.iter().map(|(name, _, words)| ClassWordings {
            name: (*name).into(),
            texts: words
                .iter()
                .flat_map(|word| CLASS_TEMPLATES.iter().map(move |t| t.replace("{}", word)))
                .collect(),
        });
        let regions = REGIONS.iter().map(|(name, texts)| ClassWordings {
            name: (*name).into(),
            texts: texts.iter().map(|t| (*t).to_string()).collect(),
        });
        let pa = variants(|rng| sentences::neutral(View::Pa, rng));
        let ap = variants(|rng| sentences::neutral(View::Ap, rng));
        let own = |texts: &[String], others: &[String]| -> Vec<String> {
            texts
                .iter()
                .filter(|t| !others.contains(t))
                .cloned()
                .collect()
        };
        let projections = vec![
            ClassWordings {
                name: "PA".into(),
                texts: own(&pa, &ap),
            },
            ClassWordings {
                name: "AP".into(),
                texts: own(&ap, &pa),
            },
            ClassWordings {
                name: "lateral".into(),
                texts: variants(|rng| sentences::neutral(View::Lateral, rng)),
            },
        ];
        let pool = PromptPool {
            claims,
            class_sets: vec![
                ClassSet {
                    name: "modality and region".into(),
                    classes: mednist.collect(),
                },
                ClassSet {
                    name: "region".into(),
                    classes: regions.collect(),
                },
                ClassSet {
                    name: "projection".into(),
                    classes: projections,
                },
            ],
        };
        Self { pool }
    }

    /// The place of a claim.
    pub fn claim(&self, name: &str) -> usize {
        self.pool
            .claims
            .iter()
            .position(|c| c.name == name)
            .expect("every finding has its claim")
    }

    /// The claim that a region is abnormal.
    pub fn abnormal(&self, region: Region) -> &'static str {
        if region == Region::Chest {
            ABNORMAL_CHEST
        } else {
            ABNORMAL_HEAD
        }
    }

    /// The classes that a phantom's view belongs to.
    pub fn phantom_classes(&self, view: View) -> Vec<(usize, usize)> {
        let class = |name: &str| {
            MEDNIST
                .iter()
                .position(|(n, ..)| *n == name)
                .expect("a MedNIST class")
        };
        match view {
            View::Axial => vec![(CLASSES, class("HeadCT")), (REGION_SET, 0)],
            View::Pa => vec![(CLASSES, class("CXR")), (REGION_SET, 1), (PROJECTIONS, 0)],
            View::Ap => vec![(CLASSES, class("CXR")), (REGION_SET, 1), (PROJECTIONS, 1)],
            View::Lateral => vec![(CLASSES, class("CXR")), (REGION_SET, 1), (PROJECTIONS, 2)],
        }
    }
}

/// Ways to say that a finding is there, without side, place or size.
pub fn positives(finding: Finding) -> Vec<String> {
    variants(|rng| sentences::positive(finding, None, None, None, rng))
}

/// Ways to say that it is not there.
pub fn negatives(finding: Finding) -> Vec<String> {
    variants(|rng| sentences::negative(finding, rng))
}

fn sided(finding: Finding, side: Side) -> Vec<String> {
    let word = side.name();
    let all = variants(|rng| sentences::positive(finding, Some(side), None, None, rng));
    all.into_iter()
        .filter(|t| t.to_lowercase().contains(word))
        .collect()
}

/// All texts that a generator of wordings gives, sorted.
fn variants(mut draw: impl FnMut(&mut ChaCha8Rng) -> String) -> Vec<String> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let texts: BTreeSet<String> = (0..300).map(|_| draw(&mut rng)).collect();
    texts.into_iter().collect()
}
