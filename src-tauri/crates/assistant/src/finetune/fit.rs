//! From a table to an adapter that is judged.

use std::path::Path;

use lucency_nn::{Interrupt, Progress};
use lucency_train::calibration::abstention_threshold;
use lucency_train::cohort::{SplitRecord, join_duplicates};
use lucency_train::finetune::{
    Adapter, AdapterManifest, BasePack, Calibrator, Evaluation, FORMAT, FeatureSet, Gate,
    LabelTable, Learned, Method, ProbeChoice, Scorer, Task, TunePlan, adapter_folder,
    contradictions, evaluate, fit_probe, gate, tune, tune_pairs,
};
use lucency_train::metrics::argmax;
use lucency_train::probe::{Labels, ProbePlan};
use lucency_train::run::Ending;
use lucency_train::statistics::Bootstrap;
use serde::{Deserialize, Serialize};

use super::cases::Cases;
use super::divide::Sides;
use super::judge::{Details, details, paths};
use super::pairs::{PairsReport, gate_pairs, judge_pairs, with_report};
use super::{Base, Numbers, refuse};
use crate::Options;
use crate::dto::{ClassCount, TrainingRequest};
use crate::error::{AssistantError, Result};

/// Accuracy wanted among the answers that an adapter gives, and the share of cases that it must answer.
const ANSWERED: (f64, f64) = (0.9, 0.5);

/// What was trained and how good it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrainReport {
    /// The adapter.
    pub adapter: String,
    /// How it was made.
    pub method: Method,
    /// Name of the pack.
    pub pack: String,
    /// Cases trained on, those that chose the step among them.
    pub trained_cases: usize,
    /// Their patients.
    pub trained_patients: usize,
    /// Cases and patients of each class in the table.
    pub labels: Vec<ClassCount>,
    /// What a probe reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<FeatureSet>,
    /// Its strength.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
    /// What each feature set gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<ProbeChoice>,
    /// Steps of a run by gradients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// How the figures below were had.
    pub judged_on: String,
    /// Before and after; none if no case was left out.
    #[serde(flatten)]
    pub evaluation: Option<Evaluation>,
    /// After contrastive training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<PairsReport>,
    /// Whether it may go live.
    pub gate: Gate,
}

/// What is to be trained.
pub struct Job<'a> {
    /// Where packs and adapters are.
    pub options: &'a Options,
    /// Name, cases, pack.
    pub request: &'a TrainingRequest,
    /// Method and plan.
    pub numbers: Numbers,
    /// Feature sets that a probe may choose from.
    pub sets: &'a [FeatureSet],
    /// Folder of checkpoints and log.
    pub run: &'a Path,
    /// When it was asked for, RFC 3339, UTC.
    pub created: String,
}

/// What was learned, before it is written.
struct Made {
    manifest: AdapterManifest,
    report: TrainReport,
    details: Details,
    record: SplitRecord,
}

/// Trains, judges and writes an adapter.
///
/// - returns its report; `stop` leaves a checkpoint in the run's folder, from which the same call goes on
///
/// Errors as the pieces do: with what is wrong with the table, the pack or the disk, and what to do. Nothing is overwritten.
pub fn fit(
    job: &Job<'_>,
    stop: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<TrainReport> {
    let dir = adapter_folder(&job.options.home, &job.request.name)?;
    if Adapter::read(&dir).is_ok() {
        return Err(refuse(
            "name_taken",
            format!(
                "there is an adapter `{}` already; choose another name",
                job.request.name
            ),
        ));
    }
    progress(Progress::new("loading the pack", 0, 0));
    let base = Base::open(job.options, job.request.pack.as_deref())?;
    let data = &job.request.data;
    let identity = base.identity();
    refuse_other_pack(job.run, &identity)?;
    let cases = Cases::read(data, base.preprocess(), &identity, &[], stop, progress)?;
    let groups = join_duplicates(&cases.members);
    let site = Site {
        job,
        base,
        cases,
        groups,
        dir: &dir,
    };
    match &job.numbers {
        Numbers::Probe(plan) => site.probe(plan, stop, progress),
        Numbers::Tune(plan) if plan.method == Method::Contrastive => {
            site.pairs(plan, stop, progress)
        }
        Numbers::Tune(plan) => site.classes(plan, stop, progress),
    }
}

/// Keeps in the run's folder which pack it began on, and refuses another one.
fn refuse_other_pack(run: &Path, identity: &BasePack) -> Result<()> {
    let path = run.join("base.json");
    let io = |source| AssistantError::Io {
        what: "the run's folder".into(),
        source,
    };
    let Ok(text) = std::fs::read_to_string(&path) else {
        std::fs::create_dir_all(run).map_err(io)?;
        return std::fs::write(&path, json(identity)?).map_err(io);
    };
    match serde_json::from_str::<BasePack>(&text) {
        Ok(before) if before == *identity => Ok(()),
        Ok(before) => Err(refuse(
            "pack_changed",
            format!(
                "the run began on another `{}` than is installed now; install that one again, or begin a new run",
                before.name
            ),
        )),
        // Cut off while it was written: nothing was trained yet.
        Err(_) => std::fs::write(&path, json(identity)?).map_err(io),
    }
}

/// The pack and the cases of one job.
struct Site<'a> {
    job: &'a Job<'a>,
    base: Base,
    cases: Cases,
    groups: Vec<u64>,
    dir: &'a Path,
}

