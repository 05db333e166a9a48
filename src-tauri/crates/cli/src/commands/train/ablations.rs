//! What each part of the answerer is worth: the same folds, with parts left out.

use std::collections::BTreeMap;

use anyhow::Result;
use lucency_train::answers::{
    AnswerData, Control, Judged, RankConfig, RememberConfig, judge, remember,
};
use lucency_train::metrics::vqa::{VqaScore, score};
use lucency_zoo::vqa::FACTS;
use rayon::prelude::*;

use super::folds::{Fitted, crossed_rankers, gather};
use super::questions::Questions;
use super::recipe::{Learned, RankerTensors};
use super::vqa_rad::VqaRad;

/// What an answerer is made of.
struct Row {
    name: &'static str,
    /// Factors on the head's log-probabilities and on the memory's scores.
    mix: (f64, f64),
    /// How the memory is fitted; with or without templates.
    memory: fn() -> RememberConfig,
    templates: bool,
}

fn plain() -> RememberConfig {
    RememberConfig {
        sharpness: vec![8.0, 32.0],
        everywhere: 0.0,
        other_form: 1.0,
        ..RememberConfig::default()
    }
}

fn formed() -> RememberConfig {
    RememberConfig {
        other_form: 0.3,
        ..plain()
    }
}

/// A little of the head stays everywhere: it knows which answers a question's form rules out.
const RULES: f64 = 1e-3;

/// Factors on head and memory where both are added.
pub const ADDED: (f64, f64) = (0.25, 10.0);

const ROWS: [Row; 6] = [
    Row {
        name: "1 head alone",
        mix: (1.0, 0.0),
        memory: RememberConfig::default,
        templates: true,
    },
    Row {
        name: "2 memory alone, without the templates, any form, no identity",
        mix: (RULES, 20.0),
        memory: plain,
        templates: false,
    },
    Row {
        name: "3 memory alone, with the templates",
        mix: (RULES, 20.0),
        memory: plain,
        templates: true,
    },
    Row {
        name: "4 memory alone, yes-or-no questions apart",
        mix: (RULES, 20.0),
        memory: formed,
        templates: true,
    },
    Row {
        name: "5 memory alone, and the same image counts more",
        mix: (RULES, 20.0),
        memory: RememberConfig::default,
        templates: true,
    },
    Row {
        name: "6 head and memory added",
        mix: ADDED,
        memory: RememberConfig::default,
        templates: true,
    },
];

/// Rates by answerer and set of questions.
pub type Ablations = BTreeMap<String, BTreeMap<String, VqaScore>>;

/// Judges every fold with parts left out.
pub fn measure(questions: &Questions, vqa: &VqaRad, folds: &[Fitted]) -> Result<Ablations> {
    let mut out = Ablations::new();
    for row in &ROWS {
        let heads: Vec<Learned> = folds
            .par_iter()
            .map(|fitted| without(row, questions, vqa, fitted))
            .collect::<Result<_>>()?;
        out.insert(
            row.name.into(),
            rates(&questions.data, folds, &heads, &no_rankers(folds))?,
        );
    }
    let heads: Vec<Learned> = folds.iter().map(|f| f.learned.clone()).collect();
    for (name, blind) in [
        ("7 ranker over head and memory", FACTS),
        ("8 and what is known about the image", 0..0),
    ] {
        let how = RankConfig {
            blind,
            ..RankConfig::default()
        };
        let rankers = crossed_rankers(folds, &how)?;
        out.insert(
            name.into(),
            rates(&questions.data, folds, &heads, &rankers)?,
        );
    }
    Ok(out)
}

fn without(row: &Row, questions: &Questions, vqa: &VqaRad, fitted: &Fitted) -> Result<Learned> {
    let mut learned = fitted.learned.clone();
    let kept: Vec<usize> = fitted
        .fold
        .train
        .iter()
        .copied()
        .filter(|r| row.templates || vqa.questions[*r].phrase_type != "frame")
        .collect();
    let answers = learned.config.answers.len();
    let (mut memory, tensors) = remember(
        &questions.data,
        &kept,
        &questions.easy,
        answers,
        &(row.memory)(),
    )?;
    (memory.trust, memory.weight) = row.mix;
    learned.tensors.extend(tensors);
    learned.config.memory = Some(memory);
    Ok(learned)
}

/// For heads that are judged without a ranker.
pub fn no_rankers(folds: &[Fitted]) -> Vec<Option<RankerTensors>> {
    vec![None; folds.len()]
}

/// Rates by set of questions, over the folds that are judged.
///
/// - `data`: the features by which questions are asked
/// - `heads`, `rankers`: of each fold
pub fn rates(
    data: &AnswerData,
    folds: &[Fitted],
    heads: &[Learned],
    rankers: &[Option<RankerTensors>],
) -> Result<BTreeMap<String, VqaScore>> {
    let mut sets: BTreeMap<String, Judged> = BTreeMap::new();
    for ((fitted, learned), ranker) in folds.iter().zip(heads).zip(rankers) {
        if !fitted.judged {
            continue;
        }
        let head = learned.head(ranker.as_ref())?;
        let judged = judge(&head, data, &fitted.fold.asked, Control::Image)?;
        gather(&mut sets, fitted.fold.name.into(), judged);
    }
    scores(&sets)
}

/// What each set's answers score, whatever their confidence.
pub fn scores(sets: &BTreeMap<String, Judged>) -> Result<BTreeMap<String, VqaScore>> {
    sets.iter()
        .map(|(name, judged)| Ok((name.clone(), score(&judged.at(1.0, 0.0))?)))
        .collect()
}
