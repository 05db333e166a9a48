//! How much a method makes of few labels: learning curves on patients that stay the same.

use std::collections::BTreeSet;

use lucency_nn::{Interrupt, Progress};
use lucency_train::cohort::{join_duplicates, stratified_parts};
use lucency_train::finetune::{
    Evaluation, FeatureSet, LabelTable, Scorer, Task, evaluate, fit_probe, tune,
};
use lucency_train::probe::{Labels, ProbePlan};
use lucency_train::run::Ending;
use lucency_train::statistics::Bootstrap;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde_json::json;

use super::cases::Cases;
use super::divide::Sides;
use super::fit::refuse_contradictions;
use super::{Base, Numbers, numbers, preset_of_method, refuse};
use crate::Options;
use crate::dto::{TrainingData, TrainingMethod, TrainingOptions};
use crate::error::{AssistantError, Result};
use crate::ledger;

/// Shares of patients to learn from and to judge on.
const SHARES: [f64; 2] = [0.6, 0.4];

/// How many labelled cases of each class are learned from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// So many; fewer where a class has not so many.
    Shots(usize),
    /// So many in a hundred of what there are, at least one.
    Percent(f64),
}

impl Amount {
    /// Of a class of `all` cases.
    fn of(self, all: usize) -> usize {
        match self {
            Self::Shots(n) => n.min(all),
            Self::Percent(share) => {
                ((share / 100.0 * all as f64).round() as usize).clamp(1, all.max(1))
            }
        }
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shots(n) => write!(f, "{n}"),
            Self::Percent(share) => write!(f, "{share} %"),
        }
    }
}

/// A learning curve that is asked for.
pub struct LearningPlan {
    /// Which method.
    pub method: TrainingMethod,
    /// How many labels of each class, ascending.
    pub amounts: Vec<Amount>,
    /// Numbers other than the preset's.
    pub options: TrainingOptions,
}

