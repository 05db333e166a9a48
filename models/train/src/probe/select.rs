//! The regularisation that predicts patients best who were left out.

use lucency_nn::{Interrupt, Progress};
use serde::{Deserialize, Serialize};

use super::logistic::{ClassWeights, Fit, Labels, Logistic, Precision, fit_many, squash};
use super::matrix::{Features, Standardise};
use crate::cohort::stratified_parts;
use crate::metrics::auroc;
use crate::{Result, TrainError};

/// How a probe is fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbePlan {
    /// Strengths to choose from, scikit-learn's `C`, ascending.
    pub strengths: Vec<f64>,
    /// Folds of whole patients.
    pub folds: usize,
    /// How much a case of each class counts.
    pub weights: ClassWeights,
    /// What decides.
    pub select: SelectBy,
    /// Seed of the folds.
    pub seed: u64,
}

/// What decides between strengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelectBy {
    /// The largest macro AUROC of left-out cases.
    Auroc,
    /// The least loss of left-out cases.
    Loss,
}

impl Default for ProbePlan {
    fn default() -> Self {
        Self {
            strengths: (-8..=2).map(|e| 10f64.powf(f64::from(e) / 2.0)).collect(),
            folds: 5,
            weights: ClassWeights::Balanced,
            select: SelectBy::Auroc,
            seed: 1,
        }
    }
}

/// A probe: standardisation and regression, with what cross-validation said about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Shift and scale of the features.
    pub standardise: Standardise,
    /// The regression on standardised features.
    pub logistic: Logistic,
    /// The strength that was chosen.
    pub strength: f64,
}

/// A probe with the scores that every case got from fits without its patient.
#[derive(Clone, Debug)]
pub struct ProbeFit {
    /// Fitted on all cases.
    pub probe: Probe,
    /// Logits of each case from the fold that left its patient out, at the chosen strength, `[rows][classes]`.
    pub left_out: Vec<Vec<f64>>,
    /// The fold that left each case out, `[rows]`.
    pub folds: Vec<usize>,
    /// Each strength with its figure: macro AUROC, or minus the loss.
    pub figures: Vec<(f64, f64)>,
}

impl ProbeFit {
    /// The figure of the strength that was chosen.
    pub fn figure(&self) -> f64 {
        self.figures
            .iter()
            .find(|(strength, _)| *strength == self.probe.strength)
            .map_or(f64::NEG_INFINITY, |(_, figure)| *figure)
    }

    /// Whether the folds agree that left-out patients are predicted better than by another fit: the mean gain is larger than three
    /// times its standard error over folds.
    ///
    /// What is chosen by the larger figure alone is chosen by chance where cases are few; with five folds twice the error is still passed by
    /// chance in 6 of 100 comparisons, three times in 2 (Student's t with four degrees of freedom). Folds that lack a class have no figure; if fewer
    /// than two have one, nothing is clear.
    pub fn is_clearly_better_than(&self, other: &Self, labels: &Labels, by: SelectBy) -> bool {
        let gains: Vec<f64> = (0..=self.folds.iter().copied().max().unwrap_or(0))
            .filter_map(|fold| {
                let rows: Vec<usize> = (0..self.folds.len())
                    .filter(|i| self.folds[*i] == fold)
                    .collect();
                let labels = labels.select(&rows);
                let of = |fit: &Self| {
                    let logits: Vec<Vec<f64>> =
                        rows.iter().map(|i| fit.left_out[*i].clone()).collect();
                    figure(&logits, &labels, by).ok()
                };
                Some(of(self)? - of(other)?)
            })
            .collect();
        if gains.len() < 2 {
            return false;
        }
        let n = gains.len() as f64;
        let mean = gains.iter().sum::<f64>() / n;
        let variance = gains.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / (n - 1.0);
        mean > 3.0 * (variance / n).sqrt()
    }
}

