//! What each method does with a job's cases.

use lucency_nn::{Interrupt, Progress};
use lucency_train::finetune::{
    Calibration, Calibrator, Learned, Method, Scorer, Task, TunePlan, fit_probe, tune, tune_pairs,
};
use lucency_train::probe::{Labels, ProbePlan};
use lucency_train::run::Ending;

use super::amount::folds_of;
use super::decide::decisions;
use super::divide::{LEAST_PATIENTS, Sides};
use super::fit::{Made, Site, counts, json};
use super::judge::Details;
use super::learning_pairs::{judge_in_folds, learn};
use super::pairs::{PairsReport, gate_pairs, judge_pairs, with_report};
use super::refuse;
use super::scored::{Judged, Scored};
use super::train_report::TrainReport;
use crate::error::{AssistantError, Result};

/// Folds of whole patients by which pairs are judged that nobody was left out of.
pub(super) const FOLDS: usize = 5;

impl Site<'_> {
    pub(super) fn probe(
        &self,
        plan: &ProbePlan,
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<TrainReport> {
        let table = self.table()?;
        let counts = counts(&table, &self.groups);
        let rows: Vec<usize> = (0..self.groups.len()).collect();
        let strata = strata(&table.labels);
        // Cross-validation leaves out patients by itself, so nobody is set aside unless the table says so.
        let mut sides = Sides::of(&self.cases, &self.groups, &rows, &strata, 0, plan.seed)?;
        sides.train.append(&mut sides.validation);
        sides.train.sort_unstable();
        let record = self.keep(&sides, plan.seed)?;
        let fewest = counts.iter().map(|c| c.patients).min().unwrap_or(2);
        let plan = ProbePlan {
            folds: plan.folds.min(fewest).max(2),
            ..plan.clone()
        };
        let labels = table.labels.select(&sides.train);
        let of: Vec<u64> = sides.train.iter().map(|i| self.groups[*i]).collect();
        let outcome = fit_probe(
            &self.base.clip,
            self.base.preprocess(),
            &self.cases.chosen(&sides.train),
            &labels,
            &of,
            self.job.sets,
            &plan,
            stop,
            progress,
        )?;
        let (outcome, left_out) = match self.calibration() {
            Calibration::Standard => {
                let left_out = outcome.left_out_probabilities();
                (outcome, left_out)
            }
            how => outcome.recalibrated(how, &labels, &of, plan.seed)?,
        };
        let scorer = Scorer::of_probe(
            outcome.probe.clone(),
            outcome.features,
            table.exclusive(),
            Some(outcome.calibration.clone()),
        );
        let mut manifest = self.manifest(Method::Probe, plan.seed);
        manifest.features = Some(outcome.features);
        manifest.calibration = Some(outcome.calibration.clone());
        decisions(&mut manifest, &table, &left_out, &labels);
        let mut report = self.report(Method::Probe);
        report.features = Some(outcome.features);
        report.strength = Some(outcome.probe.strength);
        report.choices = outcome.choices.clone();
        report.labels = counts;
        let judged = match sides.test.is_empty() {
            true => Judged {
                rows: &sides.train,
                scored: Scored {
                    plain: outcome.left_out.iter().map(|z| scorer.plain(z)).collect(),
                    calibrated: left_out,
                },
                calibration: Some((self.calibration(), sides.train.len())),
                how: "all cases, each by a fit without its patient",
            },
            false => Judged {
                rows: &sides.test,
                scored: self.score(&scorer, &sides.test, stop, progress)?,
                calibration: Some((self.calibration(), sides.train.len())),
                how: "the table's test cases",
            },
        };
        let details = self.judge(&table, Some(judged), &mut report, stop, progress)?;
        let made = Made {
            manifest,
            report,
            details,
            record,
        };
        let plan = json(&plan)?;
        self.write(made, &sides, Learned::Probe(&outcome.probe), Some(plan))
    }

    pub(super) fn classes(
        &self,
        plan: &TunePlan,
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<TrainReport> {
        let table = self.table()?;
        let counts = counts(&table, &self.groups);
        let fewest = counts.iter().map(|c| c.patients).min().unwrap_or(0);
        let strata = strata(&table.labels);
        let known = |i: &usize| !strata[*i].is_empty();
        let rows: Vec<usize> = (0..self.groups.len()).filter(known).collect();
        let sides = Sides::of(&self.cases, &self.groups, &rows, &strata, fewest, plan.seed)?;
        let record = self.keep(&sides, plan.seed)?;
        let task = Task {
            pictures: &self.cases,
            labels: &table.labels,
            names: &table.names,
            templates: self.base.templates(),
            train: &sides.train,
            validation: &sides.validation,
        };
        let tuned = tune(self.base.model(), task, plan, self.job.run, stop, progress)?;
        if tuned.ending == Ending::Stopped {
            return Err(AssistantError::Stopped);
        }
        let mut report = self.report(plan.method);
        report.steps = Some(tuned.steps);
        report.labels = counts;
        let mut manifest = self.manifest(plan.method, plan.seed);
        let templates = self.base.templates();
        let (names, exclusive) = (&table.names, table.exclusive());
        let mut scorer = Scorer::of_towers(tuned.towers, names, templates, exclusive, None)?;
        manifest.classes = table.names.clone();
        manifest.exclusive = exclusive;
        if !sides.validation.is_empty() {
            let labels = table.labels.select(&sides.validation);
            let chosen = self.cases.chosen(&sides.validation);
            let (clip, preprocess) = (&self.base.clip, self.base.preprocess());
            let logits = scorer.logits(clip, preprocess, &chosen, stop, progress)?;
            // A class without a validation case cannot be calibrated; its probabilities stay as they are.
            manifest.calibration = Calibrator::fit(self.calibration(), &logits, &labels).ok();
            scorer = scorer.calibrated(manifest.calibration.clone());
            let validated: Vec<Vec<f64>> = logits.iter().map(|z| scorer.probability(z)).collect();
            decisions(&mut manifest, &table, &validated, &labels);
        }
        let judged = match sides.test.is_empty() {
            true => None,
            false => Some(Judged {
                rows: &sides.test,
                scored: self.score(&scorer, &sides.test, stop, progress)?,
                calibration: (manifest.calibration.is_some())
                    .then_some((self.calibration(), sides.validation.len())),
                how: match self.cases.parts {
                    Some(_) => "the table's test cases",
                    None => "a fifth of the patients, who were left out",
                },
            }),
        };
        let details = self.judge(&table, judged, &mut report, stop, progress)?;
        let none = || refuse("failed", "the run left no towers");
        let towers = scorer.towers().ok_or_else(none)?;
        // Learned words before class names leave the towers alone.
        if plan.method != Method::Prompt {
            self.look_back(towers, &mut report, stop, progress)?;
        }
        let made = Made {
            manifest,
            report,
            details,
            record,
        };
        self.write(made, &sides, Learned::Tuned(plan, towers), None)
    }

    pub(super) fn pairs(
        &self,
        plan: &TunePlan,
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<TrainReport> {
        if self.job.request.data.columns.report.is_none() {
            return Err(refuse(
                "bad_columns",
                "--columns: contrastive training learns from reports; name their column with report=COLUMN",
            ));
        }
        let rows = with_report(&self.cases);
        let mut patients: Vec<u64> = rows.iter().map(|i| self.groups[*i]).collect();
        patients.sort_unstable();
        patients.dedup();
        let strata = vec![Vec::new(); self.groups.len()];
        let count = patients.len();
        // What is solved in one go is judged by fits that left patients out, so nobody is set aside unless the table says so.
        let fewest = if plan.report_heads { 0 } else { count };
        let mut sides = Sides::of(&self.cases, &self.groups, &rows, &strata, fewest, plan.seed)?;
        if plan.report_heads {
            sides.train.append(&mut sides.validation);
            sides.train.sort_unstable();
        }
        let record = self.keep(&sides, plan.seed)?;
        let in_folds = match plan.report_heads && sides.test.is_empty() && count >= LEAST_PATIENTS {
            true => self.pairs_in_folds(&sides.train, plan, stop, progress)?,
            false => None,
        };
        let tuned = tune_pairs(
            self.base.model(),
            &self.cases,
            &self.cases.reports,
            &sides.train,
            &sides.validation,
            plan,
            self.job.run,
            stop,
            progress,
        )?;
        if tuned.ending == Ending::Stopped {
            return Err(AssistantError::Stopped);
        }
        let mut report = self.report(plan.method);
        report.steps = Some(tuned.steps);
        if sides.test.len() >= 2 {
            let (towers, groups) = (&tuned.towers, &self.groups);
            let (base, cases) = (&self.base, &self.cases);
            let judged = judge_pairs(base, towers, cases, &sides.test, groups, stop, progress)?;
            report.gate = gate_pairs(&judged);
            report.judged_on = "patients who were left out".into();
            report.retrieval = Some(judged);
        } else if let Some(judged) = in_folds {
            report.gate = gate_pairs(&judged);
            report.judged_on = "all pairs, each by a fit without its patient".into();
            report.retrieval = Some(judged);
        }
        self.look_back(&tuned.towers, &mut report, stop, progress)?;
        let made = Made {
            manifest: self.manifest(plan.method, plan.seed),
            report,
            details: Details::default(),
            record,
        };
        self.write(made, &sides, Learned::Tuned(plan, &tuned.towers), None)
    }
}

impl Site<'_> {
    /// Retrieval on pairs by fits that left their patients out; none if the patients of a fold have a single pair.
    fn pairs_in_folds(
        &self,
        rows: &[usize],
        plan: &TunePlan,
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Option<PairsReport>> {
        let own: Vec<u64> = rows.iter().map(|i| self.groups[*i]).collect();
        let strata = vec![Vec::new(); rows.len()];
        let folds = folds_of(rows, &own, &strata, FOLDS, plan.seed)?;
        if folds.iter().any(|fold| fold.judged.len() < 2) {
            return Ok(None);
        }
        let (base, cases, groups) = (&self.base, &self.cases, &self.groups);
        let mut teach = |pool: &[usize], progress: &mut dyn FnMut(Progress)| {
            learn(base, cases, groups, pool, plan, stop, progress)
        };
        judge_in_folds(base, cases, groups, &folds, &mut teach, stop, progress).map(Some)
    }
}

fn strata(labels: &Labels) -> Vec<Vec<usize>> {
    (0..labels.len()).map(|i| labels.strata(i)).collect()
}
