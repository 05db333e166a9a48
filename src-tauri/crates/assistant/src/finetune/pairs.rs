//! Retrieval between images and reports, before and after.

use std::collections::BTreeSet;

use lucency_nn::{Interrupt, Progress};
use lucency_train::finetune::{Gate, Method, Pictures, Towers, TunePlan};
use lucency_train::metrics::recall_at_k;
use lucency_train::statistics::{Bootstrap, Interval, Ranked, bootstrap, rank_all};
use serde::{Deserialize, Serialize};

use super::cases::Cases;
use super::{Base, refuse};
use crate::error::{AssistantError, Result};

/// Cases a forward pass.
const BATCH: usize = 16;
/// Numbers of neighbours.
const NEIGHBOURS: [usize; 3] = [1, 5, 10];
/// What the gate looks at.
const GATE: usize = 5;

/// A share with its 95 % interval over patients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recall {
    /// Among how many nearest.
    pub k: usize,
    /// Share of queries whose counterpart is among them.
    pub value: f64,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// One direction, before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Direction {
    /// With the adapter.
    pub adapted: Vec<Recall>,
    /// The pack alone.
    pub base: Vec<Recall>,
}

/// Retrieval in both directions on the same cases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairsReport {
    /// Pairs.
    pub pairs: usize,
    /// Their patients.
    pub pair_patients: usize,
    /// Reports of an image.
    pub image_to_report: Direction,
    /// Images of a report.
    pub report_to_image: Direction,
    /// Mean recall@5 of both directions with the adapter.
    pub recall_at_5: f64,
    /// The same of the pack alone.
    pub base_recall_at_5: f64,
    /// Interval of their difference, over patients.
    pub gain: Option<Interval>,
}

/// Rows with a report.
pub fn with_report(cases: &Cases) -> Vec<usize> {
    let has = |i: &usize| !cases.reports[*i].trim().is_empty();
    (0..cases.reports.len()).filter(has).collect()
}

/// The pack's own towers in the form that adapted ones have.
pub fn base_towers(base: &Base) -> Result<Towers> {
    let model = base.model();
    let plan = TunePlan::preset(Method::Probe); // which changes nothing in the towers
    Ok(Towers::build(
        model.tensors.clone(),
        model.config,
        model.preprocess,
        model.tokenizer,
        model.place,
        &plan,
    )?)
}

type Vectors = Vec<Vec<f32>>;

