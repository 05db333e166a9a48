//! Probabilities that can be believed, from the scores of cases that were left out.

use serde::{Deserialize, Serialize};

use super::against_rest::{AgainstRest, ScoreMap};
use crate::calibration::{Platt, golden_section, softmax};
use crate::cohort::stratified_parts;
use crate::probe::{ClassWeights, Features, Labels, Logistic, Precision};
use crate::statistics::{Isotonic, fit_class_temperature};
use crate::{Result, TrainError};

/// How logits become probabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calibration {
    /// A temperature and an offset a class; of findings, Platt scaling each.
    #[default]
    Standard,
    /// One temperature, which moves no decision between classes.
    ///
    /// Source: Guo et al. 2017, section 4.2.
    Temperature,
    /// Platt scaling of each class against the rest, and of each finding.
    ///
    /// Source: Platt 1999; Zadrozny and Elkan 2002 for several classes.
    Platt,
    /// Isotonic regression of each class against the rest, and of each finding; wants hundreds of cases.
    ///
    /// Source: Zadrozny and Elkan 2002.
    Isotonic,
}

impl Calibration {
    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Temperature => "temperature",
            Self::Platt => "platt",
            Self::Isotonic => "isotonic",
        }
    }
}

/// The map from an adapter's logits to probabilities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Calibrator {
    /// Classes that exclude each other: softmax of `slope · z + offset`, an offset each.
    ///
    /// Source: Alexandari, Kundaje and Shrikumar 2020, bias-corrected temperature scaling.
    Softmax {
        /// One over the temperature.
        slope: f64,
        /// `[classes]`.
        offsets: Vec<f64>,
    },
    /// Findings that do not exclude each other: Platt scaling each.
    Sigmoids {
        /// `[findings]`.
        platts: Vec<Platt>,
    },
    /// Findings that do not exclude each other: isotonic regression each.
    Isotonics {
        /// `[findings]`.
        maps: Vec<Isotonic>,
    },
    /// Classes that exclude each other, each against the rest.
    AgainstRest(AgainstRest),
}

impl Calibrator {
    /// Fits on logits of cases whose patients the model has not seen.
    ///
    /// - `logits`: `[rows][classes]`; `labels`: `[rows]`
    ///
    /// Errors if a class is absent.
    pub fn fit(how: Calibration, logits: &[Vec<f64>], labels: &Labels) -> Result<Self> {
        match labels {
            Labels::Classes { of, classes } => {
                let known: Vec<usize> = (0..of.len()).filter(|i| of[*i].is_some()).collect();
                let every = (0..*classes).all(|c| known.iter().any(|i| of[*i] == Some(c)));
                if !every {
                    return Err(TrainError::Data(
                        "calibration wants cases of every class".into(),
                    ));
                }
                let map: fn(&[f64], &[bool]) -> Result<ScoreMap> = match how {
                    Calibration::Standard => return softmax_fit(logits, of, *classes, &known),
                    Calibration::Temperature => return one_temperature(logits, of, *classes),
                    Calibration::Platt => |z, t| Ok(ScoreMap::Platt(Platt::fit(z, t)?)),
                    Calibration::Isotonic => |z, t| Ok(ScoreMap::Isotonic(Isotonic::fit(z, t)?)),
                };
                let rows: Vec<&[f64]> = known.iter().map(|i| &logits[*i][..]).collect();
                let truth: Vec<Option<usize>> = known.iter().map(|i| of[*i]).collect();
                Ok(Self::AgainstRest(AgainstRest::fit(&rows, &truth, map)?))
            }
            Labels::Findings { findings, .. } => {
                let known = (0..*findings).map(|f| known_of(logits, labels, f));
                let known: Vec<(Vec<f64>, Vec<bool>)> = known.collect();
                if known.iter().any(|(_, truth)| !both_sides(truth)) {
                    return Err(TrainError::Data(
                        "calibration wants cases with and without every finding".into(),
                    ));
                }
                Ok(match how {
                    Calibration::Standard | Calibration::Platt => Self::Sigmoids {
                        platts: known
                            .iter()
                            .map(|(z, t)| Platt::fit(z, t))
                            .collect::<Result<_>>()?,
                    },
                    Calibration::Temperature => {
                        let slope = common_slope(&known);
                        let platt = Platt { slope, offset: 0.0 };
                        Self::Sigmoids {
                            platts: vec![platt; *findings],
                        }
                    }
                    Calibration::Isotonic => Self::Isotonics {
                        maps: known
                            .iter()
                            .map(|(z, t)| Isotonic::fit(z, t))
                            .collect::<Result<_>>()?,
                    },
                })
            }
        }
    }

