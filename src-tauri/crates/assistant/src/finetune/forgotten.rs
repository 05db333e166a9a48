//! What an adapter's towers no longer know: the tasks of the demo cases, before and after.
//!
//! The demo library comes with the application: phantoms of known truth that no site trains on. Three things are asked of it, the same
//! way of the pack's towers and of the adapted ones. Questions are not among them: they are answered by the pack's own head on its own
//! features, which no adapter changes.

use lucency_library::{Case, Library};
use lucency_nn::{Interrupt, Progress, ops};
use lucency_packs::{Decision, LabelSet, PackManifest};
use lucency_train::finetune::Towers;
use lucency_train::metrics::{argmax, auroc};
use lucency_train::statistics::{Bootstrap, bootstrap};
use lucency_zoo::preprocess::Image8;
use serde::{Deserialize, Serialize};

use super::Base;
use super::pairs::{Ranks, base_towers};
use crate::error::{AssistantError, Result};
use crate::{Options, assets, picture};

/// Cases a forward pass.
const BATCH: usize = 16;
/// Neighbours among which a report counts as found.
const NEIGHBOURS: usize = 5;
/// Cases with and without a finding from which it takes part.
const LEAST: usize = 4;
/// Kinds of images, those of the demo cases first: what is asked of the pack's prompts.
const KINDS: [&str; 6] = [
    "chest radiograph",
    "CT of the head",
    "CT of the abdomen",
    "CT of the chest",
    "MRI of the breast",
    "radiograph of the hand",
];

/// One task, before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgottenTask {
    /// What was asked, for people.
    pub name: String,
    /// `auroc`, `accuracy` or `recall@5`.
    pub measure: String,
    /// Cases.
    pub cases: usize,
    /// The pack alone.
    pub base: f64,
    /// With the adapter.
    pub adapted: f64,
    /// 95 % interval of the change, cases drawn in pairs; none if there are too few.
    pub low: Option<f64>,
    /// See `low`.
    pub high: Option<f64>,
}

impl ForgottenTask {
    /// True if the whole interval of the change lies below zero.
    pub fn is_forgotten(&self) -> bool {
        self.high.is_some_and(|high| high < 0.0)
    }

    /// A warning for the gate; none unless it was forgotten.
    pub fn warning(&self) -> Option<String> {
        self.is_forgotten().then(|| {
            format!(
                "it forgot some of what the pack knew: {} ({}) falls from {:.3} to {:.3} on the demo cases",
                self.name, self.measure, self.base, self.adapted
            )
        })
    }
}

/// Images and reports of the demo cases, as one model sees them.
struct Seen {
    images: Vec<Vec<f32>>,
    reports: Vec<Vec<f32>>,
}

