//! Logistic regression with a ridge penalty: two classes, several, or several findings that do not exclude each other.

use lucency_nn::Interrupt;
use serde::{Deserialize, Serialize};

use super::matrix::Features;
use super::problem::{Problem, Solution, Target, minimise};
use crate::{Result, TrainError};

/// What cases are labelled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Classes that exclude each other; `None` where the class is not known.
    Classes {
        /// `[rows]`.
        of: Vec<Option<usize>>,
        /// How many there are.
        classes: usize,
    },
    /// Findings each of which may hold or not; `None` where it is uncertain or not stated, such as CheXpert's -1 and blanks.
    Findings {
        /// `[rows][findings]`.
        of: Vec<Vec<Option<bool>>>,
        /// How many there are.
        findings: usize,
    },
}

impl Labels {
    /// Cases.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes { of, .. } => of.len(),
            Self::Findings { of, .. } => of.len(),
        }
    }

    /// True without any case.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Columns of scores.
    pub fn width(&self) -> usize {
        match self {
            Self::Classes { classes, .. } => *classes,
            Self::Findings { findings, .. } => *findings,
        }
    }

    /// Whether column `class` holds for case `row`; `None` where that is not known.
    pub fn truth(&self, row: usize, class: usize) -> Option<bool> {
        match self {
            Self::Classes { of, .. } => of[row].map(|c| c == class),
            Self::Findings { of, .. } => of[row][class],
        }
    }

    /// The labels that hold for a case, for stratification: the class, or `2 · finding` and one more where it is present.
    pub fn strata(&self, row: usize) -> Vec<usize> {
        match self {
            Self::Classes { of, .. } => of[row].into_iter().collect(),
            Self::Findings { of, .. } => of[row]
                .iter()
                .enumerate()
                .filter_map(|(f, v)| v.map(|v| 2 * f + usize::from(v)))
                .collect(),
        }
    }

    /// The cases with the given numbers.
    pub fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::Classes { of, classes } => Self::Classes {
                of: rows.iter().map(|i| of[*i]).collect(),
                classes: *classes,
            },
            Self::Findings { of, findings } => Self::Findings {
                of: rows.iter().map(|i| of[*i].clone()).collect(),
                findings: *findings,
            },
        }
    }
}

/// How much a case of each class counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// All cases alike.
    Equal,
    /// In inverse proportion to the class's cases, so that all classes count alike in sum.
    Balanced,
}

/// How exactly to solve.
#[derive(Clone, Copy, Debug)]
pub struct Precision {
    /// Largest entry of the gradient of the mean loss.
    pub tolerance: f64,
    /// Steps at most.
    pub steps: usize,
}

impl Precision {
    /// For the model that is kept: the optimum to six digits and more.
    pub const FINE: Self = Self {
        tolerance: 1e-8,
        steps: 2000,
    };
    /// For comparing strengths.
    pub const COARSE: Self = Self {
        tolerance: 1e-5,
        steps: 300,
    };
}

/// A fitted regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logistic {
    /// `[columns of scores][features]`; one row for two classes, whose score is the second's.
    pub coefficients: Vec<Vec<f64>>,
    /// `[columns of scores]`.
    pub intercepts: Vec<f64>,
    /// Whether the columns exclude each other.
    pub exclusive: bool,
}

/// One regression of a batch: which cases count, and how strongly the data is believed.
#[derive(Clone, Debug)]
pub(super) struct Fit<'a> {
    pub counts: &'a [bool],
    pub strength: f64,
}

impl Logistic {
    /// Minimises `strength · Σ wᵢ lossᵢ + ½ ‖coefficients‖²`.
    ///
    /// - `features`: `[rows, columns]`; `labels`: `[rows]`
    /// - `strength`: scikit-learn's `C`, positive
    ///
    /// Errors if a class has no case or a finding is never present or never absent.
    pub fn fit(
        features: &Features,
        labels: &Labels,
        weights: ClassWeights,
        strength: f64,
        precision: Precision,
    ) -> Result<Self> {
        let counts = vec![true; features.rows()];
        let fits = [Fit {
            counts: &counts,
            strength,
        }];
        let stop = Interrupt::new();
        let mut found = fit_many(features, labels, weights, &fits, None, precision, &stop)?;
        found
            .pop()
            .ok_or_else(|| TrainError::Plan("nothing to fit".into()))
    }

