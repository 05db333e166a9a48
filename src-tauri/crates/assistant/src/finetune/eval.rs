//! An adapter beside its base pack, on cases that it was not trained on.

use std::path::Path;

use lucency_nn::{Interrupt, Progress};
use lucency_train::cohort::{
    Leak, LeakKind, Member, Part, SplitRecord, find_leaks, join_duplicates,
};
use lucency_train::finetune::{
    Adapter, Calibration, Evaluation, Gate, LabelTable, Method, Pictures, Recalibration, Scorer,
    adapter_folder, evaluate, gate, with_adapter,
};
use lucency_train::statistics::Bootstrap;
use serde::Serialize;
use serde_json::json;

use super::adapters::VERDICT_CASES;
use super::attach::{attach, refuse_second};
use super::cases::Cases;
use super::judge::scores_table;
use super::pairs::{PairsReport, gate_pairs, judge_pairs, with_report};
use super::scored::Scored;
use super::{Base, refuse};
use crate::Options;
use crate::computing::long_work;
use crate::dto::TrainingData;
use crate::error::{AssistantError, Result};
use crate::ledger;

/// Who was trained on, as a run records it.
const SPLIT: &str = "split.json";

/// An adapter beside its base.
#[derive(Debug, Serialize)]
pub struct EvalReport {
    /// The adapter.
    pub adapter: String,
    /// How it was made.
    pub method: Method,
    /// Name of the pack.
    pub pack: String,
    /// True of an adapter that came without a record of whom it was trained on: these cases may be among them.
    pub trained_on_unknown: bool,
    /// Cases that look like one trained on although patient and pixels differ.
    pub near_duplicates: usize,
    /// The row of the first of them, counted from 1.
    #[serde(skip)]
    pub first_near_duplicate: Option<usize>,
    /// Whether the report is kept with the adapter.
    pub kept: bool,
    /// What the adapter's calibration is worth on these cases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recalibration: Option<Recalibration>,
    /// By class and over all.
    #[serde(flatten)]
    pub evaluation: Option<Evaluation>,
    /// After contrastive training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<PairsReport>,
    /// Whether it may go live.
    pub gate: Gate,
}

/// What is to be judged.
#[derive(Clone, Copy)]
pub struct EvalRequest<'a> {
    /// Name of the adapter.
    pub adapter: &'a str,
    /// Name or folder of the pack; none for the one that the adapter names.
    pub pack: Option<&'a str>,
    /// Cases to judge on.
    pub data: &'a TrainingData,
    /// Where a table of all probabilities is written.
    pub scores: Option<&'a Path>,
    /// Of the resamples behind the intervals, and of a division into sides.
    pub seed: u64,
    /// What becomes of the report.
    pub verdict: Verdict,
}

/// What becomes of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is printed.
    Told,
    /// It is kept with the adapter, which may go live by it: some of the patients calibrate, the others are judged.
    Kept(Calibration),
}

/// An adapter with cases to judge it on.
pub(super) struct Trial {
    pub adapter: Adapter,
    pub base: Base,
    pub cases: Cases,
    pub groups: Vec<u64>,
    /// None after contrastive training.
    pub table: Option<LabelTable>,
    pub scorer: Scorer,
    /// Cases that look like one trained on.
    pub near: Vec<Leak>,
    /// Whether nothing says whom it was trained on.
    pub unknown: bool,
}