impl Site<'_> {
    fn table(&self) -> Result<LabelTable> {
        if self.cases.labels.is_empty() {
            return Err(refuse(
                "bad_columns",
                "--columns: this method learns from labels; name a column with label=COLUMN",
            ));
        }
        let table = LabelTable::read(&self.cases.labels, &self.groups)?;
        refuse_contradictions(&self.cases, &table)?;
        Ok(table)
    }

    fn manifest(&self, method: Method, seed: u64) -> AdapterManifest {
        AdapterManifest {
            format: FORMAT,
            name: self.job.request.name.clone(),
            method,
            base: self.base.identity(),
            classes: Vec::new(),
            exclusive: true,
            features: None,
            calibration: None,
            renamed: self.cases.renamed.clone(),
            cases: 0,
            patients: 0,
            seed,
            operating_points: Vec::new(),
            abstain_below: 0.0,
            created: self.job.created.clone(),
            notes: self.job.request.notes.clone(),
            files: Default::default(),
        }
    }

    fn report(&self, method: Method) -> TrainReport {
        TrainReport {
            adapter: self.job.request.name.clone(),
            method,
            pack: self.base.identity().name,
            trained_cases: 0,
            trained_patients: 0,
            labels: Vec::new(),
            features: None,
            strength: None,
            choices: Vec::new(),
            steps: None,
            judged_on: "nothing: no case was left out".into(),
            evaluation: None,
            retrieval: None,
            gate: Gate {
                passes: false,
                reasons: vec![
                    "no case was left out to judge it on; add cases of other patients, or judge it by `lucency eval finetune`"
                        .into(),
                ],
            },
        }
    }

    /// The division, kept in the run's folder: a run that is taken up again must see the same cases.
    fn keep(&self, sides: &Sides, seed: u64) -> Result<SplitRecord> {
        let record = sides.record(&self.cases, seed);
        let path = self.job.run.join("split.json");
        if !path.is_file() {
            std::fs::create_dir_all(self.job.run).map_err(|source| AssistantError::Io {
                what: "the run's folder".into(),
                source,
            })?;
            record.save(&path)?;
        } else if SplitRecord::load(&path)? != record {
            return Err(refuse(
                "cases_changed",
                "the table or its images changed since the run began; put them back, or begin a new run under another name",
            ));
        }
        Ok(record)
    }

    fn probe(
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
        let scorer = Scorer::of_probe(
            outcome.probe.clone(),
            outcome.features,
            table.exclusive(),
            outcome.calibration.clone(),
        );
        let left_out = outcome.left_out_probabilities();
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
                after: left_out,
                how: "all cases, each by a fit without its patient",
            },
            false => Judged {
                rows: &sides.test,
                after: self.probabilities(&scorer, &sides.test, stop, progress)?,
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

    fn classes(
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
            manifest.calibration = Calibrator::fit(&logits, &labels).ok();
            scorer = scorer.calibrated(manifest.calibration.clone());
            let validated: Vec<Vec<f64>> = logits.iter().map(|z| scorer.probability(z)).collect();
            decisions(&mut manifest, &table, &validated, &labels);
        }
        let judged = match sides.test.is_empty() {
            true => None,
            false => Some(Judged {
                rows: &sides.test,
                after: self.probabilities(&scorer, &sides.test, stop, progress)?,
                how: match self.cases.parts {
                    Some(_) => "the table's test cases",
                    None => "a fifth of the patients, who were left out",
                },
            }),
        };
        let details = self.judge(&table, judged, &mut report, stop, progress)?;
        let made = Made {
            manifest,
            report,
            details,
            record,
        };
        let none = || refuse("failed", "the run left no towers");
        let towers = scorer.towers().ok_or_else(none)?;
        self.write(made, &sides, Learned::Tuned(plan, towers), None)
    }

    fn pairs(
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
        let sides = Sides::of(&self.cases, &self.groups, &rows, &strata, count, plan.seed)?;
        let record = self.keep(&sides, plan.seed)?;
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
        }
        let made = Made {
            manifest: self.manifest(plan.method, plan.seed),
            report,
            details: Details::default(),
            record,
        };
        self.write(made, &sides, Learned::Tuned(plan, &tuned.towers), None)
    }

    fn probabilities(
        &self,
        scorer: &Scorer,
        rows: &[usize],
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Vec<f64>>> {
        let (clip, preprocess) = (&self.base.clip, self.base.preprocess());
        let chosen = self.cases.chosen(rows);
        Ok(scorer.probabilities(clip, preprocess, &chosen, stop, progress)?)
    }

    /// Puts the figures into the report; returns what is shown beside them.
    fn judge(
        &self,
        table: &LabelTable,
        judged: Option<Judged<'_>>,
        report: &mut TrainReport,
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Details> {
        let Some(judged) = judged else {
            return Ok(Details::default());
        };
        let zero_shot = self.base.zero_shot(&table.names, table.exclusive())?;
        let chosen = self.cases.chosen(judged.rows);
        let (clip, preprocess) = (&self.base.clip, self.base.preprocess());
        let before = zero_shot.probabilities(clip, preprocess, &chosen, stop, progress)?;
        let own = LabelTable {
            names: table.names.clone(),
            labels: table.labels.select(judged.rows),
        };
        let patients: Vec<u64> = judged.rows.iter().map(|i| self.groups[*i]).collect();
        let plan = Bootstrap::default();
        let found = evaluate(
            &own.names,
            &judged.after,
            &before,
            &own.labels,
            &patients,
            &plan,
        )?;
        report.gate = gate(&found);
        report.judged_on = judged.how.to_owned();
        report.evaluation = Some(found);
        let files = paths(&self.cases, judged.rows);
        details(&own, &judged.after, &before, &files)
    }

    /// Writes the adapter's folder.
    fn write(
        &self,
        made: Made,
        sides: &Sides,
        learned: Learned<'_>,
        plan: Option<String>,
    ) -> Result<TrainReport> {
        let Made {
            mut manifest,
            mut report,
            details,
            record,
        } = made;
        let trained: Vec<usize> = [&sides.train[..], &sides.validation].concat();
        let mut patients: Vec<u64> = trained.iter().map(|i| self.groups[*i]).collect();
        patients.sort_unstable();
        patients.dedup();
        (manifest.cases, manifest.patients) = (trained.len(), patients.len());
        (report.trained_cases, report.trained_patients) = (trained.len(), patients.len());
        let mut beside = vec![
            ("split.json", json(&record)?),
            ("report.json", json(&report)?),
            ("details.json", json(&details)?),
        ];
        beside.extend(plan.map(|plan| ("plan.json", plan)));
        Adapter::write(self.dir, manifest, learned, &beside)?;
        Ok(report)
    }
}

/// Rows that were judged, with their probabilities.
struct Judged<'a> {
    rows: &'a [usize],
    after: Vec<Vec<f64>>,
    how: &'static str,
}

