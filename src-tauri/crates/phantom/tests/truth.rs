//! What a study says about itself is what its images show.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use lucency_phantom::{
    AnswerType, Finding, HeadSlice, Radiograph, Side, Site, Spec, View, film_size, head,
    midline_of_film, render_chest, render_head,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const SITES: [Site; 2] = [Site::A, Site::B];

fn hash(values: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    values.hash(&mut hasher);
    hasher.finish()
}

fn film(spec: &Spec, side: usize) -> Radiograph {
    let (w, h) = film_size(spec, View::Pa, side);
    render_chest(spec, View::Pa, w, h)
}

fn slice(spec: &Spec, z: f32) -> HeadSlice {
    render_head(spec, z, 160)
}

/// Mean difference of two images in a box shrunk to its middle.
fn mean_change(
    with: &[f32],
    without: &[f32],
    width: usize,
    b: (f32, f32, f32, f32),
    keep: f32,
) -> f32 {
    let (cx, cy) = (b.0 + b.2 / 2.0, b.1 + b.3 / 2.0);
    let (hx, hy) = (b.2 / 2.0 * keep, b.3 / 2.0 * keep);
    let (mut sum, mut n) = (0.0, 0.0);
    for y in (cy - hy) as usize..=(cy + hy) as usize {
        for x in (cx - hx) as usize..=(cx + hx) as usize {
            sum += with[y * width + x] - without[y * width + x];
            n += 1.0;
        }
    }
    sum / n
}

fn grey(film: &Radiograph) -> Vec<f32> {
    film.values.iter().map(|&v| f32::from(v)).collect()
}

#[test]
fn the_same_seed_gives_the_same_study_and_another_seed_another() {
    for site in SITES {
        let a = Spec::chest(11, site);
        assert_eq!(a, Spec::chest(11, site), "specs follow from the seed");
        assert_eq!(
            hash(film(&a, 128).values),
            hash(film(&a, 128).values),
            "pixels follow from the spec"
        );
        assert_ne!(
            hash(film(&a, 128).values),
            hash(film(&Spec::chest(12, site), 128).values)
        );
        let h = Spec::head(11, site);
        let z = head::key_slice(&h);
        assert_eq!(hash(slice(&h, z).values), hash(slice(&h, z).values));
        let mut one = ChaCha8Rng::seed_from_u64(3);
        let mut two = ChaCha8Rng::seed_from_u64(3);
        assert_eq!(
            a.report(&mut one),
            a.report(&mut two),
            "words follow from the generator"
        );
        assert_eq!(a.questions(&mut one), a.questions(&mut two));
    }
}

#[test]
fn opaque_chest_lesions_are_brighter_than_the_same_chest_without_them() {
    for finding in [
        Finding::PleuralEffusion,
        Finding::Consolidation,
        Finding::Nodule,
        Finding::Pacemaker,
    ] {
        for seed in 0..12 {
            let spec = Spec::normal_chest(seed, SITES[seed as usize % 2]).with(finding);
            let (with, without) = (film(&spec, 192), film(&spec.without(finding), 192));
            let boxes = spec.chest_boxes(View::Pa, with.width, with.height);
            assert!(!boxes.is_empty(), "{finding} of seed {seed} has a box");
            for b in boxes {
                let change = mean_change(
                    &grey(&with),
                    &grey(&without),
                    with.width,
                    (b.x, b.y, b.width, b.height),
                    0.5,
                );
                assert!(
                    change > 60.0,
                    "{finding} of seed {seed} brightens its box by {change} of 4095"
                );
            }
        }
    }
}

#[test]
fn a_pneumothorax_darkens_its_side_and_leaves_the_other() {
    for seed in 0..12 {
        let spec = Spec::normal_chest(seed, Site::A).with(Finding::Pneumothorax);
        let (with, without) = (
            film(&spec, 192),
            film(&spec.without(Finding::Pneumothorax), 192),
        );
        let b = spec.chest_boxes(View::Pa, with.width, with.height)[0];
        let change = mean_change(
            &grey(&with),
            &grey(&without),
            with.width,
            (b.x, b.y, b.width, b.height),
            0.9,
        );
        assert!(
            change < -15.0,
            "free air darkens the box by {change} for seed {seed}"
        );
    }
}