/// Measures the demo tasks with the pack's towers and with adapted ones; nothing without the demo library.
///
/// Errors if stopped, or a demo case is damaged.
pub(super) fn forgotten(
    options: &Options,
    base: &Base,
    adapted: &Towers,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Vec<ForgottenTask>> {
    let folder = assets::demo_library(&options.assets);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let library = Library::open(&folder)?;
    let cases = library.cases();
    let mut squares = Vec::with_capacity(cases.len());
    for case in cases {
        let picture = picture::from_encoded(&library.image_bytes(&case.id)?)?;
        squares.push(base.preprocess().resize_u8(&picture.image)?);
    }
    adapted.set_dropout(None);
    let own = base_towers(base)?;
    let before = look(&own, cases, &squares, stop, report)?;
    let after = look(adapted, cases, &squares, stop, report)?;
    let mut tasks = Vec::new();
    for set in sets(&base.pack.manifest().label_sets) {
        let (rows, truth) = truth(set, cases);
        let scores = |towers: &Towers, seen: &Seen| -> Result<Vec<Vec<f64>>> {
            let of = |prompts: fn(&lucency_packs::Label) -> Vec<String>| {
                let texts: Vec<Vec<String>> = set.labels.iter().map(prompts).collect();
                similarities(towers, seen, &texts)
            };
            let present = of(lucency_packs::Label::positive_prompts)?;
            let absent = of(lucency_packs::Label::negative_prompts)?;
            let margin = |i: &usize| {
                let both = present[*i].iter().zip(&absent[*i]);
                both.map(|(p, n)| p - n).collect()
            };
            Ok(rows.iter().map(margin).collect())
        };
        let (old, new) = (scores(&own, &before)?, scores(adapted, &after)?);
        let figure = |scores: &[Vec<f64>], some: &[usize]| macro_auroc(scores, &truth, some);
        tasks.extend(task(&set.title, "auroc", rows.len(), |some| {
            Some((figure(&old, some)?, figure(&new, some)?))
        }));
    }
    tasks.extend(kinds(
        &own,
        adapted,
        &before,
        &after,
        cases,
        base.pack.manifest(),
    )?);
    tasks.extend(retrieval(&before, &after, cases)?);
    Ok(tasks)
}

/// Sets of findings that are asked of an image.
fn sets(all: &[LabelSet]) -> impl Iterator<Item = &LabelSet> {
    all.iter()
        .filter(|set| set.decision == Decision::Independent)
}

fn look(
    towers: &Towers,
    cases: &[Case],
    squares: &[Image8],
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Seen> {
    let mut seen = Seen {
        images: Vec::new(),
        reports: Vec::new(),
    };
    let total = cases.len() as u64;
    for (some, squares) in cases.chunks(BATCH).zip(squares.chunks(BATCH)) {
        if stop.is_stopped() {
            return Err(AssistantError::Stopped);
        }
        let done = seen.images.len() as u64;
        report(Progress::new("looking what was forgotten", done, total));
        let pixels = towers.pixels(squares)?;
        seen.images
            .extend(towers.embed_pixels(&pixels)?.detach().to_vec2::<f32>()?);
        let texts: Vec<String> = some.iter().map(Case::report_text).collect();
        seen.reports
            .extend(towers.embed_reports(&texts)?.detach().to_vec2::<f32>()?);
    }
    Ok(seen)
}

/// Cosines of every image with the mean of each label's prompts, `[images][labels]`.
///
/// Source: Radford et al. 2021, section 3.1.4.
fn similarities(towers: &Towers, seen: &Seen, prompts: &[Vec<String>]) -> Result<Vec<Vec<f64>>> {
    let mut directions = Vec::with_capacity(prompts.len());
    for texts in prompts {
        let mean = towers.embed_texts(texts)?.mean_keepdim(0)?; // [1, dim]
        let direction = ops::l2_normalise(&mean)?.squeeze(0)?.detach();
        directions.push(direction.to_vec1::<f32>()?);
    }
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum();
    let row = |image: &Vec<f32>| directions.iter().map(|d| cosine(image, d)).collect();
    Ok(seen.images.iter().map(row).collect())
}

/// Demo cases that a set is meant for, and which of its findings each has: its labels say `left nodule`.
fn truth(set: &LabelSet, cases: &[Case]) -> (Vec<usize>, Vec<Vec<bool>>) {
    let meant = |case: &Case| {
        let modality = set.modalities.contains(&case.modality);
        modality
            && set
                .body_part
                .as_deref()
                .is_none_or(|part| part == case.body_part)
    };
    let rows: Vec<usize> = (0..cases.len()).filter(|i| meant(&cases[*i])).collect();
    let has = |case: &Case, finding: &str| {
        let side = |label: &String| {
            let plain = label.strip_prefix("left ").or(label.strip_prefix("right "));
            plain.unwrap_or(label) == finding
        };
        case.labels.iter().any(side)
    };
    let of = |i: &usize| {
        set.labels
            .iter()
            .map(|l| has(&cases[*i], &l.name))
            .collect()
    };
    let truth = rows.iter().map(of).collect();
    (rows, truth)
}

/// Mean AUROC of the findings that enough of all cases have; none if none does, or a draw lacks one of them.
fn macro_auroc(scores: &[Vec<f64>], truth: &[Vec<bool>], some: &[usize]) -> Option<f64> {
    let findings = truth.first()?.len();
    let (mut sum, mut count) = (0.0, 0);
    for finding in 0..findings {
        let positives = truth.iter().filter(|row| row[finding]).count();
        if positives < LEAST || truth.len() - positives < LEAST {
            continue;
        }
        let (s, t): (Vec<f64>, Vec<bool>) = some
            .iter()
            .map(|i| (scores[*i][finding], truth[*i][finding]))
            .unzip();
        sum += auroc(&s, &t).ok()?;
        count += 1;
    }
    (count > 0).then(|| sum / f64::from(count))
}

fn kinds(
    own: &Towers,
    adapted: &Towers,
    before: &Seen,
    after: &Seen,
    cases: &[Case],
    manifest: &PackManifest,
) -> Result<Option<ForgottenTask>> {
    let right: Vec<usize> = cases
        .iter()
        .map(|case| usize::from(case.modality == "CT"))
        .collect();
    let plain = [String::from("{}")];
    let templates = match manifest.zero_shot_templates.is_empty() {
        true => &plain[..],
        false => &manifest.zero_shot_templates[..],
    };
    let fill = |kind: &&str| templates.iter().map(|t| t.replace("{}", kind)).collect();
    let prompts: Vec<Vec<String>> = KINDS.iter().map(fill).collect();
    let (old, new) = (
        similarities(own, before, &prompts)?,
        similarities(adapted, after, &prompts)?,
    );
    let share = |scores: &[Vec<f64>], some: &[usize]| {
        let hits = some.iter().filter(|i| argmax(&scores[**i]) == right[**i]);
        hits.count() as f64 / some.len() as f64
    };
    Ok(task("Kind of image", "accuracy", cases.len(), |some| {
        Some((share(&old, some), share(&new, some)))
    }))
}

fn retrieval(before: &Seen, after: &Seen, cases: &[Case]) -> Result<Option<ForgottenTask>> {
    let texts: Vec<String> = cases.iter().map(Case::report_text).collect();
    let reports: Vec<&str> = texts.iter().map(String::as_str).collect();
    let ranks = |seen: &Seen| Ranks::of(&seen.images, &seen.reports, &reports);
    let (old, new) = (ranks(before)?, ranks(after)?);
    let name = "Finding the report of an image and back";
    Ok(task(name, "recall@5", cases.len(), |some| {
        Some((old.mean(NEIGHBOURS, some), new.mean(NEIGHBOURS, some)))
    }))
}

/// A figure of both sides on all cases, with the interval of its change; none if it has no value.
fn task(
    name: &str,
    measure: &str,
    cases: usize,
    figures: impl Fn(&[usize]) -> Option<(f64, f64)> + Sync,
) -> Option<ForgottenTask> {
    let all: Vec<usize> = (0..cases).collect();
    let (base, adapted) = figures(&all)?;
    let each: Vec<u64> = (0..cases as u64).collect(); // every demo case is a patient of its own
    let change = |some: &[usize]| figures(some).map(|(before, after)| after - before);
    let interval = bootstrap(&each, &Bootstrap::default(), change).ok();
    Some(ForgottenTask {
        name: name.to_owned(),
        measure: measure.to_owned(),
        cases,
        base,
        adapted,
        low: interval.map(|i| i.low),
        high: interval.map(|i| i.high),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fall_with_its_whole_interval_is_a_warning_and_noise_is_not() {
        let right_before: Vec<bool> = (0..60).map(|i| i % 10 != 0).collect();
        let share = |right: &[bool], some: &[usize]| {
            some.iter().filter(|i| right[**i]).count() as f64 / some.len() as f64
        };
        let measured = |right_after: Vec<bool>| {
            task("kinds", "accuracy", 60, |some| {
                Some((share(&right_before, some), share(&right_after, some)))
            })
        };
        let fallen = measured((0..60).map(|i| i % 2 == 0).collect()).unwrap();
        assert!(fallen.is_forgotten(), "{fallen:?}");
        let warning = fallen.warning().unwrap_or_default();
        assert!(warning.contains("from 0.900 to 0.500"), "{warning}");
        let same = measured(right_before.clone()).unwrap();
        assert_eq!((same.base, same.warning()), (same.adapted, None));
    }

    #[test]
    fn a_finding_is_known_on_either_side_and_a_rare_one_takes_no_part() {
        let truth: Vec<Vec<bool>> = (0..12).map(|i| vec![i < 6, i == 0]).collect();
        let scores: Vec<Vec<f64>> = (0..12).map(|i| vec![f64::from(12 - i), 0.0]).collect();
        let all: Vec<usize> = (0..12).collect();
        assert_eq!(macro_auroc(&scores, &truth, &all), Some(1.0));
        assert_eq!(
            macro_auroc(&scores, &truth, &all[..3]),
            None,
            "one side alone"
        );
    }
}
