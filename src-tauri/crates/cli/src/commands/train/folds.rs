//! Cross-fitting: every question is answered by a head and a memory that had not seen it, so that the ranker learns how far to trust them
//! and the figures are honest.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use lucency_train::answers::{
    AnswerData, Control, Judged, RankConfig, Weighed, fit_ranker, judge, weigh,
};
use lucency_train::calibration::abstention_threshold;
use lucency_train::metrics::vqa::score;
use lucency_train::split::group_of;
use lucency_train::vqa::pairs;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::measured::{LEAST_COVERAGE, Measured, PHANTOMS, POOLED, SEEN, UNSEEN, WANTED_ACCURACY};
use super::questions::Questions;
use super::recipe::{Learned, RankerTensors, Recipe};
use super::vqa_rad::VqaRad;

/// Folds of known images and of new ones.
const SEEN_FOLDS: usize = 4;
const UNSEEN_FOLDS: usize = 3;

/// What is asked of one fold's head: rows of questions.
#[derive(Clone)]
pub struct Fold {
    /// Known or new images.
    pub name: &'static str,
    /// Learned from.
    pub train: Vec<usize>,
    /// Asked.
    pub asked: Vec<usize>,
    /// Asked about phantoms.
    phantoms: Vec<usize>,
}

/// A fold whose head is fitted.
#[derive(Clone)]
pub struct Fitted {
    /// Its number among all folds.
    pub number: usize,
    /// What it was fitted on.
    pub fold: Fold,
    /// Head and memory.
    pub learned: Learned,
    /// The evidence for its questions.
    pub weighed: Vec<Weighed>,
    /// Whether it is judged, or only gives the others' rankers something to learn from.
    pub judged: bool,
}

/// The folds: rows of questions.
fn folds(questions: &Questions, vqa: &VqaRad, seed: u64) -> Vec<Fold> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut groups = pairs(&vqa.questions);
    groups.shuffle(&mut rng);
    let mut images: Vec<u64> = vqa.questions.iter().map(|q| group_of(&q.image)).collect();
    images.sort_unstable();
    images.dedup();
    images.shuffle(&mut rng);
    let judged = |i: &usize| vqa.questions[*i].phrase_type != "frame";

    let mut folds = Vec::new();
    for k in 0..SEEN_FOLDS {
        let asked: Vec<usize> = groups
            .iter()
            .skip(k)
            .step_by(SEEN_FOLDS)
            .flatten()
            .copied()
            .collect();
        let out: HashSet<usize> = asked.iter().copied().collect();
        let share = questions.phantom_held_out.len().div_ceil(SEEN_FOLDS);
        folds.push(Fold {
            name: SEEN,
            train: (0..vqa.questions.len())
                .filter(|i| !out.contains(i))
                .collect(),
            asked,
            phantoms: questions
                .phantom_held_out
                .chunks(share.max(1))
                .nth(k)
                .unwrap_or_default()
                .to_vec(),
        });
    }
    for k in 0..UNSEEN_FOLDS {
        let out: HashSet<u64> = images
            .iter()
            .skip(k)
            .step_by(UNSEEN_FOLDS)
            .copied()
            .collect();
        let (asked, train): (Vec<usize>, Vec<usize>) = (0..vqa.questions.len())
            .partition(|i| out.contains(&group_of(&vqa.questions[*i].image)));
        folds.push(Fold {
            name: UNSEEN,
            train,
            asked: asked.into_iter().filter(judged).collect(),
            phantoms: Vec::new(),
        });
    }
    for fold in &mut folds {
        for list in [&mut fold.train, &mut fold.asked] {
            list.sort_unstable();
            list.iter_mut().for_each(|i| *i = questions.vqa[*i]);
        }
    }
    folds
}

/// Fits a head for every fold.
pub fn fit_folds(recipe: &Recipe<'_>, vqa: &VqaRad, seed: u64) -> Result<Vec<Fitted>> {
    fit_first_folds(recipe, vqa, seed, usize::MAX)
}

