//! What each part of the answerer is worth: the same folds, with parts left out.

use std::collections::BTreeMap;

use anyhow::Result;
use lucency_train::answers::{
    Control, Judged, RankConfig, RememberConfig, Weighed, fit_ranker, judge, remember,
};
use lucency_train::metrics::vqa::{VqaScore, score};
use lucency_zoo::vqa::FACTS;
use rayon::prelude::*;

use super::folds::{Fitted, Learned};
use super::questions::Questions;
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
        mix: (0.25, 10.0),
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
        out.insert(row.name.into(), rates(questions, folds, &heads, &[])?);
    }
    let heads: Vec<Learned> = folds.iter().map(|f| f.learned.clone()).collect();
    for (name, blind) in [
        ("7 ranker over head and memory", FACTS),
        ("8 and what is known about the image", 0..0),
    ] {
        let rankers: Vec<_> = (0..folds.len())
            .into_par_iter()
            .map(|k| {
                let others = folds.iter().enumerate().filter(|(i, _)| *i != k);
                let asked: Vec<&Weighed> = others.flat_map(|(_, f)| &f.weighed).collect();
                let how = RankConfig {
                    blind: blind.clone(),
                    ..RankConfig::default()
                };
                Ok(fit_ranker(&asked, &how)?)
            })
            .collect::<Result<_>>()?;
        out.insert(name.into(), rates(questions, folds, &heads, &rankers)?);
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

fn rates(
    questions: &Questions,
    folds: &[Fitted],
    heads: &[Learned],
    rankers: &[super::folds::RankerTensors],
) -> Result<BTreeMap<String, VqaScore>> {
    let mut sets: BTreeMap<String, Judged> = BTreeMap::new();
    for (k, (fitted, learned)) in folds.iter().zip(heads).enumerate() {
        let head = learned.head(rankers.get(k))?;
        let judged = judge(&head, &questions.data, &fitted.fold.asked, Control::Image)?;
        match sets.get_mut(fitted.fold.name) {
            Some(set) => set.extend(judged),
            None => drop(sets.insert(fitted.fold.name.into(), judged)),
        }
    }
    sets.iter()
        .map(|(name, judged)| Ok((name.clone(), score(&judged.at(1.0, 0.0))?)))
        .collect()
}