#[test]
fn boxes_lie_within_the_image() {
    for seed in 0..40 {
        let spec = Spec::chest(seed, SITES[seed as usize % 2]);
        for view in [View::Pa, View::Lateral] {
            let (w, h) = film_size(&spec, view, 160);
            for b in spec.chest_boxes(view, w, h) {
                assert!(b.x >= 0.0 && b.y >= 0.0 && b.width > 0.0 && b.height > 0.0);
                assert!(
                    b.x + b.width <= w as f32 && b.y + b.height <= h as f32,
                    "{b:?} in {w}x{h}"
                );
            }
        }
        let spec = Spec::head(seed, Site::A);
        let b = spec.head_boxes(head::key_slice(&spec), 160);
        assert_eq!(
            b.len(),
            spec.lesions.len(),
            "the key slice shows the lesion"
        );
        assert!(b.iter().all(|b| b.x >= 0.0
            && b.x + b.width <= 160.0
            && b.y >= 0.0
            && b.y + b.height <= 160.0));
    }
}

#[test]
fn the_left_of_the_patient_is_on_the_right_of_frontal_and_axial_images() {
    for seed in 0..20 {
        for finding in [
            Finding::Nodule,
            Finding::Pneumothorax,
            Finding::Consolidation,
        ] {
            let spec = Spec::normal_chest(seed, Site::A).with(finding);
            let (w, h) = film_size(&spec, View::Pa, 200);
            let b = spec.chest_boxes(View::Pa, w, h)[0];
            let on_right = b.x + b.width / 2.0 > midline_of_film(&spec, View::Pa, w, h);
            assert_eq!(
                on_right,
                spec.lesions[0].side == Some(Side::Left),
                "{finding} of seed {seed}"
            );
        }
        let spec = Spec::normal_head(seed, Site::B).with(Finding::Haemorrhage);
        let b = spec.head_boxes(head::key_slice(&spec), 200)[0];
        assert_eq!(
            b.x + b.width / 2.0 > 100.0,
            spec.lesions[0].side == Some(Side::Left),
            "seed {seed}"
        );
    }
}

#[test]
fn the_cardiothoracic_ratio_is_the_one_the_geometry_has() {
    for seed in 0..60 {
        let spec = Spec::chest(seed, Site::A);
        let measured = lucency_phantom::chest::measured_cardiothoracic_ratio(&spec);
        assert!(
            (measured - spec.cardiothoracic_ratio).abs() < 0.01,
            "{measured} for {}",
            spec.cardiothoracic_ratio
        );
        if spec.has(Finding::Cardiomegaly) {
            assert!(measured > 0.55, "an enlarged heart has {measured}");
        } else {
            assert!(measured < 0.48, "a normal heart has {measured}");
        }
    }
}

#[test]
fn head_lesions_have_the_density_of_their_kind() {
    for seed in 0..12 {
        for (finding, brighter) in [(Finding::Haemorrhage, true), (Finding::Infarct, false)] {
            let spec = Spec::normal_head(seed, SITES[seed as usize % 2]).with(finding);
            let z = head::key_slice(&spec);
            let b = spec.head_boxes(z, 160)[0];
            let values = |s: &Spec| {
                slice(s, z)
                    .values
                    .iter()
                    .map(|&v| f32::from(v).clamp(-20.0, 100.0))
                    .collect::<Vec<f32>>()
            };
            let change = mean_change(
                &values(&spec),
                &values(&spec.without(finding)),
                160,
                (b.x, b.y, b.width, b.height),
                0.4,
            );
            assert!(
                if brighter {
                    change > 8.0
                } else {
                    change < -2.0
                },
                "{finding} of seed {seed} changes by {change} HU"
            );
        }
    }
}

