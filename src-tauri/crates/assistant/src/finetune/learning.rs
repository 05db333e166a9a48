//! How much a method makes of few labels: learning curves on patients that stay the same.

use std::collections::BTreeSet;

use lucency_nn::{Interrupt, Progress};
use lucency_train::cohort::join_duplicates;
use lucency_train::finetune::{
    Evaluation, FeatureSet, LabelTable, Scorer, Task, evaluate, extract, fit_probe, tune,
};
use lucency_train::probe::{Labels, Probe, ProbePlan};
use lucency_train::run::Ending;
use lucency_train::statistics::Bootstrap;
use serde::Serialize;
use serde_json::json;

use super::amount::{Amount, few, folds, sides};
use super::cases::Cases;
use super::fit::refuse_contradictions;
use super::preset::refuse_narrow;
use super::{Base, Numbers, numbers, preset_of_method, refuse};
use crate::Options;
use crate::computing::long_work;
use crate::dto::{TrainingData, TrainingMethod, TrainingOptions};
use crate::error::{AssistantError, Result};
use crate::ledger;

/// How strongly a probe believes one patient a class, scikit-learn's `C`.
const FEW_SHOT_STRENGTH: f64 = 0.1;

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
    refuse_narrow(&plan.options, &options.compute)?;
    long_work(options, progress, |options, progress| {
        draw(options, plan, data, pack, stop, progress)
    })
}

fn draw(
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