impl Probe {
    /// Chooses the strength by cross-validation over whole patients and fits on all cases.
    ///
    /// - `readings`: features of the same cases as they were read in one way or several, `[rows, columns]` each. Each has a regression of
    ///   its own, and the probe is their mean: one regression on all of them side by side ([`Features::beside`])
    /// - `labels`: `[rows]`; `groups`: the patient of each case, `[rows]`
    ///
    /// All folds of a strength run side by side; standardisation is measured once on all cases, which uses no label.
    /// Errors if a fold lacks a class, or as [`Logistic::fit`].
    pub fn fit(
        readings: &[Features],
        labels: &Labels,
        groups: &[u64],
        plan: &ProbePlan,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<ProbeFit> {
        let n = labels.len();
        let fits = !readings.is_empty() && readings.iter().all(|x| x.rows() == n);
        if plan.strengths.is_empty() || plan.folds < 2 || groups.len() != n || !fits {
            return Err(TrainError::Plan(
                "a probe wants at least one strength, two folds, and features, a label and a patient for every case".into(),
            ));
        }
        let standardise = measured(readings)?;
        let readings = standardised(&standardise, readings)?;
        let folds = usable_folds(labels, groups, plan)?;
        let total = (readings.len() * plan.strengths.len() + 1) as u64;
        let mut left_out = vec![vec![vec![0.0; labels.width()]; n]; plan.strengths.len()];
        for (reading, features) in readings.iter().enumerate() {
            let done = reading * plan.strengths.len();
            let mut report = |at: usize| {
                report(Progress::new("cross-validation", (done + at) as u64, total));
            };
            let found = cross_validate(features, labels, &folds, plan, stop, &mut report)?;
            for (sums, rows) in left_out.iter_mut().zip(found) {
                for (sums, row) in sums.iter_mut().zip(rows) {
                    for (sum, z) in sums.iter_mut().zip(row) {
                        *sum += z / readings.len() as f64;
                    }
                }
            }
        }
        let figures: Vec<(f64, f64)> = plan
            .strengths
            .iter()
            .zip(&left_out)
            .map(|(strength, rows)| Ok((*strength, figure(rows, labels, plan.select)?)))
            .collect::<Result<_>>()?;
        // Of equals the stronger regularisation.
        let best = (0..figures.len()).fold(0, |best, i| match figures[i].1 > figures[best].1 {
            true => i,
            false => best,
        });
        let strength = figures[best].0;
        report(Progress::new("fitting", total - 1, total));
        let probe = Self::of(&standardise, &readings, labels, plan.weights, strength)?;
        report(Progress::new("fitting", total, total));
        Ok(ProbeFit {
            probe,
            left_out: left_out.swap_remove(best),
            folds,
            figures,
        })
    }

    /// Fits on all cases at a given strength: for so few patients that nobody can be left out.
    ///
    /// Arguments and errors as for [`Probe::fit`].
    pub fn fit_at(
        readings: &[Features],
        labels: &Labels,
        weights: ClassWeights,
        strength: f64,
    ) -> Result<Self> {
        let standardise = measured(readings)?;
        let readings = standardised(&standardise, readings)?;
        Self::of(&standardise, &readings, labels, weights, strength)
    }

    /// The mean of the regressions on each reading, which is standardised already.
    fn of(
        standardise: &[Standardise],
        readings: &[Features],
        labels: &Labels,
        weights: ClassWeights,
        strength: f64,
    ) -> Result<Self> {
        let regressions: Vec<Logistic> = readings
            .iter()
            .map(|x| Logistic::fit(x, labels, weights, strength, Precision::FINE))
            .collect::<Result<_>>()?;
        Ok(Self {
            standardise: Standardise::beside(standardise),
            logistic: Logistic::mean(&regressions)?,
            strength,
        })
    }

    /// Features of a case that it reads.
    pub fn columns(&self) -> usize {
        self.logistic.coefficients.first().map_or(0, Vec::len)
    }

    /// Logits, `[rows][classes or findings]`.
    pub fn logits(&self, features: &Features) -> Result<Vec<Vec<f64>>> {
        self.logistic.logits(&self.standardise.apply(features)?)
    }

    /// Probabilities before calibration, `[rows][classes or findings]`.
    pub fn probabilities(&self, features: &Features) -> Result<Vec<Vec<f64>>> {
        self.logistic
            .probabilities(&self.standardise.apply(features)?)
    }
}

fn measured(readings: &[Features]) -> Result<Vec<Standardise>> {
    readings
        .iter()
        .map(|x| Standardise::fit(x, &vec![true; x.rows()]))
        .collect()
}

fn standardised(standardise: &[Standardise], readings: &[Features]) -> Result<Vec<Features>> {
    let pairs = standardise.iter().zip(readings);
    pairs.map(|(s, x)| s.apply(x)).collect()
}

/// Logits that each case gets from the fit without its fold, `[strengths][rows][classes]`.
fn cross_validate(
    features: &Features,
    labels: &Labels,
    folds: &[usize],
    plan: &ProbePlan,
    stop: &Interrupt,
    report: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<Vec<f64>>>> {
    let counts: Vec<Vec<bool>> = (0..plan.folds)
        .map(|fold| folds.iter().map(|f| *f != fold).collect())
        .collect();
    let mut left_out = Vec::with_capacity(plan.strengths.len());
    let mut starts: Option<Vec<Logistic>> = None;
    // From weak to strong belief, each beginning where the one before ended.
    for (done, strength) in plan.strengths.iter().enumerate() {
        report(done);
        let fits: Vec<Fit<'_>> = counts
            .iter()
            .map(|counts| Fit {
                counts,
                strength: *strength,
            })
            .collect();
        let models = fit_many(
            features,
            labels,
            plan.weights,
            &fits,
            starts.as_deref(),
            Precision::COARSE,
            stop,
        )?;
        let mut rows = vec![Vec::new(); labels.len()];
        for (fold, model) in models.iter().enumerate() {
            let logits = model.logits(features)?;
            for (i, row) in logits.into_iter().enumerate() {
                if folds[i] == fold {
                    rows[i] = row;
                }
            }
        }
        left_out.push(rows);
        starts = Some(models);
    }
    Ok(left_out)
}

/// Stratified folds of whole patients in which every fit sees every class; other seeds are tried if one does not give them.
fn usable_folds(labels: &Labels, groups: &[u64], plan: &ProbePlan) -> Result<Vec<usize>> {
    let strata: Vec<Vec<usize>> = (0..labels.len()).map(|i| labels.strata(i)).collect();
    let shares = vec![1.0 / plan.folds as f64; plan.folds];
    for attempt in 0..20 {
        let folds = stratified_parts(groups, &strata, &shares, plan.seed + attempt)?;
        let complete = (0..plan.folds).all(|fold| {
            (0..labels.width()).all(|class| {
                let has = |wanted| {
                    (0..folds.len())
                        .any(|i| folds[i] != fold && labels.truth(i, class) == Some(wanted))
                };
                has(true) && has(false)
            })
        });
        if complete {
            return Ok(folds);
        }
    }
    Err(TrainError::Data(format!(
        "a class has cases of too few patients for {} folds; every class wants at least two patients",
        plan.folds
    )))
}

/// How well left-out cases were predicted; the larger the better.
fn figure(logits: &[Vec<f64>], labels: &Labels, by: SelectBy) -> Result<f64> {
    let exclusive = matches!(labels, Labels::Classes { .. });
    let (mut sum, mut count) = (0.0, 0.0);
    for class in 0..labels.width() {
        let known: Vec<usize> = (0..labels.len())
            .filter(|i| labels.truth(*i, class).is_some())
            .collect();
        let truth: Vec<bool> = known
            .iter()
            .map(|i| labels.truth(*i, class) == Some(true))
            .collect();
        let scores: Vec<f64> = known
            .iter()
            .map(|i| squash(&logits[*i], exclusive)[class])
            .collect();
        match by {
            SelectBy::Auroc => {
                sum += auroc(&scores, &truth)?;
                count += 1.0;
            }
            SelectBy::Loss => {
                for (p, t) in scores.iter().zip(&truth) {
                    match (exclusive, t) {
                        (_, true) => sum += p.max(1e-300).ln(),
                        (false, false) => sum += (1.0 - p).max(1e-300).ln(),
                        (true, false) => {}
                    }
                }
                count = labels.len() as f64;
            }
        }
    }
    Ok(sum / count)
}
