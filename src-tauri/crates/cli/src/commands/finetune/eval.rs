//! `lucency eval finetune`: an adapter and its base pack on cases that were not trained on.

use std::path::PathBuf;

use clap::Args;
use lucency_assistant::{Interrupt, Options, Progress};
use lucency_train::cohort::{
    Leak, LeakKind, Member, Part, SplitRecord, find_leaks, join_duplicates,
};
use lucency_train::finetune::{
    Adapter, Calibrator, Evaluation, FeatureSet, Gate, LabelTable, Method, Pictures,
    adapter_folder, evaluate, extract, gate,
};
use lucency_train::probe::Probe;
use lucency_train::statistics::Bootstrap;
use serde::Serialize;

use super::super::table::DataArgs;
use super::base::Base;
use super::cases::Cases;
use super::scores;
use crate::output::{CommandError, Output};

/// `lucency eval finetune --adapter NAME --data DIR --table FILE.csv --columns image=COL,patient=COL,label=COL`
#[derive(Args)]
pub struct FinetuneEval {
    /// Name of the adapter
    #[arg(long, value_name = "NAME")]
    adapter: String,
    #[command(flatten)]
    data: DataArgs,
    /// Table of every case's probabilities, with and without the adapter
    #[arg(long, value_name = "OUT.csv")]
    scores: Option<PathBuf>,
    /// Name or folder of the model pack [default: the one the adapter was made on]
    #[arg(long, value_name = "PACK")]
    pack: Option<String>,
    /// Seed of the resamples behind the intervals
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Serialize)]
struct Report {
    adapter: String,
    method: Method,
    pack: String,
    /// Cases that look like one trained on although patient and pixels differ.
    near_duplicates: usize,
    #[serde(flatten)]
    evaluation: Evaluation,
    gate: Gate,
}

impl FinetuneEval {
    /// Judges and prints.
    pub fn run(
        &self,
        output: Output,
        stop: &Interrupt,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), CommandError> {
        let home = Options::standard(None)?.home;
        let dir = adapter_folder(&home, &self.adapter)?;
        let stated = Adapter::read(&dir)?.manifest;
        let base = Base::open(Some(self.pack.as_deref().unwrap_or(&stated.base.name)))?;
        let adapter = Adapter::open(&dir, &base.identity())?;
        let manifest = &adapter.manifest;
        let cases = Cases::read(
            &self.data,
            base.preprocess(),
            &base.identity(),
            &manifest.renamed,
        )?;
        let near_duplicates = refuse_leaks(&adapter, &cases)?;
        let table = LabelTable::read_as(&manifest.classes, manifest.exclusive, &cases.labels)?;
        let groups = join_duplicates(&cases.members);
        let adapted = match manifest.features {
            Some(features) => probe_scores(
                &base,
                &adapter.probe()?,
                features,
                manifest.calibration.as_ref(),
                &cases,
                stop,
                progress,
            )?,
            None => {
                return Err(CommandError::new(
                    "bad_adapter",
                    format!("a {} adapter cannot be judged yet", manifest.method.name()),
                ));
            }
        };
        let zero_shot = base.zero_shot(&manifest.classes, manifest.exclusive)?;
        let before =
            zero_shot.probabilities(&base.clip, base.preprocess(), &cases, stop, progress)?;
        let plan = Bootstrap {
            seed: self.seed,
            ..Bootstrap::default()
        };
        let evaluation = evaluate(
            &table.names,
            &adapted,
            &before,
            &table.labels,
            &groups,
            &plan,
        )?;
        if let Some(path) = &self.scores {
            let rows: Vec<usize> = (0..cases.len()).collect();
            scores::write(path, &cases, &rows, &table, &adapted, &before)?;
        }
        let report = Report {
            adapter: self.adapter.clone(),
            method: manifest.method,
            pack: base.pack.name().to_owned(),
            near_duplicates,
            gate: gate(&evaluation),
            evaluation,
        };
        output.print(&report, text)
    }
}

/// Calibrated probabilities of a probe, `[pictures][classes]`.
pub(super) fn probe_scores(
    base: &Base,
    probe: &Probe,
    features: FeatureSet,
    calibration: Option<&Calibrator>,
    pictures: &dyn Pictures,
    stop: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Vec<f64>>, CommandError> {
    let found = extract(
        &base.clip,
        base.preprocess(),
        pictures,
        &[features],
        stop,
        progress,
    )?;
    let features = found
        .first()
        .ok_or_else(|| CommandError::new("failed", "no feature was read"))?;
    Ok(match calibration {
        Some(calibration) => probe
            .logits(features)?
            .iter()
            .map(|row| calibration.apply(row))
            .collect(),
        None => probe.probabilities(features)?,
    })
}

/// Refuses cases of patients, or images, that were trained on; counts those that merely look alike.
fn refuse_leaks(adapter: &Adapter, cases: &Cases) -> Result<usize, CommandError> {
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
    let of = |kind: LeakKind| -> Vec<&Leak> { leaks.iter().filter(|l| l.kind == kind).collect() };
    let (patients, images) = (of(LeakKind::SamePatient), of(LeakKind::SameImage));
    if let Some(first) = patients.iter().chain(&images).map(|l| l.judged).min() {
        return Err(CommandError::new(
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
    let near = of(LeakKind::NearDuplicate);
    if let Some(first) = near.first() {
        eprintln!(
            "warning: {} cases look like a case trained on (first: row {}); if they are, the figures flatter",
            near.len(),
            first.judged + 1
        );
    }
    Ok(near.len())
}

fn text(report: &Report) -> String {
    let mut lines = vec![format!(
        "adapter {} ({}) on {}: {} cases of {} patients",
        report.adapter,
        report.method.name(),
        report.pack,
        report.evaluation.n,
        report.evaluation.patients
    )];
    lines.extend(table(&report.evaluation));
    lines.extend(gate_lines(&report.gate));
    lines.join("\n")
}

/// Before and after, a line a class.
pub(super) fn table(evaluation: &Evaluation) -> Vec<String> {
    let number = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{v:.3}"));
    let mut lines = vec![format!(
        "{:24} {:>21} {:>7} {:>7} {:>7}   before",
        "", "AUROC", "AUPRC", "ECE", "Brier"
    )];
    for (name, after) in &evaluation.adapted.per_class {
        let before = &evaluation.base.per_class[name];
        lines.push(format!(
            "{name:24} {:>5} ({:>5} to {:>5}) {:>7} {:>7.3} {:>7.3}   {} {:.3} {:.3}",
            number(after.auroc),
            number(after.auroc_low),
            number(after.auroc_high),
            number(after.auprc),
            after.ece,
            after.brier,
            number(before.auroc),
            before.ece,
            before.brier
        ));
    }
    let (after, before) = (&evaluation.adapted.overall, &evaluation.base.overall);
    lines.push(format!(
        "{:24} {:>5} ({:>5} to {:>5}) {:>7} {:>7.3} {:>7.3}   {} {:.3} {:.3}",
        "macro",
        number(after.auroc),
        number(after.auroc_low),
        number(after.auroc_high),
        number(after.auprc),
        after.ece,
        after.brier,
        number(before.auroc),
        before.ece,
        before.brier
    ));
    lines
}

/// Whether it may go live.
pub(super) fn gate_lines(gate: &Gate) -> Vec<String> {
    match gate.passes {
        true => vec!["It may go live.".to_owned()],
        false => {
            let mut lines = vec!["It should not go live:".to_owned()];
            lines.extend(gate.reasons.iter().map(|r| format!("  {r}")));
            lines
        }
    }
}