    /// The regression on features side by side whose scores are the mean of what each of these says of its own.
    ///
    /// Errors if there is none, or they were fitted on other labels.
    pub(super) fn mean(all: &[Self]) -> Result<Self> {
        let unlike = || TrainError::Plan("regressions of different labels have no mean".into());
        let (first, share) = (all.first().ok_or_else(unlike)?, 1.0 / all.len() as f64);
        let width = first.intercepts.len();
        if all
            .iter()
            .any(|m| m.exclusive != first.exclusive || m.intercepts.len() != width)
        {
            return Err(unlike());
        }
        Ok(Self {
            coefficients: (0..width)
                .map(|k| {
                    let row = all.iter().flat_map(|m| &m.coefficients[k]);
                    row.map(|v| v * share).collect()
                })
                .collect(),
            intercepts: (0..width)
                .map(|k| all.iter().map(|m| m.intercepts[k] * share).sum())
                .collect(),
            exclusive: first.exclusive,
        })
    }

    /// Scores before the squashing function, `[rows][classes or findings]`; two classes have -z/2 and z/2, whose softmax is the
    /// second's probability.
    pub fn logits(&self, features: &Features) -> Result<Vec<Vec<f64>>> {
        let (d, width) = (features.columns(), self.coefficients.len());
        if self.coefficients.iter().any(|row| row.len() != d) {
            return Err(TrainError::Data(format!(
                "the regression was fitted on other features than these {d}"
            )));
        }
        let mut theta = vec![0.0; d * width];
        for (k, row) in self.coefficients.iter().enumerate() {
            for (j, v) in row.iter().enumerate() {
                theta[j * width + k] = *v;
            }
        }
        let z = features.times(theta, width)?;
        Ok(z.chunks_exact(width)
            .map(|row| {
                let row: Vec<f64> = row
                    .iter()
                    .zip(&self.intercepts)
                    .map(|(z, b)| z + b)
                    .collect();
                match (self.exclusive, row.as_slice()) {
                    (true, [z]) => vec![-0.5 * z, 0.5 * z],
                    _ => row,
                }
            })
            .collect())
    }

    /// Probabilities, `[rows][classes or findings]`.
    pub fn probabilities(&self, features: &Features) -> Result<Vec<Vec<f64>>> {
        let logits = self.logits(features)?;
        Ok(logits
            .into_iter()
            .map(|row| squash(&row, self.exclusive))
            .collect())
    }
}

/// Logits as probabilities: softmax where classes exclude each other, a sigmoid each where not.
pub(crate) fn squash(row: &[f64], exclusive: bool) -> Vec<f64> {
    match exclusive {
        true => crate::calibration::softmax(row, 1.0),
        false => row.iter().map(|z| 1.0 / (1.0 + (-z).exp())).collect(),
    }
}