/// Cases and patients of each class.
pub fn counts(table: &LabelTable, groups: &[u64]) -> Vec<ClassCount> {
    let count = |(name, cases, patients)| ClassCount {
        name,
        cases,
        patients,
    };
    table.counts(groups).into_iter().map(count).collect()
}

fn strata(labels: &Labels) -> Vec<Vec<usize>> {
    (0..labels.len()).map(|i| labels.strata(i)).collect()
}

/// Classes, operating points and the limit below which the adapter does not know, from cases that were left out of the fit.
fn decisions(
    manifest: &mut AdapterManifest,
    table: &LabelTable,
    probabilities: &[Vec<f64>],
    labels: &Labels,
) {
    manifest.classes = table.names.clone();
    manifest.exclusive = table.exclusive();
    match labels {
        Labels::Findings { findings, .. } => {
            manifest.operating_points = (0..*findings)
                .map(|f| youden(probabilities, labels, f))
                .collect();
        }
        Labels::Classes { of, .. } => {
            let (sure, right): (Vec<f64>, Vec<bool>) = of
                .iter()
                .zip(probabilities)
                .filter_map(|(class, p)| class.map(|class| (p[argmax(p)], argmax(p) == class)))
                .unzip();
            let (accuracy, least) = ANSWERED;
            manifest.abstain_below =
                abstention_threshold(&sure, &right, accuracy, least).unwrap_or(0.0);
        }
    }
}

/// The threshold with the largest sum of sensitivity and specificity. Source: Youden 1950.
fn youden(probabilities: &[Vec<f64>], labels: &Labels, finding: usize) -> f64 {
    let known: Vec<(f64, bool)> = (0..labels.len())
        .filter_map(|i| Some((probabilities[i][finding], labels.truth(i, finding)?)))
        .collect();
    let share = |wanted: bool, at: f64| {
        let of: Vec<&(f64, bool)> = known.iter().filter(|(_, t)| *t == wanted).collect();
        let hits = of.iter().filter(|(p, _)| (*p >= at) == wanted).count();
        hits as f64 / of.len().max(1) as f64
    };
    let mut best = (0.5, f64::NEG_INFINITY);
    for (at, _) in &known {
        let sum = share(true, *at) + share(false, *at);
        if sum > best.1 {
            best = (*at, sum);
        }
    }
    best.0
}

/// Refuses one image with two labels.
pub fn refuse_contradictions(cases: &Cases, table: &LabelTable) -> Result<()> {
    let images: Vec<String> = cases
        .members
        .iter()
        .map(|m| m.fingerprint.exact.clone())
        .collect();
    let pairs = contradictions(&images, &table.labels);
    let Some((a, b)) = pairs.first() else {
        return Ok(());
    };
    Err(refuse(
        "contradictory_labels",
        format!(
            "rows {} and {} show one image with different labels ({} such pairs); settle which is right",
            a + 1,
            b + 1,
            pairs.len()
        ),
    ))
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| refuse("json", e.to_string()))
}