fn embed(
    towers: &Towers,
    cases: &Cases,
    rows: &[usize],
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<(Vectors, Vectors)> {
    let (mut images, mut texts) = (Vec::new(), Vec::new());
    for (chunk, some) in rows.chunks(BATCH).enumerate() {
        if stop.is_stopped() {
            return Err(AssistantError::Stopped);
        }
        let done = (chunk * BATCH) as u64;
        report(Progress::new("judging", done, rows.len() as u64));
        let squares = some
            .iter()
            .map(|i| cases.picture(*i))
            .collect::<lucency_train::Result<Vec<_>>>()?;
        let pixels = towers.pixels(&squares)?;
        images.extend(towers.embed_pixels(&pixels)?.detach().to_vec2::<f32>()?);
        let reports: Vec<String> = some.iter().map(|i| cases.reports[*i].clone()).collect();
        texts.extend(towers.embed_reports(&reports)?.detach().to_vec2::<f32>()?);
    }
    Ok((images, texts))
}

/// Ranks of both directions.
#[derive(Default)]
pub(super) struct Ranks {
    to_report: Vec<Ranked>,
    to_image: Vec<Ranked>,
}

impl Ranks {
    pub(super) fn of(images: &Vectors, texts: &Vectors, reports: &[&str]) -> Result<Self> {
        let right = |i: usize, j: usize| reports[i] == reports[j];
        Ok(Self {
            to_report: rank_all(images, texts, &right)?,
            to_image: rank_all(texts, images, &right)?,
        })
    }

    /// Takes in the ranks of other cases, which were ranked among themselves.
    pub(super) fn append(&mut self, more: Self) {
        self.to_report.extend(more.to_report);
        self.to_image.extend(more.to_image);
    }

    /// Mean recall of both directions among some cases.
    pub(super) fn mean(&self, k: usize, cases: &[usize]) -> f64 {
        let of = |ranked: &[Ranked]| recall(ranked, k, cases);
        0.5 * (of(&self.to_report) + of(&self.to_image))
    }
}

fn recall(ranked: &[Ranked], k: usize, cases: &[usize]) -> f64 {
    let before: Vec<usize> = cases.iter().map(|i| ranked[*i].rank - 1).collect();
    recall_at_k(k, &before)
}

fn recalls(ranked: &[Ranked], groups: &[u64], plan: &Bootstrap) -> Vec<Recall> {
    let all: Vec<usize> = (0..ranked.len()).collect();
    NEIGHBOURS
        .iter()
        .map(|k| {
            let interval = bootstrap(groups, plan, |cases| Some(recall(ranked, *k, cases))).ok();
            Recall {
                k: *k,
                value: recall(ranked, *k, &all),
                low: interval.map(|i| i.low),
                high: interval.map(|i| i.high),
            }
        })
        .collect()
}

/// Measures retrieval on some rows before and after.
///
/// - `groups`: the patient of every row of the table
///
/// Errors if fewer than two rows have a report.
pub fn judge_pairs(
    base: &Base,
    adapted: &Towers,
    cases: &Cases,
    rows: &[usize],
    groups: &[u64],
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<PairsReport> {
    let before = rank_pairs(&base_towers(base)?, cases, rows, stop, report)?;
    let after = rank_pairs(adapted, cases, rows, stop, report)?;
    let own: Vec<u64> = rows.iter().map(|i| groups[*i]).collect();
    Ok(compare(&before, &after, &own))
}

/// Ranks some rows among themselves.
///
/// Errors if fewer than two have a report.
pub(super) fn rank_pairs(
    towers: &Towers,
    cases: &Cases,
    rows: &[usize],
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Ranks> {
    if rows.len() < 2 {
        return Err(refuse(
            "no_reports",
            "retrieval wants at least two judged cases with a report",
        ));
    }
    let reports: Vec<&str> = rows.iter().map(|i| cases.reports[*i].trim()).collect();
    let (images, texts) = embed(towers, cases, rows, stop, report)?;
    Ranks::of(&images, &texts, &reports)
}

/// Before and after on the same cases.
///
/// - `own`: patient of every ranked case
pub(super) fn compare(before: &Ranks, after: &Ranks, own: &[u64]) -> PairsReport {
    let plan = Bootstrap::default();
    let direction = |after: &[Ranked], before: &[Ranked]| Direction {
        adapted: recalls(after, own, &plan),
        base: recalls(before, own, &plan),
    };
    let all: Vec<usize> = (0..own.len()).collect();
    let gain = bootstrap(own, &plan, |cases| {
        Some(after.mean(GATE, cases) - before.mean(GATE, cases))
    });
    PairsReport {
        pairs: own.len(),
        pair_patients: own.iter().collect::<BTreeSet<_>>().len(),
        image_to_report: direction(&after.to_report, &before.to_report),
        report_to_image: direction(&after.to_image, &before.to_image),
        recall_at_5: after.mean(GATE, &all),
        base_recall_at_5: before.mean(GATE, &all),
        gain: gain.ok(),
    }
}

/// Lets an adapter pass whose recall@5 gains with its whole interval.
pub fn gate_pairs(report: &PairsReport) -> Gate {
    let mut reasons = Vec::new();
    match &report.gain {
        None => {
            reasons.push("there are too few patients to say whether it is better".to_owned());
        }
        Some(gain) if gain.low <= 0.0 => reasons.push(format!(
            "recall@5 changes by {:.3} to {:.3}: there may be no gain",
            gain.low, gain.high
        )),
        Some(_) => {}
    }
    Gate {
        passes: reasons.is_empty(),
        reasons,
        warnings: Vec::new(),
    }
}