/// Judges an adapter on cases of other patients.
///
/// Errors if a case is of a patient, or an image, that was trained on, or was calibrated on by an earlier verdict; and for a verdict that is
/// to be kept if there is one already, or too few patients.
pub fn evaluate_adapter(
    options: &Options,
    request: &EvalRequest<'_>,
    stop: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<EvalReport> {
    long_work(options, progress, |options, progress| {
        evaluate_once(options, request, stop, progress)
    })
}

fn evaluate_once(
    options: &Options,
    request: &EvalRequest<'_>,
    stop: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<EvalReport> {
    if let Verdict::Kept(_) = request.verdict {
        let dir = adapter_folder(&options.home, request.adapter)?;
        refuse_second(&Adapter::read(&dir)?)?;
    }
    let started = ledger::now();
    let trial = Trial::open(options, request, stop, progress)?;
    let hash = trial.adapter.manifest.base.hash.clone();
    let report = match request.verdict {
        Verdict::Kept(how) => {
            let report = attach(options, trial, request, how, stop, progress)?;
            // The verdict is there, whatever state the library is in.
            let _ = ledger::note_adapters(&options.home);
            report
        }
        Verdict::Told => trial.tell(request, stop, progress)?,
    };
    let evaluation = report.evaluation.as_ref();
    let outcome = json!({
        "cases": evaluation.map(|e| e.n),
        "auroc": evaluation.and_then(|e| e.adapted.overall.auroc),
        "base_auroc": evaluation.and_then(|e| e.base.overall.auroc),
        "recall_at_5": report.retrieval.as_ref().map(|r| r.recall_at_5),
        "passes": report.gate.passes,
    });
    let (pack, what) = ((hash.as_str(), Some(request.adapter)), ("adapter", started));
    ledger::judged(&options.home, request.data, pack, what, outcome)?;
    Ok(report)
}

impl Trial {
    fn open(
        options: &Options,
        request: &EvalRequest<'_>,
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        let dir = adapter_folder(&options.home, request.adapter)?;
        let stated = Adapter::read(&dir)?.manifest;
        let base = Base::open(options, Some(request.pack.unwrap_or(&stated.base.name)))?;
        let identity = base.identity();
        let adapter = Adapter::open(&dir, &identity)?;
        let manifest = &adapter.manifest;
        let (data, renamed) = (request.data, &manifest.renamed);
        let cases = Cases::read(data, base.preprocess(), &identity, renamed, stop, progress)?;
        // PEFT's files do not say whom an adapter was trained on.
        let has = |file: &str| manifest.files.contains_key(file) || adapter.dir.join(file).exists();
        let unknown = !has(SPLIT);
        let mut near = Vec::new();
        for record in [SPLIT, VERDICT_CASES].into_iter().filter(|file| has(file)) {
            near.extend(refuse_leaks(&adapter, record, &cases)?);
        }
        let groups = join_duplicates(&cases.members);
        let nameless = manifest.classes.is_empty() && manifest.method != Method::Contrastive;
        let asked = match nameless {
            true => Some(LabelTable::read(&cases.labels, &groups)?),
            false => None,
        };
        let scorer = match &asked {
            None => Scorer::open(&adapter, base.model(), base.templates())?,
            Some(table) => {
                adapter.verify()?;
                let towers = with_adapter(base.model(), adapter.trained()?, &adapter.plan()?)?;
                let (names, templates) = (&table.names, base.templates());
                Scorer::of_towers(towers, names, templates, table.exclusive(), None)?
            }
        };
        let table = match (asked, manifest.method) {
            (_, Method::Contrastive) => None,
            (Some(table), _) => Some(table),
            (None, _) => {
                let (names, exclusive) = (&manifest.classes, manifest.exclusive);
                Some(LabelTable::read_as(names, exclusive, &cases.labels)?)
            }
        };
        Ok(Self {
            adapter,
            base,
            cases,
            groups,
            table,
            scorer,
            near,
            unknown,
        })
    }

    /// A report without figures.
    pub(super) fn report(&self) -> EvalReport {
        EvalReport {
            adapter: self.adapter.manifest.name.clone(),
            method: self.adapter.manifest.method,
            pack: self.base.identity().name,
            near_duplicates: self.near.len(),
            trained_on_unknown: self.unknown,
            first_near_duplicate: self.near.first().map(|leak| leak.judged + 1),
            kept: false,
            recalibration: None,
            evaluation: None,
            retrieval: None,
            gate: Gate {
                passes: false,
                reasons: Vec::new(),
                warnings: Vec::new(),
            },
        }
    }

    /// Judges all cases.
    fn tell(
        &self,
        request: &EvalRequest<'_>,
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<EvalReport> {
        let mut report = self.report();
        let Some(table) = &self.table else {
            let rows = with_report(&self.cases);
            let none = || refuse("bad_adapter", "the adapter has no towers");
            let towers = self.scorer.towers().ok_or_else(none)?;
            let (base, cases, groups) = (&self.base, &self.cases, &self.groups);
            let found = judge_pairs(base, towers, cases, &rows, groups, stop, progress)?;
            report.gate = gate_pairs(&found);
            report.retrieval = Some(found);
            return Ok(report);
        };
        let rows: Vec<usize> = (0..self.cases.len()).collect();
        let judged = self.judge(table, &self.scorer, &rows, request, stop, progress)?;
        report.gate = gate(&judged.evaluation);
        if let Some(calibration) = self.scorer.calibration() {
            let worth = judged
                .scored
                .worth(calibration.method(), None, &table.labels);
            report.recalibration = Some(worth?);
        }
        report.evaluation = Some(judged.evaluation);
        Ok(report)
    }

    /// Judges some of the cases, and writes the table of their scores if it is asked for.
    ///
    /// - `table`: labels of all cases
    pub(super) fn judge(
        &self,
        table: &LabelTable,
        scorer: &Scorer,
        rows: &[usize],
        request: &EvalRequest<'_>,
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<JudgedRows> {
        let (clip, preprocess) = (&self.base.clip, self.base.preprocess());
        let chosen = self.cases.chosen(rows);
        let logits = scorer.logits(clip, preprocess, &chosen, stop, progress)?;
        let scored = Scored::of(scorer, &logits);
        let zero_shot = self.base.zero_shot(&table.names, table.exclusive())?;
        let before = zero_shot.probabilities(clip, preprocess, &chosen, stop, progress)?;
        let own = LabelTable {
            names: table.names.clone(),
            labels: table.labels.select(rows),
        };
        let groups: Vec<u64> = rows.iter().map(|i| self.groups[*i]).collect();
        let plan = Bootstrap {
            seed: request.seed,
            ..Bootstrap::default()
        };
        let after = &scored.calibrated;
        let evaluation = evaluate(&own.names, after, &before, &own.labels, &groups, &plan)?;
        if let Some(path) = request.scores {
            let text = scores_table(&self.cases, rows, &own, after, &before);
            std::fs::write(path, text).map_err(|source| AssistantError::Io {
                what: path.display().to_string(),
                source,
            })?;
        }
        Ok(JudgedRows {
            own,
            scored,
            before,
            evaluation,
        })
    }
}

/// What was found of some rows.
pub(super) struct JudgedRows {
    /// Their labels.
    pub own: LabelTable,
    pub scored: Scored,
    /// Probabilities of the pack alone.
    pub before: Vec<Vec<f64>>,
    pub evaluation: Evaluation,
}

/// Refuses cases of patients, or images, that were trained on; returns those that merely look alike.
fn refuse_leaks(adapter: &Adapter, record: &str, cases: &Cases) -> Result<Vec<Leak>> {
    let used = match record {
        SPLIT => "trained on",
        _ => "calibrated on",
    };
    let record = SplitRecord::load(&adapter.dir.join(record))?;
    let trained: Vec<Member> = record
        .cases
        .iter()
        .filter(|case| case.part != Part::Test)
        .map(|case| Member {
            patient: case.patient.clone(),
            fingerprint: case.image.clone(),
        })
        .collect();
    let leaks = find_leaks(&trained, &cases.members);
    let of = |kind: LeakKind| -> Vec<Leak> {
        leaks.iter().filter(|l| l.kind == kind).copied().collect()
    };
    let (patients, images) = (of(LeakKind::SamePatient), of(LeakKind::SameImage));
    if let Some(first) = patients.iter().chain(&images).map(|l| l.judged).min() {
        return Err(refuse(
            "leak",
            format!(
                "{} cases are of patients and {} are images that the adapter was {used} (first: row {}); \
                 judge it on other patients",
                patients.len(),
                images.len(),
                first + 1
            ),
        ));
    }
    Ok(of(LeakKind::NearDuplicate))
}