/// Fits several regressions on one matrix side by side.
///
/// - `starts`: earlier solutions to begin from, one a fit
pub(super) fn fit_many(
    features: &Features,
    labels: &Labels,
    weights: ClassWeights,
    fits: &[Fit<'_>],
    starts: Option<&[Logistic]>,
    precision: Precision,
    stop: &Interrupt,
) -> Result<Vec<Logistic>> {
    if labels.len() != features.rows() {
        return Err(TrainError::Data(format!(
            "{} labels for {} cases",
            labels.len(),
            features.rows()
        )));
    }
    if let Some(fit) = fits
        .iter()
        .find(|f| f.strength.is_nan() || f.strength <= 0.0)
    {
        return Err(TrainError::Plan(format!(
            "the regularisation strength C must be positive, got {}",
            fit.strength
        )));
    }
    let mut problems: Vec<Problem> = Vec::new();
    for fit in fits {
        problems.extend(problems_of(labels, weights, fit)?);
    }
    let d = features.columns();
    let per_fit = problems.len() / fits.len().max(1);
    let start = |index: usize, problem: &Problem| -> Solution {
        let width = match &problem.target {
            Target::Binary(_) => 1,
            Target::Classes { classes, .. } => *classes,
        };
        let mut point = vec![0.0; width * (d + 1)];
        if let Some(earlier) = starts.and_then(|s| s.get(index / per_fit.max(1))) {
            let first = index % per_fit.max(1) * width;
            for k in 0..width {
                point[k * (d + 1)..][..d].copy_from_slice(&earlier.coefficients[first + k]);
                point[k * (d + 1) + d] = earlier.intercepts[first + k];
            }
        }
        point
    };
    let begin = problems
        .iter()
        .enumerate()
        .map(|(i, p)| start(i, p))
        .collect();
    let solved = minimise(
        features,
        &problems,
        begin,
        precision.tolerance,
        precision.steps,
        stop,
    )?;
    Ok(solved
        .chunks(per_fit.max(1))
        .map(|parts| {
            let rows: Vec<&[f64]> = parts.iter().flat_map(|p| p.chunks_exact(d + 1)).collect();
            Logistic {
                coefficients: rows.iter().map(|row| row[..d].to_vec()).collect(),
                intercepts: rows.iter().map(|row| row[d]).collect(),
                exclusive: matches!(labels, Labels::Classes { .. }),
            }
        })
        .collect())
}

/// The minimisations that make up one regression.
fn problems_of(labels: &Labels, weights: ClassWeights, fit: &Fit<'_>) -> Result<Vec<Problem>> {
    match labels {
        Labels::Classes { of, classes } => {
            let known: Vec<Option<usize>> = of
                .iter()
                .zip(fit.counts)
                .map(|(c, counts)| c.filter(|_| *counts))
                .collect();
            let weights = case_weights(&known, *classes, weights, |c| format!("class {}", c + 1))?;
            let class = |c: &Option<usize>| c.unwrap_or(0);
            let target = match classes {
                2 => Target::Binary(known.iter().map(|c| class(c) as f64).collect()),
                _ => Target::Classes {
                    of: known.iter().map(class).collect(),
                    classes: *classes,
                },
            };
            Ok(vec![Problem {
                target,
                weights,
                strength: fit.strength,
            }])
        }
        Labels::Findings { of, findings } => (0..*findings)
            .map(|f| {
                let known: Vec<Option<usize>> = of
                    .iter()
                    .zip(fit.counts)
                    .map(|(row, counts)| row[f].filter(|_| *counts).map(usize::from))
                    .collect();
                let side = |c| match c {
                    0 => format!("the absence of finding {}", f + 1),
                    _ => format!("the presence of finding {}", f + 1),
                };
                let weights = case_weights(&known, 2, weights, side)?;
                let labels = known.iter().map(|c| c.unwrap_or(0) as f64).collect();
                Ok(Problem {
                    target: Target::Binary(labels),
                    weights,
                    strength: fit.strength,
                })
            })
            .collect(),
    }
}

/// The weight of each case; 0 where its class is not known. Source of the balance: scikit-learn, `compute_class_weight`.
fn case_weights(
    known: &[Option<usize>],
    classes: usize,
    weights: ClassWeights,
    name: impl Fn(usize) -> String,
) -> Result<Vec<f64>> {
    let mut counts = vec![0usize; classes];
    for class in known.iter().flatten() {
        *counts.get_mut(*class).ok_or_else(|| {
            TrainError::Data(format!("class {} where there are {classes}", class + 1))
        })? += 1;
    }
    if classes < 2 {
        return Err(TrainError::Data(
            "all cases have one class; a probe wants at least two".into(),
        ));
    }
    if let Some(empty) = counts.iter().position(|n| *n == 0) {
        return Err(TrainError::Data(format!(
            "there is no case of {} to fit on; add some or leave it out",
            name(empty)
        )));
    }
    let total: usize = counts.iter().sum();
    Ok(known
        .iter()
        .map(|class| match (class, weights) {
            (None, _) => 0.0,
            (Some(_), ClassWeights::Equal) => 1.0,
            (Some(c), ClassWeights::Balanced) => total as f64 / (classes * counts[*c]) as f64,
        })
        .collect())
}
