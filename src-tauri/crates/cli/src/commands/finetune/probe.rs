//! `lucency train probe`: logistic regression on a pack's frozen features.

use clap::{Args, ValueEnum};
use lucency_assistant::Interrupt;
use lucency_train::cohort::{
    Member, Part, RecordedCase, SplitRecord, SplitUnit, check_leaks, join_duplicates,
};
use lucency_train::finetune::{
    Adapter, AdapterManifest, Evaluation, FORMAT, FeatureSet, Gate, LabelTable, Method,
    ProbeChoice, adapter_folder, contradictions, evaluate, fit_probe, gate,
};
use lucency_train::probe::{ClassWeights, ProbePlan, SelectBy};
use lucency_train::statistics::Bootstrap;
use serde::Serialize;

use super::super::table::DataArgs;
use super::base::Base;
use super::cases::Cases;
use crate::commands::assist::progress_line;
use crate::output::{CommandError, Output};

/// `lucency train probe --data DIR --table FILE.csv --columns image=COL,patient=COL,label=COL --name NAME`
#[derive(Args)]
pub struct ProbeArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Name of the adapter
    #[arg(long)]
    name: String,
    /// Name or folder of the model pack [default: demo]
    #[arg(long, value_name = "PACK")]
    pack: Option<String>,
    /// What the probe reads; `auto` takes what predicts left-out patients best
    #[arg(long, value_enum, default_value_t = FeatureChoice::Auto)]
    features: FeatureChoice,
    /// What decides between regularisation strengths and features
    #[arg(long, value_enum, default_value_t = SelectChoice::Auroc)]
    select: SelectChoice,
    /// Let every case count alike; else classes count alike in sum
    #[arg(long)]
    equal_weights: bool,
    /// Folds of whole patients in cross-validation
    #[arg(long, default_value_t = 5)]
    folds: usize,
    /// Seed of the folds
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What a probe reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FeatureChoice {
    Auto,
    Embedding,
    Texture,
    Layout,
    TextureAndLayout,
}

impl FeatureChoice {
    fn sets(self) -> Vec<FeatureSet> {
        match self {
            Self::Auto => FeatureSet::ALL.to_vec(),
            Self::Embedding => vec![FeatureSet::Embedding],
            Self::Texture => vec![FeatureSet::Texture],
            Self::Layout => vec![FeatureSet::Layout],
            Self::TextureAndLayout => vec![FeatureSet::TextureAndLayout],
        }
    }
}

/// What decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SelectChoice {
    Auroc,
    Loss,
}

/// What was trained and how good it is.
#[derive(Serialize)]
struct Report {
    adapter: String,
    method: Method,
    base: String,
    cases: usize,
    patients: usize,
    labels: Vec<ClassCount>,
    features: FeatureSet,
    strength: f64,
    choices: Vec<ProbeChoice>,
    /// How the figures below were had.
    judged_on: &'static str,
    #[serde(flatten)]
    evaluation: Evaluation,
    gate: Gate,
}

#[derive(Serialize)]
struct ClassCount {
    name: String,
    cases: usize,
    patients: usize,
}