/// Fits a head for the first folds of each kind, at most `limit` of each.
pub fn fit_first_folds(
    recipe: &Recipe<'_>,
    vqa: &VqaRad,
    seed: u64,
    limit: usize,
) -> Result<Vec<Fitted>> {
    let folds = folds(recipe.questions, vqa, seed);
    let total = folds.len();
    let names: Vec<&str> = folds.iter().map(|fold| fold.name).collect();
    let before = |k: usize| names[..k].iter().filter(|name| **name == names[k]).count();
    folds
        .into_par_iter()
        .enumerate()
        .filter(|(k, _)| before(*k) < limit)
        .map(|(k, fold)| {
            let fitted = fit_fold(recipe, k, fold)?;
            eprintln!("fold {}/{total}: {} questions", k + 1, fitted.weighed.len());
            Ok(fitted)
        })
        .collect()
}

fn fit_fold(recipe: &Recipe<'_>, k: usize, fold: Fold) -> Result<Fitted> {
    let learned = recipe.learn(&fold_name(k), &fold.train)?;
    Ok(Fitted {
        number: k,
        weighed: evidence(recipe, &fold, &learned)?,
        fold,
        learned,
        judged: true,
    })
}

fn fold_name(number: usize) -> String {
    format!("fold-{number}")
}

/// What a fold's head and memory say about its questions.
fn evidence(recipe: &Recipe<'_>, fold: &Fold, learned: &Learned) -> Result<Vec<Weighed>> {
    let head = learned.head(None)?;
    let data = recipe.shown();
    // Known images, new images and drawings count alike, however many questions each has.
    let share = |n: usize| 1000.0 / n.max(1) as f32;
    let judged = recipe.questions.vqa.len();
    let mut weighed = weigh(&head, data, &fold.asked, share(judged))?;
    let phantoms = recipe.questions.phantom_held_out.len();
    weighed.extend(weigh(&head, data, &fold.phantoms, share(phantoms))?);
    Ok(weighed)
}

/// Whether the whole answerer is wanted, which takes a ranker for every fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranked {
    /// Head and memory only.
    No,
    /// The whole answerer too.
    Yes,
}

/// The same folds with the first ones of each kind fitted anew by another recipe; only those are judged.
///
/// - `folds`: fitted by the plain recipe; those that are kept give the rankers of the others something to learn from
/// - `limit`: how many of each kind are fitted anew
pub fn refit_folds(
    recipe: &Recipe<'_>,
    folds: &[Fitted],
    limit: usize,
    ranked: Ranked,
) -> Result<Vec<Fitted>> {
    let refit = |fitted: &Fitted| -> Result<Fitted> {
        let name = fold_name(fitted.number);
        let fold = fitted.fold.clone();
        let learned = match recipe.averaged {
            true => recipe.learn(&name, &fold.train)?,
            false => recipe.learn_beside(&name, &fold.train, &fitted.learned)?,
        };
        let weighed = match ranked {
            Ranked::Yes => evidence(recipe, &fold, &learned)?,
            Ranked::No => Vec::new(),
        };
        Ok(Fitted {
            fold,
            learned,
            weighed,
            judged: true,
            number: fitted.number,
        })
    };
    folds
        .par_iter()
        .enumerate()
        .map(|(k, fitted)| match place(folds, k) < limit {
            true => refit(fitted),
            false => Ok(Fitted {
                judged: false,
                ..fitted.clone()
            }),
        })
        .collect()
}

/// Leaves only the first folds of each kind to be judged.
pub fn limit_folds(folds: &mut [Fitted], limit: usize) {
    for k in 0..folds.len() {
        folds[k].judged = place(folds, k) < limit;
    }
}

/// A fold's place among those of its kind.
fn place(folds: &[Fitted], k: usize) -> usize {
    let before = folds[..k].iter();
    before.filter(|f| f.fold.name == folds[k].fold.name).count()
}

