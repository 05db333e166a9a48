//! From a table to an adapter that is judged.

use std::path::Path;

use lucency_nn::{Interrupt, Progress};
use lucency_train::cohort::{SplitRecord, join_duplicates};
use lucency_train::finetune::{
    Adapter, AdapterManifest, BasePack, Calibration, FORMAT, FeatureSet, Gate, LabelTable, Learned,
    Method, Scorer, Towers, adapter_folder, contradictions, evaluate, gate,
};
use lucency_train::statistics::Bootstrap;
use serde::Serialize;

use super::cases::Cases;
use super::divide::Sides;
use super::forgotten::{ForgottenTask, forgotten};
use super::judge::{Details, details, paths};
use super::preset::calibration_of;
use super::scored::{Judged, Scored};
use super::train_report::TrainReport;
use super::{Base, Numbers, refuse};
use crate::Options;
use crate::computing::long_work;
use crate::dto::{ClassCount, TrainingRequest};
use crate::error::{AssistantError, Result};

/// What is to be trained.
#[derive(Clone)]
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
pub(super) struct Made {
    pub manifest: AdapterManifest,
    pub report: TrainReport,
    pub details: Details,
    pub record: SplitRecord,
}

/// Trains, judges and writes an adapter.
///
/// - returns its report; `stop` leaves a checkpoint in the run's folder, from which the same call goes on
///
/// A device that fails in the middle is given up: the run goes on on the processor from its last checkpoint.
///
/// Errors as the pieces do: with what is wrong with the table, the pack or the disk, and what to do. Nothing is overwritten.
pub fn fit(
    job: &Job<'_>,
    stop: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<TrainReport> {
    long_work(job.options, progress, |options, progress| {
        let job = Job {
            options,
            ..job.clone()
        };
        fit_once(&job, stop, progress)
    })
}

fn fit_once(
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
pub(super) struct Site<'a> {
    pub job: &'a Job<'a>,
    pub base: Base,
    pub cases: Cases,
    pub groups: Vec<u64>,
    dir: &'a Path,
}

impl Site<'_> {
    pub(super) fn table(&self) -> Result<LabelTable> {
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

    pub(super) fn manifest(&self, method: Method, seed: u64) -> AdapterManifest {
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

    pub(super) fn report(&self, method: Method) -> TrainReport {
        TrainReport {
            adapter: self.job.request.name.clone(),
            method,
            pack: self.base.identity().name,
            trained_cases: 0,
            trained_patients: 0,
            trained_rows: None,
            labels: Vec::new(),
            features: None,
            strength: None,
            choices: Vec::new(),
            steps: None,
            judged_on: "nothing: no case was left out".into(),
            evaluation: None,
            recalibration: None,
            retrieval: None,
            forgotten: Vec::new(),
            gate: Gate {
                passes: false,
                reasons: vec![
                    "no case was left out to judge it on; add cases of other patients, or judge it by `lucency eval finetune --attach`"
                        .into(),
                ],
                warnings: Vec::new(),
            },
        }
    }

    /// The division, kept in the run's folder: a run that is taken up again must see the same cases.
    pub(super) fn keep(&self, sides: &Sides, seed: u64) -> Result<SplitRecord> {
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

    /// What an adapter says of rows, without and with its calibration.
    pub(super) fn score(
        &self,
        scorer: &Scorer,
        rows: &[usize],
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Scored> {
        let (clip, preprocess) = (&self.base.clip, self.base.preprocess());
        let chosen = self.cases.chosen(rows);
        let logits = scorer.logits(clip, preprocess, &chosen, stop, progress)?;
        Ok(Scored::of(scorer, &logits))
    }

    /// The calibration that was asked for.
    pub(super) fn calibration(&self) -> Calibration {
        calibration_of(self.job.request.options.calibration)
    }

    /// Puts the figures into the report; returns what is shown beside them.
    pub(super) fn judge(
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
            &judged.scored.calibrated,
            &before,
            &own.labels,
            &patients,
            &plan,
        )?;
        report.gate = gate(&found);
        if let Some((how, on)) = judged.calibration {
            report.recalibration = Some(judged.scored.worth(how, Some(on), &own.labels)?);
        }
        report.judged_on = judged.how.to_owned();
        report.evaluation = Some(found);
        let files = paths(&self.cases, judged.rows);
        details(&own, &judged.scored.calibrated, &before, &files)
    }

    /// Puts into the report what the adapted towers no longer know, and warns of it.
    pub(super) fn look_back(
        &self,
        towers: &Towers,
        report: &mut TrainReport,
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let tasks = forgotten(self.job.options, &self.base, towers, stop, progress)?;
        report.gate.warnings = tasks.iter().filter_map(ForgottenTask::warning).collect();
        report.forgotten = tasks;
        Ok(())
    }

    /// Writes the adapter's folder.
    pub(super) fn write(
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
        report.trained_rows = Some(trained.iter().copied().collect());
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

/// Cases and patients of each class.
pub fn counts(table: &LabelTable, groups: &[u64]) -> Vec<ClassCount> {
    let count = |(name, cases, patients)| ClassCount {
        name,
        cases,
        patients,
    };
    table.counts(groups).into_iter().map(count).collect()
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

pub(super) fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| refuse("json", e.to_string()))
}
