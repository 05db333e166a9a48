//! How much a method makes of few labels: learning curves on patients that stay the same.

use std::collections::BTreeSet;

use lucency_nn::{Interrupt, Progress};
use lucency_train::cohort::{join_duplicates, stratified_parts};
use lucency_train::finetune::{
    Evaluation, FeatureSet, LabelTable, Scorer, Task, evaluate, extract, fit_probe, tune,
};
use lucency_train::probe::{Labels, Probe, ProbePlan};
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
/// How strongly a probe believes one patient a class, scikit-learn's `C`.
const FEW_SHOT_STRENGTH: f64 = 0.1;

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
    /// Judge every case, in so many folds of whole patients each of which is learned from the others; none to judge two fifths of the
    /// patients, or the table's test cases.
    pub folds: Option<usize>,
    /// Numbers other than the preset's.
    pub options: TrainingOptions,
}

/// What a number of labels gave.
#[derive(Debug, Serialize)]
pub struct LearningPoint {
    /// What was asked for.
    #[serde(flatten)]
    pub amount: Amount,
    /// Cases that were learned from; of folds the mean.
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
/// patients, who are the table's test cases or two fifths of the patients; or, in folds, all patients by what was learned from others.
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
    let divisions = match plan.folds {
        None => vec![sides(&cases, &groups, &table, seed)?],
        Some(count) => folds(&groups, &table, count, seed)?,
    };
    let judged: Vec<usize> = divisions.iter().flat_map(|d| d.judged.clone()).collect();
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
    let learner = Learner {
        base: &base,
        cases: &cases,
        groups: &groups,
        table: &table,
        numbers: &numbers,
    };
    for amount in &plan.amounts {
        let (mut learned_from, mut after) = (0, Vec::with_capacity(judged.len()));
        let mut note = None;
        for division in &divisions {
            let rows = few(of, &groups, &division.pool, *amount, seed);
            learned_from += rows.len();
            match learner.judge(&rows, &division.judged, stop, progress) {
                Err(AssistantError::Stopped) => return Err(AssistantError::Stopped),
                Err(error) => note = Some(error.to_string()),
                Ok(probabilities) => after.extend(probabilities),
            }
            if note.is_some() {
                break;
            }
        }
        let found = match note {
            None => Some(judge(&after)?.adapted.overall),
            Some(_) => None,
        };
        curve.points.push(LearningPoint {
            amount: *amount,
            cases: learned_from / divisions.len(),
            auroc: found.as_ref().and_then(|f| f.auroc),
            auroc_low: found.as_ref().and_then(|f| f.auroc_low),
            auroc_high: found.as_ref().and_then(|f| f.auroc_high),
            note,
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
struct Division {
    pool: Vec<usize>,
    judged: Vec<usize>,
}

/// Every case is judged once, by what was learned from the other folds' patients.
fn folds(groups: &[u64], table: &LabelTable, count: usize, seed: u64) -> Result<Vec<Division>> {
    let (known, own, labels) = with_label(groups, table);
    let parts = stratified_parts(&own, &labels, &vec![1.0 / count as f64; count], seed)?;
    let of = |wanted: &dyn Fn(usize) -> bool| -> Vec<usize> {
        let pairs = known.iter().zip(&parts);
        pairs
            .filter(|(_, part)| wanted(**part))
            .map(|(i, _)| *i)
            .collect()
    };
    Ok((0..count)
        .map(|fold| Division {
            pool: of(&|part| part != fold),
            judged: of(&|part| part == fold),
        })
        .collect())
}

/// Rows with a label, their groups, and their labels for stratification.
fn with_label(groups: &[u64], table: &LabelTable) -> (Vec<usize>, Vec<u64>, Vec<Vec<usize>>) {
    let known: Vec<usize> = (0..groups.len())
        .filter(|i| !table.labels.strata(*i).is_empty())
        .collect();
    let own = known.iter().map(|i| groups[*i]).collect();
    let labels = known.iter().map(|i| table.labels.strata(*i)).collect();
    (known, own, labels)
}

/// The table's own division, or three fifths of the patients to learn from and two to judge.
fn sides(cases: &Cases, groups: &[u64], table: &LabelTable, seed: u64) -> Result<Division> {
    let (known, own, labels) = with_label(groups, table);
    if cases.parts.is_some() {
        let strata: Vec<Vec<usize>> = (0..groups.len()).map(|i| table.labels.strata(i)).collect();
        let sides = Sides::of(cases, groups, &known, &strata, 0, seed)?;
        if !sides.test.is_empty() {
            return Ok(Division {
                pool: [sides.train, sides.validation].concat(),
                judged: sides.test,
            });
        }
    }
    let parts = stratified_parts(&own, &labels, &SHARES, seed)?;
    let of = |part: usize| {
        let pairs = known.iter().zip(&parts);
        pairs
            .filter(|(_, p)| **p == part)
            .map(|(i, _)| *i)
            .collect()
    };
    Ok(Division {
        pool: of(0),
        judged: of(1),
    })
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
    /// Patients of the class that has fewest.
    fn fewest_patients(&self, rows: &[usize]) -> usize {
        let of = |class| {
            let own = rows
                .iter()
                .filter(|i| self.table.labels.truth(**i, class) == Some(true));
            own.map(|i| self.groups[*i]).collect::<BTreeSet<_>>().len()
        };
        (0..self.table.names.len()).map(of).min().unwrap_or(0)
    }

    /// A probe of one patient a class: nobody can be left out to choose features or strength by, or to calibrate on.
    fn few_shot(
        &self,
        rows: &[usize],
        labels: &Labels,
        plan: &ProbePlan,
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Scorer> {
        let set = FeatureSet::ALL[0];
        let (clip, preprocess) = (&self.base.clip, self.base.preprocess());
        let chosen = self.cases.chosen(rows);
        let features = extract(clip, preprocess, &chosen, &[set], stop, progress)?.concat();
        let probe = Probe::fit_at(&features, labels, plan.weights, FEW_SHOT_STRENGTH)?;
        Ok(Scorer::of_probe(probe, set, true, None))
    }

    /// Probabilities of cases by what was learned from others, `[judged][classes]`.
    fn judge(
        &self,
        rows: &[usize],
        judged: &[usize],
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Vec<f64>>> {
        let scorer = self.learn(rows, stop, progress)?;
        let (clip, preprocess) = (&self.base.clip, self.base.preprocess());
        let chosen = self.cases.chosen(judged);
        Ok(scorer.probabilities(clip, preprocess, &chosen, stop, progress)?)
    }

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
                if self.fewest_patients(rows) < 2 {
                    return self.few_shot(rows, &labels, plan, stop, progress);
                }
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
                let calibration = Some(outcome.calibration);
                Ok(Scorer::of_probe(probe, features, true, calibration))
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
