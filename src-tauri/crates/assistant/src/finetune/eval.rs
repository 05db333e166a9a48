//! An adapter beside its base pack, on cases that it was not trained on.

use std::path::Path;

use lucency_nn::{Interrupt, Progress};
use lucency_train::cohort::{
    Leak, LeakKind, Member, Part, SplitRecord, find_leaks, join_duplicates,
};
use lucency_train::finetune::{
    Adapter, Evaluation, Gate, LabelTable, Method, Pictures, Scorer, adapter_folder, evaluate,
    gate, with_adapter,
};
use lucency_train::statistics::Bootstrap;
use serde::Serialize;
use serde_json::json;

use super::cases::Cases;
use super::judge::scores_table;
use super::pairs::{PairsReport, gate_pairs, judge_pairs, with_report};
use super::{Base, refuse};
use crate::Options;
use crate::dto::TrainingData;
use crate::error::{AssistantError, Result};
use crate::ledger;

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
    /// By class and over all.
    #[serde(flatten)]
    pub evaluation: Option<Evaluation>,
    /// After contrastive training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<PairsReport>,
    /// Whether it may go live.
    pub gate: Gate,
}

/// Judges an adapter on cases of other patients.
///
/// - `pack`: none for the one that the adapter names
/// - `scores`: where a table of all probabilities is written
/// - `seed`: of the resamples behind the intervals
///
/// Errors if a case is of a patient, or an image, that was trained on.
#[allow(clippy::too_many_arguments)] // where, which adapter, which cases, and how to stop and report
pub fn evaluate_adapter(
    options: &Options,
    name: &str,
    pack: Option<&str>,
    data: &TrainingData,
    scores: Option<&Path>,
    seed: u64,
    stop: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<EvalReport> {
    let started = ledger::now();
    let report = judge(options, name, pack, data, scores, seed, stop, progress)?;
    let hash = Adapter::read(&adapter_folder(&options.home, name)?)?
        .manifest
        .base
        .hash;
    let evaluation = report.evaluation.as_ref();
    let outcome = json!({
        "cases": evaluation.map(|e| e.n),
        "auroc": evaluation.and_then(|e| e.adapted.overall.auroc),
        "base_auroc": evaluation.and_then(|e| e.base.overall.auroc),
        "recall_at_5": report.retrieval.as_ref().map(|r| r.recall_at_5),
        "passes": report.gate.passes,
    });
    let what = ("adapter", started);
    ledger::judged(&options.home, data, (&hash, Some(name)), what, outcome)?;
    Ok(report)
}

#[allow(clippy::too_many_arguments)] // as above
fn judge(
    options: &Options,
    name: &str,
    pack: Option<&str>,
    data: &TrainingData,
    scores: Option<&Path>,
    seed: u64,
    stop: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<EvalReport> {
    let dir = adapter_folder(&options.home, name)?;
    let stated = Adapter::read(&dir)?.manifest;
    let base = Base::open(options, Some(pack.unwrap_or(&stated.base.name)))?;
    let identity = base.identity();
    let adapter = Adapter::open(&dir, &identity)?;
    let manifest = &adapter.manifest;
    let preprocess = base.preprocess();
    let cases = Cases::read(
        data,
        preprocess,
        &identity,
        &manifest.renamed,
        stop,
        progress,
    )?;
    // PEFT's files do not say whom an adapter was trained on.
    let record = "split.json";
    let unknown = !manifest.files.contains_key(record) && !adapter.dir.join(record).exists();
    let near = match unknown {
        true => Vec::new(),
        false => refuse_leaks(&adapter, &cases)?,
    };
    let groups = join_duplicates(&cases.members);
    let mut report = EvalReport {
        adapter: name.to_owned(),
        method: manifest.method,
        pack: identity.name,
        near_duplicates: near.len(),
        trained_on_unknown: unknown,
        first_near_duplicate: near.first().map(|leak| leak.judged + 1),
        evaluation: None,
        retrieval: None,
        gate: Gate {
            passes: false,
            reasons: Vec::new(),
            warnings: Vec::new(),
        },
    };
    let nameless = manifest.classes.is_empty() && manifest.method != Method::Contrastive;
    let table = match nameless {
        true => Some(LabelTable::read(&cases.labels, &groups)?),
        false => None,
    };
    let scorer = match &table {
        None => Scorer::open(&adapter, base.model(), base.templates())?,
        Some(table) => {
            adapter.verify()?;
            let towers = with_adapter(base.model(), adapter.trained()?, &adapter.plan()?)?;
            let (names, templates) = (&table.names, base.templates());
            Scorer::of_towers(towers, names, templates, table.exclusive(), None)?
        }
    };
    if manifest.method == Method::Contrastive {
        let rows = with_report(&cases);
        let none = || refuse("bad_adapter", "the adapter has no towers");
        let towers = scorer.towers().ok_or_else(none)?;
        let found = judge_pairs(&base, towers, &cases, &rows, &groups, stop, progress)?;
        report.gate = gate_pairs(&found);
        report.retrieval = Some(found);
        return Ok(report);
    }
    let table = match table {
        Some(table) => table,
        None => LabelTable::read_as(&manifest.classes, manifest.exclusive, &cases.labels)?,
    };
    let adapted = scorer.probabilities(&base.clip, preprocess, &cases, stop, progress)?;
    let zero_shot = base.zero_shot(&table.names, table.exclusive())?;
    let before = zero_shot.probabilities(&base.clip, preprocess, &cases, stop, progress)?;
    let plan = Bootstrap {
        seed,
        ..Bootstrap::default()
    };
    let (names, labels) = (&table.names, &table.labels);
    let found = evaluate(names, &adapted, &before, labels, &groups, &plan)?;
    if let Some(path) = scores {
        let rows: Vec<usize> = (0..cases.len()).collect();
        let text = scores_table(&cases, &rows, &table, &adapted, &before);
        std::fs::write(path, text).map_err(|source| AssistantError::Io {
            what: path.display().to_string(),
            source,
        })?;
    }
    report.gate = gate(&found);
    report.evaluation = Some(found);
    Ok(report)
}

/// Refuses cases of patients, or images, that were trained on; returns those that merely look alike.
fn refuse_leaks(adapter: &Adapter, cases: &Cases) -> Result<Vec<Leak>> {
    let record = SplitRecord::load(&adapter.dir.join("split.json"))?;
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
                "{} cases are of patients and {} are images that the adapter was trained on (first: row {}); \
                 judge it on other patients",
                patients.len(),
                images.len(),
                first + 1
            ),
        ));
    }
    Ok(of(LeakKind::NearDuplicate))
}