    /// What it is.
    pub fn method(&self) -> Calibration {
        match self {
            Self::Softmax { offsets, .. } if offsets.iter().all(|b| *b == 0.0) => {
                Calibration::Temperature
            }
            Self::Softmax { .. } => Calibration::Standard,
            Self::Sigmoids { platts } if platts.iter().all(|p| p.offset == 0.0) => {
                Calibration::Temperature
            }
            Self::Sigmoids { .. } => Calibration::Platt,
            Self::Isotonics { .. } => Calibration::Isotonic,
            Self::AgainstRest(maps) => maps.method(),
        }
    }

    /// Calibrated probabilities of one row of logits.
    pub fn apply(&self, logits: &[f64]) -> Vec<f64> {
        match self {
            Self::Softmax { slope, offsets } => {
                let moved: Vec<f64> = logits
                    .iter()
                    .zip(offsets)
                    .map(|(z, b)| slope * z + b)
                    .collect();
                softmax(&moved, 1.0)
            }
            Self::Isotonics { maps } => {
                let each = logits.iter().zip(maps);
                each.map(|(z, map)| map.apply(*z)).collect()
            }
            Self::AgainstRest(maps) => maps.apply(logits),
            Self::Sigmoids { platts } => logits
                .iter()
                .zip(platts)
                .map(|(z, platt)| platt.apply(*z))
                .collect(),
        }
    }
}

/// Calibrated probabilities of rows, each by a calibration that was fitted without its patient.
///
/// - `logits`: `[rows][classes]`, of rows whose patients the model has not seen; `labels`, `groups`: `[rows]`
///
/// Errors if a fold's other cases lack a class: there are too few patients.
pub fn cross_calibrated(
    how: Calibration,
    logits: &[Vec<f64>],
    labels: &Labels,
    groups: &[u64],
    seed: u64,
) -> Result<Vec<Vec<f64>>> {
    const FOLDS: usize = 5;
    let strata: Vec<Vec<usize>> = (0..labels.len()).map(|i| labels.strata(i)).collect();
    let folds = stratified_parts(groups, &strata, &[1.0 / FOLDS as f64; FOLDS], seed)?;
    let mut out = vec![Vec::new(); logits.len()];
    for fold in 0..FOLDS {
        let (own, others): (Vec<usize>, Vec<usize>) =
            (0..logits.len()).partition(|i| folds[*i] == fold);
        if own.is_empty() {
            continue;
        }
        let rows: Vec<Vec<f64>> = others.iter().map(|i| logits[*i].clone()).collect();
        let fitted = Calibrator::fit(how, &rows, &labels.select(&others))?;
        for row in own {
            out[row] = fitted.apply(&logits[row]);
        }
    }
    Ok(out)
}

/// Logits and truth of the rows whose finding is known.
fn known_of(logits: &[Vec<f64>], labels: &Labels, finding: usize) -> (Vec<f64>, Vec<bool>) {
    (0..labels.len())
        .filter_map(|i| {
            let truth = labels.truth(i, finding)?;
            Some((logits[i][finding], truth))
        })
        .unzip()
}

fn both_sides(truth: &[bool]) -> bool {
    truth.contains(&true) && truth.contains(&false)
}

/// One temperature for all classes, by the likelihood of the class.
fn one_temperature(
    logits: &[Vec<f64>],
    of: &[Option<usize>],
    classes: usize,
) -> Result<Calibrator> {
    let (rows, truth): (Vec<Vec<f64>>, Vec<usize>) = logits
        .iter()
        .zip(of)
        .filter_map(|(row, class)| class.map(|class| (row.clone(), class)))
        .unzip();
    Ok(Calibrator::Softmax {
        slope: 1.0 / fit_class_temperature(&rows, &truth)?,
        offsets: vec![0.0; classes],
    })
}

/// One over the temperature that gives all findings' truths together the largest likelihood.
fn common_slope(known: &[(Vec<f64>, Vec<bool>)]) -> f64 {
    let loss = |log_slope: f64| -> f64 {
        let slope = log_slope.exp();
        let each = known.iter().flat_map(|(z, t)| z.iter().zip(t));
        each.map(|(z, truth)| {
            let z = if *truth { slope * z } else { -slope * z };
            // ln(1 + e^-z), without overflow
            (-z).max(0.0) + (-z.abs()).exp().ln_1p()
        })
        .sum()
    };
    golden_section(loss, -4.0, 4.0).exp()
}