#[test]
fn reports_name_every_finding_and_no_absent_one_as_present() {
    // Words that a positive statement about the finding always contains one of.
    let words = |f: Finding| -> &'static [&'static str] {
        match f {
            Finding::Cardiomegaly => &["cardiomegaly"],
            Finding::PleuralEffusion => &["effusion"],
            Finding::Pneumothorax => &["pneumothorax"],
            Finding::Consolidation => &["consolidation"],
            Finding::Nodule => &["nodule", "mass"],
            Finding::Pacemaker => &["pacemaker"],
            Finding::Line => &["nasogastric tube", "central venous catheter"],
            Finding::Haemorrhage => &["haemorrhage"],
            Finding::Infarct => &["infarct"],
            Finding::Mass => &["mass"],
        }
    };
    for seed in 0..300 {
        let spec = Spec::sample(seed, SITES[seed as usize % 2]);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let report = spec.report(&mut rng);
        let impression = report.impression.to_lowercase();
        for &finding in spec.possible() {
            let named = words(finding).iter().any(|w| impression.contains(w));
            if spec.has(finding) {
                assert!(named, "seed {seed}: {finding} is missing in '{impression}'");
                continue;
            }
            // A sentence that names an absent finding denies it.
            for sentence in report.text().to_lowercase().split(['.', ':']) {
                if words(finding).iter().any(|w| sentence.contains(w))
                    && !spec.lesions.iter().any(|l| overlaps(l.finding, finding))
                {
                    let denied = [
                        "no ", "not ", "without", "free of", "absent", "none", "normal",
                    ]
                    .iter()
                    .any(|d| sentence.contains(d));
                    assert!(denied, "seed {seed}: '{sentence}' claims {finding}");
                }
            }
        }
        for lesion in &spec.lesions {
            if let (Some(side), true) = (lesion.side, lesion.finding != Finding::Pacemaker) {
                let wrong = match side {
                    Side::Left => "right",
                    Side::Right => "left",
                    Side::Both => continue,
                };
                if spec.lesions.len() == 1
                    && lesion.finding.region() == lucency_phantom::Region::Chest
                {
                    assert!(!impression.contains(wrong), "seed {seed}: '{impression}'");
                }
            }
        }
    }
}

/// Findings whose words a report shares.
fn overlaps(a: Finding, b: Finding) -> bool {
    a == b
        || (a == Finding::Mass && b == Finding::Nodule)
        || (a == Finding::Nodule && b == Finding::Mass)
}

#[test]
fn answers_follow_the_labels_and_yes_is_as_frequent_as_no() {
    let (mut yes, mut no) = (0, 0);
    for seed in 0..300 {
        let spec = Spec::sample(seed, SITES[seed as usize % 2]);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for pair in spec.questions(&mut rng) {
            match pair.answer.as_str() {
                "yes" => yes += 1,
                "no" => no += 1,
                _ => {}
            }
            let Some(finding) = pair.finding else {
                continue;
            };
            assert!(
                finding.is_decidable_on(pair.view),
                "'{}' cannot be answered on {:?}",
                pair.question,
                pair.view
            );
            let question = pair.question.to_lowercase();
            let inverse = question.contains("normal");
            if pair.answer_type == AnswerType::Closed
                && ["yes", "no"].contains(&pair.answer.as_str())
                && !["left", "right", "bilateral", "both sides", "cm"]
                    .iter()
                    .any(|w| question.contains(w))
            {
                assert_eq!(
                    pair.answer == "yes",
                    spec.has(finding) != inverse,
                    "'{}'",
                    pair.question
                );
            }
            if ["left", "right"].contains(&pair.answer.as_str()) {
                assert_ne!(
                    pair.view,
                    View::Lateral,
                    "a lateral film does not tell the side"
                );
                assert_eq!(
                    spec.lesion(finding).and_then(|l| l.side).map(Side::name),
                    Some(pair.answer.as_str())
                );
            }
        }
    }
    assert_eq!(yes, no, "closed questions are balanced on every view");
    assert!(yes > 500);
}

#[test]
fn about_a_third_of_the_studies_is_normal_and_every_finding_occurs() {
    let specs: Vec<Spec> = (0..2000).map(|seed| Spec::chest(seed, Site::A)).collect();
    let normal = specs.iter().filter(|s| s.lesions.is_empty()).count() as f32 / 2000.0;
    assert!(
        (0.30..0.40).contains(&normal),
        "{normal} of the chests are normal"
    );
    for finding in Finding::CHEST {
        let share = specs.iter().filter(|s| s.has(finding)).count() as f32 / 2000.0;
        assert!(share > 0.10, "{finding} occurs in {share}");
    }
}
