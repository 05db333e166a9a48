//! A probe from pictures and labels to an adapter's parts.

use lucency_nn::{Interrupt, Progress};
use lucency_zoo::clip::Clip;
use lucency_zoo::preprocess::Preprocess;

use super::calibrate::{Calibration, Calibrator, cross_calibrated};
use super::features::{FeatureSet, Pictures, extract};
use crate::probe::{Labels, Probe, ProbeFit, ProbePlan};
use crate::{Result, TrainError};

/// A feature set with its best strength and figure in cross-validation.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ProbeChoice {
    /// What was read.
    pub features: FeatureSet,
    /// The strength that was best on it.
    pub strength: f64,
    /// Macro AUROC of left-out patients, or minus the loss, as the plan says.
    pub figure: f64,
}

/// A fitted probe.
#[derive(Clone, Debug)]
pub struct ProbeOutcome {
    /// The regression.
    pub probe: Probe,
    /// What it reads.
    pub features: FeatureSet,
    /// From logits to probabilities, fitted on left-out scores.
    pub calibration: Calibrator,
    /// What every case scored when its patient was left out, `[rows][classes]`: logits.
    pub left_out: Vec<Vec<f64>>,
    /// What each feature set gave.
    pub choices: Vec<ProbeChoice>,
}

impl ProbeOutcome {
    /// Calibrated probabilities of left-out cases, `[rows][classes]`.
    ///
    /// The calibration was fitted on these scores, but of its few numbers none belongs to a case.
    pub fn left_out_probabilities(&self) -> Vec<Vec<f64>> {
        self.left_out
            .iter()
            .map(|row| self.calibration.apply(row))
            .collect()
    }

    /// The same probe with another calibration, and calibrated probabilities of left-out cases, `[rows][classes]`.
    ///
    /// - `labels`, `groups`: of the cases that were fitted on
    ///
    /// Each case's probability comes from a calibration that was fitted without its patient, since isotonic regression would know its
    /// cases by heart. Errors if a class is absent, or there are too few patients.
    pub fn recalibrated(
        mut self,
        how: Calibration,
        labels: &Labels,
        groups: &[u64],
        seed: u64,
    ) -> Result<(Self, Vec<Vec<f64>>)> {
        let probabilities = cross_calibrated(how, &self.left_out, labels, groups, seed)?;
        self.calibration = Calibrator::fit(how, &self.left_out, labels)?;
        Ok((self, probabilities))
    }
}

/// Fits a probe on the feature set that serves left-out patients best: the first that no later one is clearly better than.
///
/// - `sets`: to choose from, at least one, the most trusted first; `labels`, `groups`: of each picture
///
/// Errors as [`extract`] and [`Probe::fit`].
#[allow(clippy::too_many_arguments)] // the model's two halves, the data's three, the plan, and how to stop and report
pub fn fit_probe(
    clip: &Clip,
    preprocess: &Preprocess,
    pictures: &dyn Pictures,
    labels: &Labels,
    groups: &[u64],
    sets: &[FeatureSet],
    plan: &ProbePlan,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<ProbeOutcome> {
    let features = extract(clip, preprocess, pictures, sets, stop, report)?;
    let mut best: Option<(FeatureSet, ProbeFit)> = None;
    let mut choices = Vec::new();
    for (set, readings) in sets.iter().zip(&features) {
        let fit = Probe::fit(readings, labels, groups, plan, stop, report)?;
        choices.push(ProbeChoice {
            features: *set,
            strength: fit.probe.strength,
            figure: fit.figure(),
        });
        let first =
            |(_, other): &(_, ProbeFit)| fit.is_clearly_better_than(other, labels, plan.select);
        if best.as_ref().is_none_or(first) {
            best = Some((*set, fit));
        }
    }
    let Some((features, fit)) = best else {
        return Err(TrainError::Plan("no feature set is named".into()));
    };
    Ok(ProbeOutcome {
        calibration: Calibrator::fit(Calibration::Standard, &fit.left_out, labels)?,
        probe: fit.probe,
        features,
        left_out: fit.left_out,
        choices,
    })
}