/// A ranker of some folds' questions.
pub fn ranker_of<'a>(
    folds: impl Iterator<Item = &'a Fitted>,
    how: &RankConfig,
) -> Result<RankerTensors> {
    let questions: Vec<&Weighed> = folds.flat_map(|f| &f.weighed).collect();
    Ok(fit_ranker(&questions, how)?)
}

/// For every fold that is judged a ranker that was fitted on the others.
pub fn crossed_rankers(folds: &[Fitted], how: &RankConfig) -> Result<Vec<Option<RankerTensors>>> {
    (0..folds.len())
        .into_par_iter()
        .map(|k| {
            let others = folds.iter().enumerate().filter(|(i, _)| *i != k);
            folds[k]
                .judged
                .then(|| ranker_of(others.map(|(_, f)| f), how))
                .transpose()
        })
        .collect()
}

/// Judges every fold with a ranker that was fitted on the others.
///
/// - `data`: the features by which questions are asked
/// - `how`: the rankers' numbers
pub fn measure(
    questions: &Questions,
    data: &AnswerData,
    vqa: &VqaRad,
    folds: &[Fitted],
    how: &RankConfig,
) -> Result<Measured> {
    let place =
        |list: &[usize]| -> HashSet<usize> { list.iter().map(|i| questions.vqa[*i]).collect() };
    let new_to_towers = [
        place(&vqa.by_question.held_out),
        place(&vqa.by_image.held_out),
    ];
    let mut sets: BTreeMap<String, Judged> = BTreeMap::new();
    let rankers = crossed_rankers(folds, how)?;
    for (fitted, ranker) in folds.iter().zip(&rankers).filter(|(f, _)| f.judged) {
        let head = fitted.learned.head(ranker.as_ref())?;
        let mut put = |name: String, rows: &[usize], control| -> Result<()> {
            if rows.is_empty() {
                return Ok(());
            }
            gather(&mut sets, name, judge(&head, data, rows, control)?);
            Ok(())
        };
        let (name, asked) = (fitted.fold.name, &fitted.fold.asked);
        put(name.into(), asked, Control::Image)?;
        put(POOLED.into(), asked, Control::Image)?;
        put(format!("{name}, question alone"), asked, Control::NoImage)?;
        put(format!("{name}, shuffled images"), asked, Control::Shuffled)?;
        let unseen = &new_to_towers[usize::from(name == UNSEEN)];
        let rest: Vec<usize> = asked
            .iter()
            .copied()
            .filter(|r| unseen.contains(r))
            .collect();
        put(
            format!("{name}, new to the towers too"),
            &rest,
            Control::Image,
        )?;
        put(PHANTOMS.into(), &fitted.fold.phantoms, Control::Image)?;
        put(
            format!("{PHANTOMS}, question alone"),
            &fitted.fold.phantoms,
            Control::NoImage,
        )?;
    }
    let threshold = match sets.get(POOLED) {
        Some(pooled) => threshold_of(pooled)?,
        None => 0.5,
    };
    let mut answers = BTreeMap::new();
    for (name, judged) in &sets {
        answers.insert(name.clone(), score(&judged.at(1.0, threshold))?);
    }
    Ok(Measured {
        answers,
        threshold,
        ablations: BTreeMap::new(),
        seeds: BTreeMap::new(),
        findings: None,
    })
}

/// Adds what was judged to the set of a name.
pub fn gather(sets: &mut BTreeMap<String, Judged>, name: String, judged: Judged) {
    match sets.get_mut(&name) {
        Some(set) => set.extend(judged),
        None => drop(sets.insert(name, judged)),
    }
}

fn threshold_of(judged: &Judged) -> Result<f64> {
    let confidences: Vec<f64> = judged.at(1.0, 0.0).iter().map(|a| a.confidence).collect();
    Ok(abstention_threshold(
        &confidences,
        &judged.right,
        WANTED_ACCURACY,
        LEAST_COVERAGE,
    )?)
}