impl ProbeArgs {
    /// Trains, judges, writes the adapter and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let (stop, mut progress) = (Interrupt::new(), progress_line());
        let base = Base::open(self.pack.as_deref())?;
        let dir = adapter_folder(&base.options.home, &self.name)?;
        if Adapter::read(&dir).is_ok() {
            return Err(CommandError::new(
                "name_taken",
                format!(
                    "there is an adapter `{}` already; choose another name",
                    self.name
                ),
            ));
        }
        let cases = Cases::read(&self.data, base.preprocess(), &base.identity(), &[])?;
        let groups = join_duplicates(&cases.members);
        let table = LabelTable::read(&cases.labels, &groups)?;
        refuse_contradictions(&cases, &table)?;
        let (fitted, judged) = sides(&cases)?;
        let counts = table.counts(&groups);
        let plan = self.plan(&counts);
        let labels = table.labels.select(&fitted);
        let of: Vec<u64> = fitted.iter().map(|i| groups[*i]).collect();
        let outcome = fit_probe(
            &base.clip,
            base.preprocess(),
            &cases.chosen(&fitted),
            &labels,
            &of,
            &self.features.sets(),
            &plan,
            &stop,
            &mut progress,
        )?;
        let zero_shot = base.zero_shot(&table.names, table.exclusive())?;
        let rows = if judged.is_empty() { &fitted } else { &judged };
        let before = zero_shot.probabilities(
            &base.clip,
            base.preprocess(),
            &cases.chosen(rows),
            &stop,
            &mut progress,
        )?;
        let (after, judged_on) = if judged.is_empty() {
            let told = "all cases, each by a fit without its patient";
            (outcome.left_out_probabilities(), told)
        } else {
            let scores = super::eval::probe_scores(
                &base,
                &outcome.probe,
                outcome.features,
                Some(&outcome.calibration),
                &cases.chosen(&judged),
                &stop,
                &mut progress,
            )?;
            (scores, "the table's test cases")
        };
        let patients: Vec<u64> = rows.iter().map(|i| groups[*i]).collect();
        let evaluation = evaluate(
            &table.names,
            &after,
            &before,
            &table.labels.select(rows),
            &patients,
            &Bootstrap::default(),
        )?;
        let manifest = AdapterManifest {
            format: FORMAT,
            name: self.name.clone(),
            method: Method::Probe,
            base: base.identity(),
            classes: table.names.clone(),
            exclusive: table.exclusive(),
            features: Some(outcome.features),
            calibration: Some(outcome.calibration.clone()),
            renamed: cases.renamed.clone(),
            cases: fitted.len(),
            patients: distinct(&of),
            seed: self.seed,
        };
        let report = Report {
            adapter: self.name.clone(),
            method: Method::Probe,
            base: manifest.base.name.clone(),
            cases: manifest.cases,
            patients: manifest.patients,
            labels: counts
                .into_iter()
                .map(|(name, cases, patients)| ClassCount {
                    name,
                    cases,
                    patients,
                })
                .collect(),
            features: outcome.features,
            strength: outcome.probe.strength,
            choices: outcome.choices.clone(),
            judged_on,
            gate: gate(&evaluation),
            evaluation,
        };
        let beside = [
            ("split.json", json(&record(&cases, &judged, self.seed))?),
            ("plan.json", json(&plan)?),
            ("report.json", json(&report)?),
        ];
        Adapter::write_probe(&dir, manifest, &outcome.probe, &beside)?;
        output.print(&report, text)
    }

    fn plan(&self, counts: &[(String, usize, usize)]) -> ProbePlan {
        let fewest = counts.iter().map(|(_, _, p)| *p).min().unwrap_or(2);
        ProbePlan {
            folds: self.folds.min(fewest).max(2),
            weights: match self.equal_weights {
                true => ClassWeights::Equal,
                false => ClassWeights::Balanced,
            },
            select: match self.select {
                SelectChoice::Auroc => SelectBy::Auroc,
                SelectChoice::Loss => SelectBy::Loss,
            },
            seed: self.seed,
            ..ProbePlan::default()
        }
    }
}

/// Rows to fit on and rows to judge; the latter are none if the table does not say.
fn sides(cases: &Cases) -> Result<(Vec<usize>, Vec<usize>), CommandError> {
    let Some(parts) = &cases.parts else {
        return Ok(((0..cases.members.len()).collect(), Vec::new()));
    };
    let (judged, fitted): (Vec<usize>, Vec<usize>) =
        (0..parts.len()).partition(|i| parts[*i] == Part::Test);
    let members = |rows: &[usize]| -> Vec<Member> {
        rows.iter().map(|i| cases.members[*i].clone()).collect()
    };
    check_leaks(
        "the table's training and test rows",
        &members(&fitted),
        &members(&judged),
    )?;
    Ok((fitted, judged))
}

fn refuse_contradictions(cases: &Cases, table: &LabelTable) -> Result<(), CommandError> {
    let images: Vec<String> = cases
        .members
        .iter()
        .map(|m| m.fingerprint.exact.clone())
        .collect();
    let pairs = contradictions(&images, &table.labels);
    let Some((a, b)) = pairs.first() else {
        return Ok(());
    };
    Err(CommandError::new(
        "contradictory_labels",
        format!(
            "rows {} and {} show one image with different labels ({} such pairs); settle which is right",
            a + 1,
            b + 1,
            pairs.len()
        ),
    ))
}

/// The split as it is kept beside the adapter.
fn record(cases: &Cases, judged: &[usize], seed: u64) -> SplitRecord {
    SplitRecord {
        seed: cases.parts.is_none().then_some(seed),
        unit: match cases.members.iter().any(|m| m.patient.is_some()) {
            true => SplitUnit::Patient,
            false => SplitUnit::Image,
        },
        cases: cases
            .members
            .iter()
            .enumerate()
            .map(|(row, member)| RecordedCase {
                image: member.fingerprint.clone(),
                patient: member.patient.clone(),
                part: match judged.contains(&row) {
                    true => Part::Test,
                    false => Part::Train,
                },
            })
            .collect(),
    }
}

fn distinct(groups: &[u64]) -> usize {
    let mut groups = groups.to_vec();
    groups.sort_unstable();
    groups.dedup();
    groups.len()
}

fn json<T: Serialize>(value: &T) -> Result<String, CommandError> {
    serde_json::to_string_pretty(value).map_err(|e| CommandError::new("json", e.to_string()))
}

fn text(report: &Report) -> String {
    let mut lines = vec![
        format!("adapter    {}", report.adapter),
        format!(
            "cases      {} of {} patients",
            report.cases, report.patients
        ),
        format!("features   {:?}, C {}", report.features, report.strength),
        format!("judged on  {}", report.judged_on),
    ];
    lines.extend(super::eval::table(&report.evaluation));
    lines.extend(super::eval::gate_lines(&report.gate));
    lines.join("\n")
}