/// One slope and an offset a class. The slope is found on a grid that is refined; for each the offsets are a logistic regression's
/// intercepts, found by matching the classes' frequencies.
fn softmax_fit(
    logits: &[Vec<f64>],
    of: &[Option<usize>],
    classes: usize,
    known: &[usize],
) -> Result<Calibrator> {
    if classes == 2 {
        // Two classes: a logistic regression on the difference.
        let margin: Vec<f64> = known
            .iter()
            .map(|i| logits[*i][1] - logits[*i][0])
            .collect();
        let labels = Labels::Classes {
            of: known.iter().map(|i| of[*i]).collect(),
            classes,
        };
        let fit = Logistic::fit(
            &Features::new(margin, 1)?,
            &labels,
            ClassWeights::Equal,
            1e4,
            Precision::FINE,
        )?;
        let slope = fit.coefficients[0][0].max(0.0);
        return Ok(Calibrator::Softmax {
            slope,
            offsets: vec![-0.5 * fit.intercepts[0], 0.5 * fit.intercepts[0]],
        });
    }
    let mut counts = vec![0.0; classes];
    for class in known.iter().filter_map(|i| of[*i]) {
        counts[class] += 1.0;
    }
    let loss = |log_slope: f64| -> (f64, Vec<f64>) {
        let slope = log_slope.exp();
        let mut offsets = vec![0.0; classes];
        let mut total = f64::INFINITY;
        // Iterative scaling: each round moves an offset by the log ratio of wanted to given frequency.
        for _ in 0..500 {
            let mut given = vec![0.0; classes];
            total = 0.0;
            for i in known {
                let z: Vec<f64> = (0..classes)
                    .map(|c| slope * logits[*i][c] + offsets[c])
                    .collect();
                let p = softmax(&z, 1.0);
                total -= p[of[*i].unwrap_or(0)].max(1e-300).ln();
                given.iter_mut().zip(&p).for_each(|(g, p)| *g += p);
            }
            let mut largest = 0.0f64;
            for c in 0..classes {
                let step = (counts[c] / given[c].max(1e-300)).ln();
                offsets[c] += step;
                largest = largest.max(step.abs());
            }
            if largest < 1e-9 {
                break;
            }
        }
        (total, offsets)
    };
    let best = golden_section(|s| loss(s).0, -5.0, 3.0);
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let mut offsets = loss(best).1;
    let centre = mean(&offsets);
    offsets.iter_mut().for_each(|b| *b -= centre);
    Ok(Calibrator::Softmax {
        slope: best.exp(),
        offsets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Logits with labels drawn from the softmax of `slope · z + offset`.
    fn draw(slope: f64, offsets: &[f64], n: usize) -> (Vec<Vec<f64>>, Labels) {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let truth = Calibrator::Softmax {
            slope,
            offsets: offsets.to_vec(),
        };
        let mut of = Vec::new();
        let logits: Vec<Vec<f64>> = (0..n)
            .map(|_| {
                offsets
                    .iter()
                    .map(|_| rng.random_range(-4.0..4.0))
                    .collect()
            })
            .collect();
        for row in &logits {
            let mut left: f64 = rng.random();
            let p = truth.apply(row);
            let class = p.iter().position(|p| {
                left -= p;
                left < 0.0
            });
            of.push(Some(class.unwrap_or(0)));
        }
        let classes = offsets.len();
        (logits, Labels::Classes { of, classes })
    }

    #[test]
    fn slope_and_offsets_are_found_again() {
        for wanted in [vec![0.6, -0.6], vec![0.5, -1.0, 0.5]] {
            let (logits, labels) = draw(0.4, &wanted, 20_000);
            let found = Calibrator::fit(Calibration::Standard, &logits, &labels).unwrap();
            let Calibrator::Softmax { slope, offsets } = found else {
                panic!("classes exclude each other");
            };
            assert!((slope - 0.4).abs() < 0.02, "slope {slope}");
            for (f, w) in offsets.iter().zip(&wanted) {
                assert!((f - w).abs() < 0.06, "offsets {offsets:?}");
            }
        }
    }

    #[test]
    fn findings_are_calibrated_one_by_one() {
        let of: Vec<Vec<Option<bool>>> = (0..400)
            .map(|i| vec![Some(i % 4 == 0), (i % 2 == 0).then_some(i % 3 == 0)])
            .collect();
        let logits = vec![vec![3.0, -2.0]; 400];
        let labels = Labels::Findings { of, findings: 2 };
        let p = Calibrator::fit(Calibration::Standard, &logits, &labels)
            .unwrap()
            .apply(&[3.0, -2.0]);
        assert!(
            (p[0] - 0.25).abs() < 0.01 && (p[1] - 0.335).abs() < 0.01,
            "{p:?}"
        );
    }
}