/// What a number of labels gave.
#[derive(Debug, Serialize)]
pub struct LearningPoint {
    /// What was asked for.
    #[serde(flatten)]
    pub amount: Amount,
    /// Cases that were learned from.
    pub cases: usize,
    /// Macro AUROC on the judged cases.
    pub auroc: Option<f64>,
    /// Lower end of its 95 % interval over patients.
    pub auroc_low: Option<f64>,
    /// Upper end.
    pub auroc_high: Option<f64>,
    /// Why there is no figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A learning curve.
#[derive(Debug, Serialize)]
pub struct LearningCurve {
    /// Which method.
    pub method: TrainingMethod,
    /// Name of the pack.
    pub pack: String,
    /// Judged cases, the same for every point.
    pub judged_cases: usize,
    /// Their patients.
    pub judged_patients: usize,
    /// Zero-shot macro AUROC of the pack on them.
    pub base_auroc: Option<f64>,
    /// Lower end of its interval.
    pub base_auroc_low: Option<f64>,
    /// Upper end.
    pub base_auroc_high: Option<f64>,
    /// By rising number of labels.
    pub points: Vec<LearningPoint>,
}

/// Draws a learning curve: for each number of labels a class the method learns from so many cases, and all are judged on the same
/// patients, who are the table's test cases or two fifths of the patients.
///
/// Nothing is validated: few labels leave none to validate on. Points that cannot be had carry a note.
/// Errors if the table's labels are findings, or as training does.
pub fn learning_curve(
    options: &Options,
    plan: &LearningPlan,
    data: &TrainingData,
    pack: Option<&str>,
    stop: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<LearningCurve> {
    let started = ledger::now();
    let (_, numbers) = numbers(&preset_of_method(plan.method), &plan.options)?;
    let base = Base::open(options, pack)?;
    let cases = Cases::read(
        data,
        base.preprocess(),
        &base.identity(),
        &[],
        stop,
        progress,
    )?;
    let groups = join_duplicates(&cases.members);
    let table = LabelTable::read(&cases.labels, &groups)?;
    refuse_contradictions(&cases, &table)?;
    let Labels::Classes { of, .. } = &table.labels else {
        return Err(refuse(
            "bad_data",
            "a learning curve counts labels of classes; name one column of class names",
        ));
    };
    let seed = plan.options.seed.unwrap_or(1);
    let (pool, judged) = sides(&cases, &groups, &table, seed)?;
    let patients: Vec<u64> = judged.iter().map(|i| groups[*i]).collect();
    let zero_shot = base.zero_shot(&table.names, true)?;
    let chosen = cases.chosen(&judged);
    let (clip, preprocess) = (&base.clip, base.preprocess());
    let before = zero_shot.probabilities(clip, preprocess, &chosen, stop, progress)?;
    let labels = table.labels.select(&judged);
    let judge = |after: &[Vec<f64>]| -> Result<Evaluation> {
        let resamples = Bootstrap::default();
        let names = &table.names;
        Ok(evaluate(
            names, after, &before, &labels, &patients, &resamples,
        )?)
    };
    let own = judge(&before)?.base.overall;
    let mut curve = LearningCurve {
        method: plan.method,
        pack: base.identity().name,
        judged_cases: judged.len(),
        judged_patients: patients.iter().collect::<BTreeSet<_>>().len(),
        base_auroc: own.auroc,
        base_auroc_low: own.auroc_low,
        base_auroc_high: own.auroc_high,
        points: Vec::new(),
    };
    for amount in &plan.amounts {
        let rows = few(of, &groups, &pool, *amount, seed);
        let learner = Learner {
            base: &base,
            cases: &cases,
            groups: &groups,
            table: &table,
            numbers: &numbers,
        };
        let scorer = match learner.learn(&rows, stop, progress) {
            Err(AssistantError::Stopped) => return Err(AssistantError::Stopped),
            Err(error) => {
                curve.points.push(LearningPoint {
                    amount: *amount,
                    cases: rows.len(),
                    auroc: None,
                    auroc_low: None,
                    auroc_high: None,
                    note: Some(error.to_string()),
                });
                continue;
            }
            Ok(scorer) => scorer,
        };
        let after = scorer.probabilities(clip, preprocess, &chosen, stop, progress)?;
        let found = judge(&after)?.adapted.overall;
        curve.points.push(LearningPoint {
            amount: *amount,
            cases: rows.len(),
            auroc: found.auroc,
            auroc_low: found.auroc_low,
            auroc_high: found.auroc_high,
            note: None,
        });
    }
    let outcome = json!({
        "cases": curve.judged_cases,
        "base_auroc": curve.base_auroc,
        "auroc_by_amount": curve.points.iter().map(|p| (p.amount, p.auroc)).collect::<Vec<_>>(),
    });
    let what = ("learning curve", started);
    ledger::judged(
        &options.home,
        data,
        (&base.identity().hash, None),
        what,
        outcome,
    )?;
    Ok(curve)
}

/// Rows to learn from and rows to judge.
fn sides(
    cases: &Cases,
    groups: &[u64],
    table: &LabelTable,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>)> {
    let strata: Vec<Vec<usize>> = (0..groups.len()).map(|i| table.labels.strata(i)).collect();
    let known: Vec<usize> = (0..groups.len())
        .filter(|i| !strata[*i].is_empty())
        .collect();
    if cases.parts.is_some() {
        let sides = Sides::of(cases, groups, &known, &strata, 0, seed)?;
        if !sides.test.is_empty() {
            return Ok(([sides.train, sides.validation].concat(), sides.test));
        }
    }
    let own: Vec<u64> = known.iter().map(|i| groups[*i]).collect();
    let labels: Vec<Vec<usize>> = known.iter().map(|i| strata[*i].clone()).collect();
    let parts = stratified_parts(&own, &labels, &SHARES, seed)?;
    let of = |part: usize| {
        let pairs = known.iter().zip(&parts);
        pairs
            .filter(|(_, p)| **p == part)
            .map(|(i, _)| *i)
            .collect()
    };
    Ok((of(0), of(1)))
}

/// So many cases of each class, of different patients first.
fn few(
    of: &[Option<usize>],
    groups: &[u64],
    pool: &[usize],
    amount: Amount,
    seed: u64,
) -> Vec<usize> {
    let mut order = pool.to_vec();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let classes: BTreeSet<usize> = of.iter().flatten().copied().collect();
    let mut rows = Vec::new();
    for class in classes {
        let mut seen = BTreeSet::new();
        let own = order.iter().filter(|i| of[**i] == Some(class));
        let (first, again): (Vec<usize>, Vec<usize>) =
            own.copied().partition(|i| seen.insert(groups[*i]));
        let own: Vec<usize> = first.into_iter().chain(again).collect();
        rows.extend(own.iter().take(amount.of(own.len())));
    }
    rows.sort_unstable();
    rows
}

/// A method with the cases of a curve.
struct Learner<'a> {
    base: &'a Base,
    cases: &'a Cases,
    groups: &'a [u64],
    table: &'a LabelTable,
    numbers: &'a Numbers,
}

impl Learner<'_> {
    fn learn(
        &self,
        rows: &[usize],
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Scorer> {
        match self.numbers {
            Numbers::Probe(plan) => {
                let labels = self.table.labels.select(rows);
                let of: Vec<u64> = rows.iter().map(|i| self.groups[*i]).collect();
                let plan = ProbePlan {
                    folds: plan.folds.min(rows.len() / self.table.names.len()).max(2),
                    ..plan.clone()
                };
                let outcome = fit_probe(
                    &self.base.clip,
                    self.base.preprocess(),
                    &self.cases.chosen(rows),
                    &labels,
                    &of,
                    &FeatureSet::ALL,
                    &plan,
                    stop,
                    progress,
                )?;
                let (probe, features) = (outcome.probe, outcome.features);
                Ok(Scorer::of_probe(probe, features, true, outcome.calibration))
            }
            Numbers::Tune(plan) => {
                let run = tempfile::tempdir().map_err(|source| AssistantError::Io {
                    what: "a folder for the run".into(),
                    source,
                })?;
                let task = Task {
                    pictures: self.cases,
                    labels: &self.table.labels,
                    names: &self.table.names,
                    templates: self.base.templates(),
                    train: rows,
                    validation: &[],
                };
                let tuned = tune(self.base.model(), task, plan, run.path(), stop, progress)?;
                if tuned.ending == Ending::Stopped {
                    return Err(AssistantError::Stopped);
                }
                let (names, templates) = (&self.table.names, self.base.templates());
                Ok(Scorer::of_towers(
                    tuned.towers,
                    names,
                    templates,
                    true,
                    None,
                )?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_labels_are_of_different_patients_first_and_grow_by_addition() {
        let of: Vec<Option<usize>> = (0..40).map(|i| Some(i % 2)).collect();
        let groups: Vec<u64> = (0..40).map(|i| i / 4).collect();
        let pool: Vec<usize> = (0..36).collect();
        let five = few(&of, &groups, &pool, Amount::Shots(5), 3);
        assert_eq!(five.len(), 10);
        let patients: BTreeSet<u64> = five
            .iter()
            .filter(|i| *i % 2 == 0)
            .map(|i| groups[*i])
            .collect();
        assert_eq!(patients.len(), 5, "five of one class are five patients");
        let nine = few(&of, &groups, &pool, Amount::Shots(9), 3);
        assert!(
            five.iter().all(|i| nine.contains(i)),
            "more labels hold the fewer"
        );
        assert_eq!(few(&of, &groups, &pool, Amount::Shots(99), 3).len(), 36);
        let part = |percent| few(&of, &groups, &pool, Amount::Percent(percent), 3).len();
        assert_eq!([part(1.0), part(50.0), part(100.0)], [2, 18, 36]);
    }
}
